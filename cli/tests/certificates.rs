//! Certificates of the command: chosen by name, reloaded by signal and when the files change.
#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
use std::net::SocketAddr;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use rcgen::{CertificateParams, DnType, date_time_ymd};
#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
use support::{certificates::wait_for, trusting::config};
use support::{
    certificates::{
        BACKENDS, Certificate, Files, Running, ask, certificate, in_runtime, made, open, runtime,
        sent,
    },
    command,
    trusting::{config_of, connect_to},
};
use tokio::net::TcpStream;
use tokio_rustls::rustls::version::{TLS12, TLS13};

#[test]
fn sighup_reloads_and_ignores_a_broken_file() {
    let (a, b, c) = (
        certificate("a.test"),
        certificate("b.test"),
        certificate("c.test"),
    );
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::of(dir.path(), &a);
        let server = Running::start(
            dir.path(),
            &[&files.args()[..], &["--tls", backend]].concat(),
        );
        server.assert_serves("a.test", &a);
        let runtime = runtime();
        let open = runtime.block_on(open(server.addr())).expect("connects");
        runtime.block_on(ask(&open)).expect("answered");

        files.write(&b);
        server.corelane.signal("-HUP");
        server.wait_for_certificate("b.test", &b);
        runtime
            .block_on(ask(&open))
            .expect("an open connection goes on");

        fs::write(&files.key, &c.key).expect("written");
        server.corelane.signal("-HUP");
        server.wait_for_log("cannot reload");
        let key = files.key.to_str().expect("UTF-8");
        assert!(
            server.log().contains(&format!("key {key}")),
            "{}",
            server.log()
        );
        server.assert_serves("b.test", &b);

        fs::write(&files.cert, &c.pem).expect("written");
        server.corelane.signal("-HUP");
        server.wait_for_certificate("c.test", &c);
        runtime
            .block_on(ask(&open))
            .expect("an open connection goes on");
    }
}

/// Whether a client that keeps its sessions resumes one.
#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
fn resumes(addr: SocketAddr, client: &std::sync::Arc<tokio_rustls::rustls::ClientConfig>) -> bool {
    in_runtime(async {
        let tcp = TcpStream::connect(addr).await.expect("connects");
        let tls = connect_to("a.test", client, tcp).await.expect("TLS");
        let kind = tls.get_ref().1.handshake_kind();
        let (requests, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
        tokio::spawn(connection);
        ask(&requests).await.expect("answered");
        kind == Some(tokio_rustls::rustls::HandshakeKind::Resumed)
    })
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
#[test]
fn sighup_reloads_ticket_keys_and_keeps_random_ones() {
    for backend in BACKENDS.iter().filter(|it| **it != "native-tls") {
        reload_ticket_keys(backend);
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
fn reload_ticket_keys(backend: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::of(dir.path(), &certificate("a.test"));
    let tls = [&files.args()[..], &["--tls", backend]].concat();
    let key = |digits: &str| digits.repeat(16);
    let reloads = |server: &Running, times: usize| {
        server.corelane.signal("-HUP");
        let count = || server.log().matches("certificates reloaded").count();
        wait_for(|| count() == times, || server.log());
    };

    let keys = dir.path().join("ticket.keys");
    fs::write(&keys, key("a1b2")).expect("written");
    let given = ["--ticket-keys", keys.to_str().expect("UTF-8")];
    let server = Running::start(dir.path(), &[&tls[..], &given].concat());
    let client = config(b"h2");
    assert!(!resumes(server.addr(), &client));
    assert!(resumes(server.addr(), &client));
    fs::write(&keys, key("c3d4")).expect("written");
    reloads(&server, 1);
    assert!(!resumes(server.addr(), &client), "its key is gone");
    fs::write(&keys, format!("{}\n{}\n", key("e5f6"), key("c3d4"))).expect("written");
    reloads(&server, 2);
    assert!(
        resumes(server.addr(), &client),
        "its key is the previous one"
    );
    drop(server);

    let server = Running::start(dir.path(), &tls);
    let client = config(b"h2");
    assert!(!resumes(server.addr(), &client));
    reloads(&server, 1);
    assert!(resumes(server.addr(), &client));
}

#[test]
fn changed_symbolic_links_to_certificates_are_noticed() {
    let (a, b, c) = (
        certificate("a.test"),
        certificate("b.test"),
        certificate("c.test"),
    );
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        // As Kubernetes mounts a secret: tls.crt -> ..data/tls.crt, ..data -> the version.
        let turn_to = |version: &str, cert: &Certificate| {
            Files::of(&dir.join(version), cert);
            let new = dir.join("..data_tmp");
            symlink(version, &new).expect("a link");
            fs::rename(&new, dir.join("..data")).expect("turned");
        };
        turn_to("..1", &a);
        let files = Files {
            cert: dir.join("tls.crt"),
            key: dir.join("tls.key"),
        };
        symlink("..data/tls.crt", &files.cert).expect("a link");
        symlink("..data/tls.key", &files.key).expect("a link");
        let flags = ["--tls", backend, "--reload-certs", "1"];
        let server = Running::start(dir, &[&files.args()[..], &flags].concat());
        server.assert_serves("localhost", &a);
        turn_to("..2", &b);
        server.wait_for_certificate("localhost", &b);
        let unfit = Certificate {
            key: a.key.clone(),
            ..certificate("unfit.test")
        };
        turn_to("..3", &unfit);
        server.wait_for_log("cannot reload changed files");
        server.assert_serves("localhost", &b);
        turn_to("..4", &c);
        server.wait_for_certificate("localhost", &c);
    }
}

#[test]
fn server_names_choose_certificates_and_unknown_names_can_be_refused() {
    let (a, b) = (certificate("a.test"), certificate("*.b.test"));
    for backend in BACKENDS {
        for unknown in ["default", "refuse"] {
            let dir = tempfile::tempdir().expect("a directory");
            let first = Files::of(&dir.path().join("a"), &a);
            let second = Files::of(&dir.path().join("b"), &b);
            let flags = ["--tls", backend, "--unknown-name", unknown];
            let args = [&first.args()[..], &second.args(), &flags].concat();
            let server = Running::start(dir.path(), &args);
            server.assert_serves("a.test", &a);
            server.assert_serves("x.b.test", &b);
            match unknown {
                "default" => server.assert_serves("c.test", &a),
                _ => {
                    let message = sent(server.addr(), "c.test").expect_err("refused");
                    assert!(message.contains("UnrecognisedName"), "{message}");
                }
            }
        }
    }
}

#[test]
fn expired_certificates_and_readable_keys_are_warned_of() {
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let mut params = CertificateParams::new(["old.test".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(2020, 1, 2);
        let old = Files::of(&dir.path().join("old"), &made(&params));
        let good = Files::of(&dir.path().join("good"), &certificate("good.test"));
        fs::set_permissions(&good.key, PermissionsExt::from_mode(0o644)).expect("set");
        let args = [&old.args()[..], &good.args(), &["--tls", backend]].concat();
        let server = Running::start(dir.path(), &args);
        server.wait_for_log("run `chmod o= ");
        server.wait_for_log("good.test");
        let message = server.log();
        let key = good.key.display();
        assert!(
            message.contains(&format!("run `chmod o= {key}`")),
            "{message}"
        );
        assert!(!message.contains(&format!("chmod o= {}", old.key.display())));
        let line = |file: &Path| {
            let file = file.display().to_string();
            let mut lines = message.lines();
            lines
                .find(|line| line.contains(&file))
                .expect("named")
                .to_owned()
        };
        for word in ["WARN", "expired", "old.test", "02 Jan 2020"] {
            assert!(line(&old.cert).contains(word), "{message}");
        }
        for word in ["INFO", "good.test", "4096"] {
            assert!(line(&good.cert).contains(word), "{message}");
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = Running::start(dir.path(), &[]);
    server.corelane.signal("-HUP");
    server.wait_for_log("no certificate to reload");
    sent(server.addr(), "localhost").expect("the server goes on");
}

#[test]
fn what_clients_refuse_is_warned_of_by_start_and_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let nameless = made(&CertificateParams::new([]).expect("parameters"));
    let mut params = CertificateParams::new(["old.test".to_owned()]).expect("a name");
    params.not_after = date_time_ymd(2020, 1, 2);
    let chain = Certificate {
        pem: format!("{}{}", nameless.pem, made(&params).pem),
        ..nameless
    };
    let files = Files::of(dir.path(), &chain);
    for backend in BACKENDS {
        let args = [&files.args()[..], &["--tls", backend]].concat();
        let server = Running::start(dir.path(), &args);
        server.wait_for_log("subjectAltName");
        server.wait_for_log("certificate 2 of the chain");
        let checked = command(&["check"]).args(&args).output().expect("runs");
        let checked = String::from_utf8(checked.stderr).expect("text");
        for log in [server.log(), checked] {
            let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
            for part in ["subjectAltName", "certificate 2 of the chain (CN="] {
                let found = lines.iter().any(|line| {
                    line.contains(part) && line.contains(files.cert.to_str().expect("UTF-8"))
                });
                assert!(found, "{part}: {log}");
            }
        }
    }
}

/// `corelane alpn --cacert`, with the client on either TLS library.
#[test]
fn the_prober_reads_certificates_as_the_server_does() {
    // OpenSSL finds roots by their names.
    let [own, other] = ["localhost", "other.test"].map(|name| {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        made(&params)
    });
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ca.pem");
    let file = path.to_str().expect("UTF-8");
    let server = Running::start(dir.path(), &Files::of(dir.path(), &own).args());
    let addr = server.addr().to_string();
    let glued = format!("{}{}", other.pem.trim_end(), own.pem);
    let nonsense = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";
    // The prober has no client on crate openssl.
    for client in BACKENDS.iter().filter(|backend| **backend != "openssl") {
        let probe = |pem: &str| {
            fs::write(&path, pem).expect("written");
            let args = [
                "localhost",
                "--connect",
                &addr,
                "--cacert",
                file,
                "--client",
                client,
            ];
            let output = command(&["alpn"]).args(args).output().expect("runs");
            let message = String::from_utf8(output.stderr).expect("text");
            (output.status.code(), message)
        };
        for pem in [
            &glued,
            &format!("\u{feff}{}", own.pem),
            &own.pem.replace('\n', "\r"),
        ] {
            assert_eq!(probe(pem).0, Some(0), "{client} {pem:?}: {}", probe(pem).1);
        }
        for (pem, wanted) in [
            (&own.pem[..100], "line 1: this block has no `-----END`"),
            (&own.key, "contains no `-----BEGIN CERTIFICATE-----`"),
            (&format!("{}{nonsense}", own.pem), "certificate 2: "),
        ] {
            let (code, message) = probe(pem);
            assert_eq!(code, Some(2), "{client}: {message}");
            assert!(
                message.contains(file) && message.contains(wanted),
                "{message}"
            );
            assert!(!message.contains('['), "{message}");
        }
    }
}

#[test]
fn min_tls_refuses_older_clients() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("corelane.toml");
    fs::write(&file, "min-tls = \"1.3\"\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    for backend in BACKENDS {
        for (more, tls_1_3_only) in [
            (&["--min-tls", "1.2"][..], false),
            (&["--min-tls", "1.3"], true),
            (&["--config", file], true),
        ] {
            let args = [&["--tls", backend][..], more].concat();
            if *backend == "native-tls" && tls_1_3_only {
                let output = command(&["check"]).args(&args).output().expect("runs");
                assert!(!output.status.success(), "{args:?}");
                let message = String::from_utf8(output.stderr).expect("text");
                let wanted = "native-tls does not support --min-tls 1.3: its servers speak TLS 1.2";
                assert!(message.contains(wanted), "{message}");
                continue;
            }
            let server = Running::start(dir.path(), &args);
            let versions: &[_] = match *backend {
                "native-tls" => &[&TLS12],
                _ => &[&TLS12, &TLS13],
            };
            for version in versions {
                let client = config_of(&[version], b"h2");
                let connected = in_runtime(async {
                    let tcp = TcpStream::connect(server.addr()).await.expect("connects");
                    let tls = connect_to("localhost", &client, tcp).await;
                    tls.map(drop).map_err(|error| error.to_string())
                });
                match tls_1_3_only && version.version != TLS13.version {
                    true => {
                        let message = connected.expect_err("too old");
                        assert!(message.contains("ProtocolVersion"), "{message}");
                    }
                    false => connected.expect("served"),
                }
            }
        }
    }
    let output = command(&["check", "--tls", "none", "--min-tls", "1.3"]).output();
    let message = String::from_utf8(output.expect("runs").stderr).expect("text");
    assert!(message.contains("remove --min-tls"), "{message}");
}

#[test]
fn mistakes_are_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let one = Files::of(&dir.path().join("one"), &certificate("a.test"));
    let two = Files::of(&dir.path().join("two"), &certificate("A.test"));
    let [_, one_cert, _, one_key] = one.args();
    let [_, two_cert, _, two_key] = two.args();
    for (args, parts) in [
        (
            &["--cert", one_cert, "--key", one_key, "--cert", two_cert][..],
            &["2 --cert and 1 --key"][..],
        ),
        (
            &[
                "--cert", one_cert, "--key", one_key, "--cert", two_cert, "--key", two_key,
            ],
            &[one_cert, two_cert, "a.test", "ECDSA"],
        ),
        (
            &["--cert", one_cert, "--key", two_key],
            &[one_cert, two_key, "belongs to another certificate"],
        ),
        (&["--reload-certs", "5"], &["--cert"]),
        (&["--unknown-name", "drop"], &["refuse"]),
    ] {
        for backend in BACKENDS {
            let output = command(&["--listen", "127.0.0.1:0", "--tls", backend])
                .args(args)
                .output()
                .expect("the command runs");
            let message = String::from_utf8(output.stderr).expect("text");
            assert!(!output.status.success(), "{args:?}");
            for part in parts {
                assert!(message.contains(part), "{args:?}: {message}");
            }
        }
    }
}
