//! The example gets a certificate from an authority in the test, which checks its challenge.

use std::{sync::mpsc, thread, time::Duration};

use futures::{StreamExt, executor};
use rustls_acme::{AcmeConfig, EventOk, acme::ACME_TLS_ALPN_NAME};

use super::{
    authority::Authority,
    client::{connect, get},
    serve,
};

const NAME: &str = "example.test";

/// For all that rustls-acme does; it waits a second before it asks whether the challenge was passed.
pub const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn certificate_is_issued_after_the_challenge_and_served_to_other_clients() {
    let (authority, url) = Authority::start(NAME);
    let config = AcmeConfig::new_with_client_config([NAME], authority.trusting_client());
    let mut acme = config.directory(url).state();
    let server = serve(&acme, "127.0.0.1:0").expect("loopback");
    let addr = server.local_addrs()[0];
    authority.validate_at(addr);
    // There is no certificate yet, and no challenge.
    for offer in [&[b"h2".as_slice()][..], &[ACME_TLS_ALPN_NAME]] {
        connect(addr, NAME, offer).expect_err("no certificate");
    }

    let (send, events) = mpsc::channel();
    thread::spawn(move || {
        executor::block_on(async {
            while let Some(event) = acme.next().await {
                if send.send(event).is_err() {
                    break;
                }
            }
        });
    });
    loop {
        let event = events.recv_timeout(DEADLINE).expect("a certificate");
        if matches!(event.expect("no failure"), EventOk::DeployedNewCert) {
            break;
        }
    }
    assert_eq!(authority.validations(), 1);

    let issued = authority.certificate().expect("issued");
    for (offer, chosen) in [
        (&[b"h2".as_slice(), b"http/1.1"][..], b"h2".as_slice()),
        (&[b"http/1.1"], b"http/1.1"),
        // The authority offers nothing else.
        (&[ACME_TLS_ALPN_NAME, b"http/1.1"], b"http/1.1"),
    ] {
        let stream = connect(addr, NAME, offer).expect("a handshake");
        assert_eq!(stream.conn.alpn_protocol(), Some(chosen));
        let shown = stream.conn.peer_certificates().expect("a certificate");
        assert_eq!(shown[0], issued);
    }
    let answer = get(connect(addr, NAME, &[b"http/1.1"]).expect("a handshake"));
    assert!(answer.ends_with("hello over HTTP/1.1\n"), "{answer}");
    connect(addr, NAME, &[ACME_TLS_ALPN_NAME]).expect_err("the challenge is over");

    server.shutdown(Duration::ZERO);
    server.wait().expect("no worker panicked");
}
