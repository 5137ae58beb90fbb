//! `corelane alpn` without a server, without TLS, and with a wrong command line.

mod support;

use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

use support::{
    DEADLINE,
    alpn::{alpn, free_port, valid},
    command,
};

#[test]
fn a_closed_port_is_unreachable() {
    let addr = free_port().to_string();
    alpn(&[&addr]).ends_with(2).complains(&addr);
    alpn(&["localhost", "--connect", &addr])
        .ends_with(2)
        .complains("refused");

    let json = alpn(&[&addr, "--format", "json"]).ends_with(2);
    assert_eq!(valid(&json.out)["result"], "unreachable");
    alpn(&[&addr, "--format", "tap"])
        .ends_with(2)
        .prints("Bail out! ");
    let junit = alpn(&[&addr, "--format", "junit"]).ends_with(2);
    let junit = quick_junit::Report::deserialize_from_str(&junit.out).expect("JUnit");
    assert_eq!(junit.errors, 1, "it is not asked again and again");
    assert_eq!(junit.failures, 0);
}

#[test]
fn a_server_that_never_answers_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound").to_string();
    let asked = alpn(&[&addr, "--timeout", "0.5"])
        .ends_with(2)
        .complains(&addr);
    assert!(asked.took < Duration::from_secs(10), "{:?}", asked.took);
}

/// A listener that is no TLS server: it answers the first bytes with these and closes.
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
fn a_server_that_only_closes_falls_short() {
    alpn(&[&sends(b"")]).ends_with(1).prints("closed");
}

#[test]
fn a_port_without_tls_is_unreachable() {
    let addr = sends(b"220 mail ESMTP\x1b[2J\r\n");
    let said = "it answered `220 mail ESMTP\\x1b[2J`";
    alpn(&[&addr]).ends_with(2).complains(said);
    alpn(&[&addr, "--expect", "malformed=alert"])
        .ends_with(2)
        .complains("STARTTLS is not supported");
    let json = alpn(&[&addr, "--format", "json"]).ends_with(2);
    let json = valid(&json.out);
    assert_eq!(json["result"], "unreachable");
    assert_eq!(json["rows"][0]["outcome"]["kind"], "not-tls");
    assert_eq!(json["rows"][0]["verdict"]["kind"], "not-judged");
    let tap = alpn(&[&addr, "--format", "tap"]).ends_with(2);
    tap.prints("Bail out! ").prints(said);
    let junit = alpn(&[&addr, "--format", "junit"]).ends_with(2);
    let junit = quick_junit::Report::deserialize_from_str(&junit.out).expect("JUnit");
    assert_eq!((junit.errors, junit.failures), (junit.tests, 0));
}

/// Without rules, a server with which no client completes a handshake falls short.
#[test]
#[cfg(any(feature = "rustls", feature = "openssl", feature = "native-tls"))]
fn a_server_that_refuses_every_offer_falls_short() {
    for (alert, note) in [
        (120, "is `h2` or `http/1.1` configured?"),
        (
            112,
            "does not know the name 127.0.0.1: give another (--servername)",
        ),
        (40, "completed no handshake"),
    ] {
        let bytes: &'static [u8] = vec![21, 3, 3, 0, 2, 2, alert].leak();
        let addr = sends(bytes);
        alpn(&[&addr]).ends_with(1).prints(note);
        let json = alpn(&[&addr, "--format", "json"]).ends_with(1);
        let json = valid(&json.out);
        let clients = json["without_handshake"].as_array().expect("clients").len();
        assert!(clients > 0 && json["note"].as_str().expect("a note").contains(note));
        let junit = alpn(&[&addr, "--format", "junit"]).ends_with(1);
        let junit = quick_junit::Report::deserialize_from_str(&junit.out).expect("JUnit");
        assert_eq!(junit.failures, clients);
        // If there are rules, only they decide.
        alpn(&[&addr, "--expect", "h2=alert"]).ends_with(0);
    }
}

#[test]
fn a_rule_without_a_client_does_not_hold() {
    let addr = sends(b"\x15\x03\x03\0\x02\x02\x32");
    let args = [&addr, "--client", "raw", "--expect", "malformed=alert:50"];
    alpn(&args).ends_with(0).prints("1 of 1 rules hold");
    let args = [&addr, "--client", "raw", "--expect", "h2"];
    alpn(&args)
        .ends_with(1)
        .prints("no client")
        .prints("add --client rustls");
    // The report lists no offers that the client cannot make. Naming the client twice changes
    // nothing.
    let args = [&addr, "--client", "raw", "--client", "raw"];
    let asked = alpn(&args);
    assert!(!asked.out.contains("not offered"), "{}", asked.out);
    assert_eq!(asked.out.matches("malformed: empty list").count(), 1);
}

#[test]
fn colours_only_on_terminals() {
    let addr = sends(b"");
    let line = format!("{} alpn {addr}", env!("CARGO_BIN_EXE_corelane"));
    let on_terminal = |no_colour: &str, term: &str| {
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null());
        // There is none on this host.
        let output = script
            .env("NO_COLOR", no_colour)
            .env("TERM", term)
            .output()
            .ok()?;
        assert_eq!(output.status.code(), Some(1));
        Some(output.stdout.contains(&0x1b))
    };
    assert_ne!(on_terminal("", "xterm"), Some(false));
    assert_ne!(on_terminal("1", "xterm"), Some(true));
    assert_ne!(on_terminal("", "dumb"), Some(true));
    assert!(!alpn(&[&addr]).out.contains('\x1b'));
}

#[test]
fn wait_ends_at_its_limit() {
    let addr = free_port().to_string();
    let asked = alpn(&[&addr, "--wait", "0.5"])
        .ends_with(2)
        .complains(&addr);
    assert!(asked.took >= Duration::from_millis(500), "{:?}", asked.took);
    assert!(asked.took < DEADLINE);
    // A server that never answers does not extend the wait.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = listener.local_addr().expect("bound").to_string();
    let asked = alpn(&[&silent, "--wait", "0.5"]).ends_with(2);
    assert!(asked.took < Duration::from_secs(4), "{:?}", asked.took);
    // A server that only closes is not up, but its report appears at the end.
    let closing = sends(b"");
    let asked = alpn(&[&closing, "--wait", "0.5"]).ends_with(1);
    assert!(asked.took >= Duration::from_millis(500), "{:?}", asked.took);
    asked.prints("malformed: empty list");
    let nowhere = ["nowhere.invalid", "--wait", "0.5"];
    let asked = alpn(&nowhere).ends_with(2).complains("nowhere.invalid");
    assert!(asked.took >= Duration::from_millis(500), "{:?}", asked.took);
}

#[test]
fn mistakes_get_advice() {
    for (args, advice) in [
        (&["https://example.org/"][..], "HOST:PORT"),
        (&["example.org:https"], "1 to 65535"),
        (&["::1"], "brackets"),
        (&[], "HOST:PORT"),
        (&["localhost:1", "--expect", "h2=alert:many"], "--expect"),
        (
            &["localhost:1", "--expect", "h2", "--expect", "h2=alert"],
            "contradict",
        ),
        (&["localhost:1", "--expect", "http1.1=alert"], "http/1.1?"),
        (&["localhost:1", "--timeout", "0"], "seconds"),
        (&["localhost:1", "--connect", "a b"], "no host"),
        (&["localhost:1", "--client", "schannel"], "native-tls"),
        (&["localhost:1", "--insecure", "--cacert", "x"], "--cacert"),
        (&["localhost:1", "--client-cert", "x"], "--client-key"),
        (&["localhost:1", "--client-key", "x"], "--client-cert"),
        (&["localhost:1", "-4", "-6"], "--ipv6"),
        (&["127.0.0.1:1", "-6"], "no IPv6 address"),
        (&["[::1]:1", "-4"], "no IPv4 address"),
        (&["nowhere.invalid"], "nowhere.invalid"),
        (
            &["localhost:1", "--cacert", "/nonexistent/ca.pem"],
            "/nonexistent/ca.pem",
        ),
        (
            &["localhost:1", "--cacert", "/dev/null"],
            "/dev/null contains no",
        ),
    ] {
        alpn(args).ends_with(2).complains(advice);
    }
    // `alpn` takes no options of the server.
    let output = command(&["--workers", "2", "alpn", "localhost"]).output();
    assert_eq!(output.expect("runs").status.code(), Some(2));
}

#[test]
fn a_missing_client_is_named_with_its_feature() {
    for (client, compiled_in) in [
        ("rustls", cfg!(feature = "rustls")),
        ("openssl", cfg!(feature = "openssl")),
        ("native-tls", cfg!(feature = "native-tls")),
    ] {
        if !compiled_in {
            alpn(&["localhost:1", "--client", client])
                .ends_with(2)
                .complains(&format!("--features {client}"));
        }
    }
}
