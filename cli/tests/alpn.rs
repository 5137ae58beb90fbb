//! `corelane alpn` on our own server: its output in each format, and its exit status.

#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "openssl",
    feature = "native-tls"
))]

mod support;

use std::{net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use support::{
    Corelane,
    alpn::{Asked, alpn, free_port, valid},
    command,
};

/// A server and the file with its certificate.
struct Served {
    server: Corelane,
    dir: PathBuf,
}

impl Served {
    fn start(name: &str, args: &[&str]) -> Self {
        Self::on("127.0.0.1:0", name, args)
    }

    fn on(addr: &str, name: &str, args: &[&str]) -> Self {
        let own = format!("corelane-alpn-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(own);
        std::fs::create_dir_all(&dir).expect("a directory");
        let cert = dir.join("cert.pem");
        let mut all = vec!["--listen", addr, "--workers", "1", "--write-cert"];
        all.push(cert.to_str().expect("UTF-8"));
        all.extend(args);
        Self {
            server: Corelane::start(&all),
            dir,
        }
    }

    fn addr(&self) -> String {
        self.server.addr().to_string()
    }

    fn cert(&self) -> String {
        self.dir.join("cert.pem").display().to_string()
    }

    /// Runs `corelane alpn` for localhost, trusting the server's certificate.
    fn asked(&self, args: &[&str]) -> Asked {
        let cert = self.cert();
        let addr = self.addr();
        let mut all = vec!["localhost", "--connect", &addr, "--cacert", &cert];
        all.extend(args);
        alpn(&all)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

const OWN_RULES: [&str; 8] = [
    "--expect",
    "h2",
    "--expect",
    "h2,http/1.1=h2",
    "--expect",
    "http/1.1=alert:120",
    "--expect",
    "none=alert:120",
];

#[test]
fn our_server_conforms_on_each_backend() {
    for (backend, compiled_in) in [
        ("rustls", cfg!(feature = "rustls")),
        ("native-tls", cfg!(feature = "native-tls")),
        ("openssl", cfg!(feature = "openssl")),
    ] {
        if !compiled_in {
            continue;
        }
        let served = Served::start(backend, &["--tls", backend]);
        let asked = served.asked(&[]).ends_with(0);
        let asked = asked.prints("h2,http/1.1").prints("conform to the RFCs");
        assert_eq!(asked.err, "");
        let asked = served.asked(&OWN_RULES).ends_with(0);
        asked.prints("4 of 4 rules hold");
    }
}

#[test]
fn our_server_that_allows_no_alpn_serves_h2() {
    let served = Served::start("allow", &["--alpn-missing", "allow"]);
    let rules = ["--expect", "none=h2", "--expect", "malformed=alert"];
    served.asked(&rules).ends_with(0);
    served
        .asked(&["--expect", "none=alert:120"])
        .ends_with(1)
        .prints("none offered by ");
}

#[test]
fn a_broken_rule_is_shown_with_its_row() {
    let served = Served::start("short", &[]);
    served
        .asked(&["--expect", "h2", "--expect", "http/1.1=http/1.1"])
        .ends_with(1)
        .prints("1 of 2 rules hold")
        .prints("http/1.1=http/1.1 does not hold:")
        .prints("http/1.1 offered by ")
        .prints("expected http/1.1, got alert 120");
}

#[test]
fn a_rule_about_another_offer_adds_it() {
    let served = Served::start("another", &[]);
    served
        .asked(&["--expect", "spdy/3,h2=h2"])
        .ends_with(0)
        .prints("spdy/3,h2");
}

#[test]
fn json_matches_its_schema() {
    let served = Served::start("json", &[]);
    let held = served.asked(&["--format", "json"]).ends_with(0);
    let held = valid(&held.out);
    assert_eq!(held["result"], "holds");
    assert_eq!(held["server_name"], "localhost");
    assert_eq!(held["address"], served.addr());
    let rows = held["rows"].as_array().expect("rows");
    let row = |offer: &str| {
        let is = |row: &&serde_json::Value| {
            row["offer"]["text"] == offer && row["outcome"]["kind"] != "unsupported"
        };
        rows.iter().find(is).expect("tried")
    };
    assert_eq!(row("h2")["outcome"]["alpn_protocol"], "h2");
    assert_eq!(row("h2")["outcome"]["http2"]["status"], 200);
    assert_eq!(row("http/1.1")["outcome"]["number"], 120);
    assert_eq!(row("malformed: empty list")["client"], "raw");

    let broken = ["--format", "json", "--expect", "none=h2"];
    let broken = valid(&served.asked(&broken).ends_with(1).out);
    assert_eq!(broken["result"], "falls-short");
    let rule = &broken["expectations"][0];
    assert_eq!(
        (&rule["rule"], &rule["holds"]),
        (&"none=h2".into(), &false.into())
    );
    let row = rule["broken"][0]["row"].as_u64().expect("a row");
    let row = &broken["rows"][usize::try_from(row).expect("few")];
    assert_eq!(row["offer"]["text"], "none");
}

#[test]
fn junit_has_a_case_for_each_row_and_rule() {
    let served = Served::start("junit", &[]);
    let read =
        |asked: &Asked| quick_junit::Report::deserialize_from_str(&asked.out).expect("JUnit");
    let held = read(&served.asked(&["--format", "junit"]).ends_with(0));
    assert_eq!((held.failures, held.errors), (0, 0));
    assert!(held.tests > 9, "{}", held.tests);

    let rules = ["--format", "junit", "--expect", "h2", "--expect", "none=h2"];
    let broken = read(&served.asked(&rules).ends_with(1));
    assert_eq!((broken.failures, broken.errors), (1, 0));
    assert_eq!(broken.tests, held.tests + 2);
    let rule = broken.test_suites[0].test_cases.last().expect("cases");
    assert_eq!(rule.name.as_str(), "none=h2");
    assert_eq!(rule.classname.as_ref().expect("given").as_str(), "expect");
}

#[test]
fn tap_has_a_point_for_each_row_and_rule() {
    let served = Served::start("tap", &[]);
    let rules = ["--format", "tap", "--expect", "h2", "--expect", "none=h2"];
    let asked = served.asked(&rules).ends_with(1);
    let mut lines = asked.out.lines();
    assert_eq!(lines.next(), Some("TAP version 13"));
    let plan = lines.next().and_then(|line| line.strip_prefix("1.."));
    let plan: usize = plan.and_then(|n| n.parse().ok()).expect("a plan");
    let points: Vec<_> = lines
        .filter(|line| line.starts_with("ok ") || line.starts_with("not ok "))
        .collect();
    assert_eq!(points.len(), plan);
    for (index, point) in points.iter().enumerate() {
        let number = point.trim_start_matches("not ").trim_start_matches("ok ");
        let number = number.split(' ').next().expect("a number");
        assert_eq!(number, (index + 1).to_string(), "{point}");
    }
    let failed: Vec<_> = points
        .iter()
        .filter(|point| point.starts_with("not ok") && !point.contains("# TODO"))
        .collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].ends_with(" - expect: none=h2"), "{failed:?}");
}

#[test]
fn an_untrusted_certificate_falls_short_with_advice() {
    let served = Served::start("trust", &[]);
    let addr = served.addr();
    let plain = ["localhost", "--connect", &addr];
    alpn(&plain)
        .ends_with(1)
        .complains("--insecure")
        .complains("--cacert");
    alpn(&[&plain[..], &["--expect", "h2"]].concat())
        .ends_with(1)
        .complains("--insecure");
    let insecure = [&plain[..], &["--insecure"], &OWN_RULES].concat();
    assert_eq!(alpn(&insecure).ends_with(0).err, "");
    served
        .asked(&["--servername", "elsewhere.example"])
        .ends_with(1)
        .complains("--servername");
}

/// native-tls asks for no client certificate.
#[test]
#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
fn a_required_client_certificate_falls_short_with_advice() {
    for (backend, compiled_in) in [
        ("rustls", cfg!(any(feature = "aws-lc-rs", feature = "ring"))),
        ("openssl", cfg!(feature = "openssl")),
    ] {
        if compiled_in {
            required_client_certificate(backend);
        }
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "openssl"))]
fn required_client_certificate(backend: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let client = support::certificates::certificate("client");
    let files = support::certificates::Files::of(dir.path(), &client);
    let [cert, key] = [&files.cert, &files.key].map(|file| file.to_str().expect("UTF-8"));
    let served = Served::start(
        &format!("asks-{backend}"),
        &["--tls", backend, "--client-ca", cert],
    );
    let note = "The server requires a client certificate (alert 116 certificate_required)";
    served
        .asked(&[])
        .ends_with(1)
        .prints(note)
        .prints("--client-cert");
    let json = served.asked(&["--format", "json"]).ends_with(1);
    let json = valid(&json.out);
    assert_eq!(json["client_certificate_alert"], 116);
    assert!(json["note"].as_str().expect("a note").starts_with(note));
    let tap = served.asked(&["--format", "tap"]).ends_with(1);
    tap.prints(" a handshake\n").prints(note);
    served.asked(&["--expect", "h2"]).ends_with(1);
    // With a certificate that the server accepts.
    let given = ["--client-cert", cert, "--client-key", key];
    let asked = served.asked(&given).ends_with(0);
    assert!(!asked.out.contains("client certificate"), "{}", asked.out);
    // One that is missing.
    let given = ["--client-cert", cert, "--client-key", "/nonexistent"];
    served
        .asked(&given)
        .ends_with(2)
        .complains("cannot read /nonexistent");
}

#[test]
fn the_target_may_be_an_address() {
    let served = Served::start("address", &[]);
    let (addr, cert) = (served.addr(), served.cert());
    alpn(&[&addr, "--cacert", &cert]).ends_with(0);
    let port = served.server.addr().port();
    // Where localhost is [::1] first, the server is found on 127.0.0.1.
    let name = format!("localhost:{port}");
    alpn(&[&name, "--cacert", &cert]).ends_with(0);
    alpn(&[&name, "--cacert", &cert, "-4"]).ends_with(0);
    alpn(&[&name, "--cacert", &cert, "-6"]).ends_with(2);
    // Another port, and the name with its dot.
    let other_port = format!(":{port}");
    let dotted = [
        "localhost",
        "--connect",
        &other_port,
        "--servername",
        "localhost.",
    ];
    let dotted = [&dotted[..], &["--cacert", &cert]].concat();
    alpn(&dotted).ends_with(0);
}

#[test]
fn connects_over_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let served = Served::on("[::1]:0", "ipv6", &[]);
    let (addr, cert) = (served.addr(), served.cert());
    assert!(addr.starts_with("[::1]:"), "{addr}");
    alpn(&[&addr, "--cacert", &cert]).ends_with(0);
    alpn(&[&addr, "--cacert", &cert, "-6"]).ends_with(0);
}

#[test]
fn client_limits_the_rows() {
    let served = Served::start("client", &[]);
    for (client, compiled_in) in [
        ("rustls", cfg!(feature = "rustls")),
        ("openssl", cfg!(feature = "openssl")),
        ("native-tls", cfg!(feature = "native-tls")),
        ("raw", true),
    ] {
        if !compiled_in {
            continue;
        }
        let args = ["--client", client, "--format", "json"];
        let report = valid(&served.asked(&args).ends_with(0).out);
        let rows = report["rows"].as_array().expect("rows");
        assert!(!rows.is_empty());
        assert!(rows.iter().all(|row| row["client"] == client), "{rows:?}");
        // An offer that the client cannot make does not count.
        let made = rows
            .iter()
            .filter(|row| row["outcome"]["kind"] != "unsupported");
        let made = made.count();
        let table = served.asked(&["--client", client]);
        table.prints(&format!("\n{made} of {made} answers conform to the RFCs\n"));
    }
}

#[test]
fn wait_ends_when_the_server_is_up() {
    let addr = free_port().to_string();
    let mut asking = command(&["alpn", &addr, "--insecure", "--wait", "60"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the command runs");
    std::thread::sleep(Duration::from_millis(500));
    assert!(asking.try_wait().expect("a child").is_none(), "it waits");
    let _served = Served::on(&addr, "wait", &[]);
    assert_eq!(asking.wait().expect("a child").code(), Some(0));
}
