//! Certificates of the command: by name, exchanged by signal and by looking at the files.
#![cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "native-tls"))]

mod support;
#[path = "certificates/under_load.rs"]
mod under_load;

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use support::{
    Corelane, DEADLINE, command,
    trusting::{config, connect, connect_to},
};
use tokio::{net::TcpStream, runtime::Runtime};

/// The backends that are compiled in.
const BACKENDS: &[&str] = &[
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    "rustls",
    #[cfg(feature = "native-tls")]
    "native-tls",
];

struct Certificate {
    der: Vec<u8>,
    pem: String,
    key: String,
}

fn certificate(name: &str) -> Certificate {
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    made(&params)
}

fn made(params: &CertificateParams) -> Certificate {
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    Certificate {
        der: made.der().to_vec(),
        pem: made.pem(),
        key: key.serialize_pem(),
    }
}

/// A certificate and a key in a directory, as Kubernetes names them.
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(dir: &Path, certificate: &Certificate) -> Self {
        fs::create_dir_all(dir).expect("a directory");
        let files = Self {
            cert: dir.join("tls.crt"),
            key: dir.join("tls.key"),
        };
        files.write(certificate);
        files
    }

    fn write(&self, certificate: &Certificate) {
        fs::write(&self.cert, &certificate.pem).expect("written");
        fs::write(&self.key, &certificate.key).expect("written");
        fs::set_permissions(&self.key, PermissionsExt::from_mode(0o600)).expect("set");
    }

    fn args(&self) -> [&str; 4] {
        let [cert, key] = [&self.cert, &self.key].map(|file| file.to_str().expect("UTF-8"));
        ["--cert", cert, "--key", key]
    }
}

/// The command with what it says kept in a file.
struct Running {
    corelane: Corelane,
    said: PathBuf,
}

impl Running {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let said = dir.join("said");
        let mut command = command(&["-v", "--listen", "127.0.0.1:0", "--workers", "2"]);
        command
            .args(args)
            .stderr(File::create(&said).expect("a file"));
        Self {
            corelane: Corelane::start_by(command),
            said,
        }
    }

    fn addr(&self) -> SocketAddr {
        self.corelane.addr()
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("text")
    }

    fn waits_to_say(&self, text: &str) {
        wait_for(|| self.said().contains(text), || self.said());
    }

    fn waits_to_serve(&self, name: &'static str, certificate: &Certificate) {
        let served = || sent(self.addr(), name).as_deref() == Ok(&certificate.der[..]);
        wait_for(served, || self.said());
    }

    fn serves(&self, name: &'static str, certificate: &Certificate) {
        let sent = sent(self.addr(), name);
        assert_eq!(sent.as_deref(), Ok(&certificate.der[..]), "{}", self.said());
    }
}

fn wait_for(mut happened: impl FnMut() -> bool, what_is: impl Fn() -> String) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < DEADLINE, "{}", what_is());
        std::thread::yield_now();
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

fn in_runtime<F: Future>(future: F) -> F::Output {
    runtime().block_on(async {
        let ended = tokio::time::timeout(DEADLINE, future).await;
        ended.expect("the test hangs")
    })
}

/// The certificate that a client is sent who asks for this name, or what it says instead.
fn sent(addr: SocketAddr, name: &'static str) -> Result<Vec<u8>, String> {
    in_runtime(async {
        let tcp = TcpStream::connect(addr).await.expect("connects");
        let stream = connect_to(name, &config(b"h2"), tcp).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let sent = stream.get_ref().1.peer_certificates().expect("sent");
        Ok(sent[0].to_vec())
    })
}

async fn open(addr: SocketAddr) -> Result<SendRequest<Bytes>, String> {
    let tcp = TcpStream::connect(addr).await;
    let tcp = tcp.map_err(|error| format!("TCP: {error}"))?;
    tcp.set_nodelay(true).expect("nodelay");
    let tls = connect(tcp, b"h2").await;
    let tls = tls.map_err(|error| format!("TLS: {error}"))?;
    let (requests, connection) = h2::client::handshake(tls)
        .await
        .map_err(|error| format!("HTTP/2: {error}"))?;
    tokio::spawn(connection);
    Ok(requests)
}

async fn ask(requests: &SendRequest<Bytes>) -> Result<(), String> {
    let answer = async {
        let mut requests = requests.clone().ready().await?;
        let request = Request::get("https://localhost/bytes/20000").body(());
        let (response, _) = requests.send_request(request.expect("a request"), true)?;
        let mut body = response.await?.into_body();
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        Ok(())
    };
    answer.await.map_err(|error: h2::Error| error.to_string())
}

#[test]
fn sighup_reloads_and_a_broken_file_changes_nothing() {
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
        server.serves("a.test", &a);
        let runtime = runtime();
        let open = runtime.block_on(open(server.addr())).expect("connects");
        runtime.block_on(ask(&open)).expect("answered");

        files.write(&b);
        server.corelane.signal("-HUP");
        server.waits_to_serve("b.test", &b);
        runtime
            .block_on(ask(&open))
            .expect("an open connection goes on");

        fs::write(&files.key, &c.key).expect("written");
        server.corelane.signal("-HUP");
        server.waits_to_say("not reloaded");
        let key = files.key.to_str().expect("UTF-8");
        assert!(
            server.said().contains(&format!("key {key}")),
            "{}",
            server.said()
        );
        server.serves("b.test", &b);

        fs::write(&files.cert, &c.pem).expect("written");
        server.corelane.signal("-HUP");
        server.waits_to_serve("c.test", &c);
        runtime
            .block_on(ask(&open))
            .expect("an open connection goes on");
    }
}

/// One visit of a client that comes back with what it was given.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
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

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[test]
fn sighup_reads_ticket_keys_anew_and_keeps_random_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::of(dir.path(), &certificate("a.test"));
    let tls = [&files.args()[..], &["--tls", "rustls"]].concat();
    let key = |digits: &str| digits.repeat(16);
    let reloads = |server: &Running, times: usize| {
        server.corelane.signal("-HUP");
        let count = || server.said().matches("certificates reloaded").count();
        wait_for(|| count() == times, || server.said());
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
fn files_behind_a_symbolic_link_are_noticed_when_it_is_turned() {
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
        server.serves("localhost", &a);
        turn_to("..2", &b);
        server.waits_to_serve("localhost", &b);
        let unfit = Certificate {
            key: a.key.clone(),
            ..certificate("unfit.test")
        };
        turn_to("..3", &unfit);
        server.waits_to_say("cannot be served");
        server.serves("localhost", &b);
        turn_to("..4", &c);
        server.waits_to_serve("localhost", &c);
    }
}

#[test]
fn names_choose_and_unknown_ones_are_refused_if_wanted() {
    let (a, b) = (certificate("a.test"), certificate("*.b.test"));
    for backend in BACKENDS {
        for unknown in ["default", "refuse"] {
            let dir = tempfile::tempdir().expect("a directory");
            let first = Files::of(&dir.path().join("a"), &a);
            let second = Files::of(&dir.path().join("b"), &b);
            let flags = ["--tls", backend, "--unknown-name", unknown];
            let args = [&first.args()[..], &second.args(), &flags].concat();
            let server = Running::start(dir.path(), &args);
            server.serves("a.test", &a);
            server.serves("x.b.test", &b);
            match unknown {
                "default" => server.serves("c.test", &a),
                _ => {
                    let said = sent(server.addr(), "c.test").expect_err("refused");
                    assert!(said.contains("UnrecognisedName"), "{said}");
                }
            }
        }
    }
}

#[test]
fn what_should_be_seen_to_is_said() {
    for backend in BACKENDS {
        let dir = tempfile::tempdir().expect("a directory");
        let mut params = CertificateParams::new(["old.test".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(2020, 1, 2);
        let old = Files::of(&dir.path().join("old"), &made(&params));
        let good = Files::of(&dir.path().join("good"), &certificate("good.test"));
        fs::set_permissions(&good.key, PermissionsExt::from_mode(0o644)).expect("set");
        let args = [&old.args()[..], &good.args(), &["--tls", backend]].concat();
        let server = Running::start(dir.path(), &args);
        let said = server.said();
        let key = good.key.display();
        assert!(said.contains(&format!("run `chmod o= {key}`")), "{said}");
        assert!(!said.contains(&format!("chmod o= {}", old.key.display())));
        let line = |file: &Path| {
            let file = file.display().to_string();
            let mut lines = said.lines();
            lines
                .find(|line| line.contains(&file))
                .expect("named")
                .to_owned()
        };
        for word in ["WARN", "expired", "old.test", "02 Jan 2020"] {
            assert!(line(&old.cert).contains(word), "{said}");
        }
        for word in ["INFO", "good.test", "4096"] {
            assert!(line(&good.cert).contains(word), "{said}");
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = Running::start(dir.path(), &[]);
    server.corelane.signal("-HUP");
    server.waits_to_say("there is no certificate to reload");
    sent(server.addr(), "localhost").expect("it goes on");
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
            &[one_cert, two_key, "this certificate with this key"],
        ),
        (&["--reload-certs", "5"], &["--cert"]),
        (&["--unknown-name", "drop"], &["refuse"]),
    ] {
        for backend in BACKENDS {
            let output = command(&["--listen", "127.0.0.1:0", "--tls", backend])
                .args(args)
                .output()
                .expect("the command runs");
            let said = String::from_utf8(output.stderr).expect("text");
            assert!(!output.status.success(), "{args:?}");
            for part in parts {
                assert!(said.contains(part), "{args:?}: {said}");
            }
        }
    }
}
