//! Tests the groups of a connection.

use std::{ffi::CStr, os::unix::net::UnixStream, thread, time::Duration};

use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};

use super::context;
use crate::{groups::without_getter, key_exchange_group, set_groups};

/// The group of a handshake; `None` if it fails.
fn negotiate(version: SslVersion, ours: &CStr, theirs: &str) -> Option<u16> {
    let (server, client) = UnixStream::pair().expect("sockets");
    for socket in [&server, &client] {
        let deadline = Some(Duration::from_secs(60));
        socket.set_read_timeout(deadline).expect("a time-out");
    }
    let mut ssl = Ssl::new(&context(|_| {})).expect("a session");
    set_groups(&mut ssl, ours).expect("set");
    let serve = thread::spawn(move || {
        let tls = ssl.accept(server).ok()?;
        let group = key_exchange_group(tls.ssl());
        assert_eq!(without_getter::negotiated(tls.ssl()), group);
        Some(group.expect("a key exchange"))
    });
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("a context");
    context.set_verify(SslVerifyMode::NONE);
    context.set_min_proto_version(Some(version)).expect("set");
    context.set_max_proto_version(Some(version)).expect("set");
    context.set_groups_list(theirs).expect("groups");
    let ssl = Ssl::new(&context.build()).expect("a session");
    let connected = ssl.connect(client).is_ok();
    let group = serve.join().expect("no panic");
    assert_eq!(connected, group.is_some());
    group
}

#[test]
fn a_connection_has_groups_of_its_own() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (ours, number) in [
            (c"P-256", 23),
            (c"P-384", 24),
            (c"P-521", 25),
            (c"X25519", 29),
            (c"X448", 30),
        ] {
            let got = negotiate(version, ours, "X25519:P-521:X448:P-384:P-256");
            assert_eq!(got, Some(number), "{ours:?}");
        }
        assert_eq!(negotiate(version, c"X448:P-521", "X25519:P-256"), None);
    }
    let mut ssl = Ssl::new(&context(|_| {})).expect("a session");
    set_groups(&mut ssl, c"P-256:no such group").expect_err("unknown");
}
