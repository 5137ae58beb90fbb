//! `corelane alpn` as a user has it: what it prints in each format, and how it ends.

mod support;

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{DEADLINE, command};

/// How `corelane alpn` ended and what it said.
struct Asked {
    status: Option<i32>,
    out: String,
    err: String,
    took: Duration,
}

fn alpn(args: &[&str]) -> Asked {
    let begun = Instant::now();
    let output = command(&["alpn"]).args(args).output();
    let output = output.expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let asked = Asked {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
        took: begun.elapsed(),
    };
    assert!(!asked.err.contains("panicked"), "{}", asked.err);
    asked
}

impl Asked {
    #[track_caller]
    fn ends_with(self, status: i32) -> Self {
        let Self { out, err, .. } = &self;
        assert_eq!(self.status, Some(status), "out:\n{out}\nerr:\n{err}");
        self
    }

    #[track_caller]
    fn prints(self, text: &str) -> Self {
        assert!(self.out.contains(text), "{text:?} is not in:\n{}", self.out);
        self
    }

    #[track_caller]
    fn complains(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in:\n{}", self.err);
        self
    }
}

/// A port on which nobody listens.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}

mod schema {
    use serde_json::Value;

    pub(crate) fn valid(text: &str) -> Value {
        let schema: Value =
            serde_json::from_str(include_str!("../schema/alpn-report.json")).expect("JSON");
        jsonschema::meta::validate(&schema).expect("a JSON Schema");
        let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
        let report: Value = serde_json::from_str(text).expect("JSON");
        let errors: Vec<_> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
        report
    }
}

#[test]
fn a_server_that_is_not_there() {
    let addr = free_port().to_string();
    alpn(&[&addr]).ends_with(2).complains(&addr);
    alpn(&["localhost", "--connect", &addr])
        .ends_with(2)
        .complains("refused");

    let json = alpn(&[&addr, "--format", "json"]).ends_with(2);
    assert_eq!(schema::valid(&json.out)["result"], "unreachable");
    alpn(&[&addr, "--format", "tap"])
        .ends_with(2)
        .prints("Bail out! ");
    let junit = alpn(&[&addr, "--format", "junit"]).ends_with(2);
    let junit = quick_junit::Report::deserialize_from_str(&junit.out).expect("JUnit");
    assert_eq!(junit.errors, 1, "it is not asked again and again");
    assert_eq!(junit.failures, 0);
}

#[test]
fn a_server_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound").to_string();
    let asked = alpn(&[&addr, "--timeout", "0.5"])
        .ends_with(2)
        .complains(&addr);
    assert!(asked.took < Duration::from_secs(10), "{:?}", asked.took);
}

/// A server that is none: sends these bytes to whoever has sent something, and closes.
fn sends(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = std::io::Read::read(&mut stream, &mut [0; 16 * 1024]);
            let _ = stream.write_all(bytes);
        }
    });
    addr
}

#[test]
fn a_server_that_closes_proves_nothing() {
    alpn(&[&sends(b"")]).ends_with(1).prints("closed");
}

#[test]
fn a_server_without_tls() {
    let addr = sends(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    alpn(&[&addr]).ends_with(1).prints("VIOLATES");
    alpn(&[&addr, "--expect", "malformed=alert"])
        .ends_with(1)
        .prints("malformed=alert does not hold:");
}

#[test]
fn a_rule_that_no_client_can_try_does_not_hold() {
    let addr = sends(b"\x15\x03\x03\0\x02\x02\x32");
    let args = [&addr, "--client", "raw", "--expect", "malformed=alert:50"];
    alpn(&args).ends_with(0).prints("1 of 1 rules hold");
    let args = [&addr, "--client", "raw", "--expect", "h2"];
    alpn(&args).ends_with(1).prints("no client");
}

#[test]
fn colours_are_for_terminals() {
    let addr = sends(b"");
    let line = format!("{} alpn {addr}", env!("CARGO_BIN_EXE_corelane"));
    let on_terminal = |no_colour: &str| {
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null());
        // There is none on this host.
        let output = script.env("NO_COLOR", no_colour).output().ok()?;
        assert_eq!(output.status.code(), Some(1));
        Some(output.stdout.contains(&0x1b))
    };
    assert_ne!(on_terminal(""), Some(false));
    assert_ne!(on_terminal("1"), Some(true));
    assert!(!alpn(&[&addr]).out.contains('\x1b'));
}

#[test]
fn waiting_in_vain_ends() {
    let addr = free_port().to_string();
    let asked = alpn(&[&addr, "--wait", "0.5"])
        .ends_with(2)
        .complains(&addr);
    assert!(asked.took >= Duration::from_millis(500), "{:?}", asked.took);
    assert!(asked.took < DEADLINE);
    let nowhere = ["nowhere.invalid", "--wait", "0.5"];
    let asked = alpn(&nowhere).ends_with(2).complains("nowhere.invalid");
    assert!(asked.took >= Duration::from_millis(500), "{:?}", asked.took);
}

#[test]
fn mistakes_are_explained() {
    for (args, advice) in [
        (&["https://example.org/"][..], "HOST:PORT"),
        (&["example.org:https"], "1 to 65535"),
        (&["::1"], "brackets"),
        (&[], "HOST:PORT"),
        (&["localhost:1", "--expect", "h2=alert:many"], "--expect"),
        (&["localhost:1", "--timeout", "0"], "seconds"),
        (&["localhost:1", "--connect", "a b"], "no host"),
        (&["localhost:1", "--client", "schannel"], "native-tls"),
        (&["localhost:1", "--insecure", "--cacert", "x"], "--cacert"),
        (&["localhost:1", "-4", "-6"], "--ipv6"),
        (&["127.0.0.1:1", "-6"], "no IPv6 address"),
        (&["[::1]:1", "-4"], "no IPv4 address"),
        (&["nowhere.invalid"], "nowhere.invalid"),
        (
            &["localhost:1", "--cacert", "/nonexistent/ca.pem"],
            "/nonexistent/ca.pem",
        ),
    ] {
        alpn(args).ends_with(2).complains(advice);
    }
    // An option of the server is none of this.
    let output = command(&["--workers", "2", "alpn", "localhost"]).output();
    assert_eq!(output.expect("runs").status.code(), Some(2));
}

#[test]
fn a_client_that_is_not_compiled_in_is_named_with_its_feature() {
    for (client, compiled_in) in [
        ("rustls", cfg!(feature = "rustls")),
        ("native-tls", cfg!(feature = "native-tls")),
    ] {
        if !compiled_in {
            alpn(&["localhost:1", "--client", client])
                .ends_with(2)
                .complains(&format!("--features {client}"));
        }
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring", feature = "native-tls"))]
mod over_tls {
    use std::path::PathBuf;

    use super::{support::Corelane, *};

    /// A server, and the file that holds its certificate.
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

        /// Asks it as localhost, trusting its certificate.
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
    fn our_server_is_as_it_should_be() {
        for (backend, compiled_in) in [
            ("rustls", cfg!(feature = "rustls")),
            ("native-tls", cfg!(feature = "native-tls")),
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
    fn our_server_that_allows_no_alpn() {
        let served = Served::start("allow", &["--alpn-missing", "allow"]);
        let rules = ["--expect", "none=h2", "--expect", "malformed=alert"];
        served.asked(&rules).ends_with(0);
        served
            .asked(&["--expect", "none=alert:120"])
            .ends_with(1)
            .prints("none offered by ");
    }

    #[test]
    fn a_rule_that_falls_short_is_shown_with_its_row() {
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
    fn json_is_by_its_schema() {
        let served = Served::start("json", &[]);
        let held = served.asked(&["--format", "json"]).ends_with(0);
        let held = schema::valid(&held.out);
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
        let broken = schema::valid(&served.asked(&broken).ends_with(1).out);
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
        assert_eq!(lines.next(), Some("TAP version 14"));
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
    fn a_certificate_that_is_not_trusted() {
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

    #[test]
    fn the_address_itself_may_be_asked() {
        let served = Served::start("address", &[]);
        let (addr, cert) = (served.addr(), served.cert());
        alpn(&[&addr, "--cacert", &cert]).ends_with(0);
        let port = served.server.addr().port();
        // Where localhost is [::1] first, the server is found on 127.0.0.1.
        let name = format!("localhost:{port}");
        alpn(&[&name, "--cacert", &cert]).ends_with(0);
        alpn(&[&name, "--cacert", &cert, "-4"]).ends_with(0);
        alpn(&[&name, "--cacert", &cert, "-6"]).ends_with(2);
    }

    #[test]
    fn over_ipv6() {
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
    fn one_client_alone() {
        let served = Served::start("client", &[]);
        let client = match cfg!(feature = "rustls") {
            true => "rustls",
            false => "native-tls",
        };
        for client in [client, "raw"] {
            let args = ["--client", client, "--format", "json"];
            let report = schema::valid(&served.asked(&args).ends_with(0).out);
            let rows = report["rows"].as_array().expect("rows");
            assert!(!rows.is_empty());
            assert!(rows.iter().all(|row| row["client"] == client), "{rows:?}");
        }
    }

    #[test]
    fn it_waits_until_the_server_is_up() {
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
}
