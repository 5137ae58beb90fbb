//! Tests which protocol is negotiated, for every backend, client, TLS version and offer.
//!
//! Prints one row per case, which `ci/alpn.py` shows as a table.

mod clients;

use std::io::{Read, Write};

use clients::Outcome;
use corelane::{AlpnMissing, Driver, service_fn};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    client::{Tls, never, rustls_config, server_name},
    for_each_tls_backend,
};
use openssl::ssl::SslVersion;

for_each_tls_backend!(
    alpn_matrix_on_io_uring,
    alpn_matrix_on_epoll,
    client_hello_in_single_bytes_is_read,
    client_hello_in_two_records_is_read,
    clients_below_tls_1_2_get_protocol_version,
);

/// The offer of a client.
struct Offer {
    name: &'static str,
    protocols: Vec<Vec<u8>>,
}

fn offers() -> Vec<Offer> {
    let offer = |name, protocols: &[&[u8]]| Offer {
        name,
        protocols: protocols.iter().map(|p| p.to_vec()).collect(),
    };
    let mut many: Vec<Vec<u8>> = (0..39).map(|i| format!("proto-{i}").into_bytes()).collect();
    many.push(b"h2".to_vec());
    vec![
        offer("h2", &[b"h2"]),
        offer("h2,http/1.1", &[b"h2", b"http/1.1"]),
        offer("http/1.1,h2", &[b"http/1.1", b"h2"]),
        offer("http/1.1", &[b"http/1.1"]),
        offer("h2c", &[b"h2c"]),
        offer("none", &[]),
        Offer {
            name: "40 protocols, h2 last",
            protocols: many,
        },
        offer("255-byte name and h2", &[&[b'x'; 255], b"h2"]),
        offer("GREASE and h2", &[b"\x0a\x0a", b"h2", b"\x1a\x1a"]),
    ]
}

/// The rule, written a second time from RFC 7301 section 3.2 and RFC 9113 section 3.2.
fn expected(backend: Backend, tls: Tls, offer: &Offer, missing: AlpnMissing) -> Outcome {
    const PROTOCOL_VERSION: u8 = 70;
    const NO_APPLICATION_PROTOCOL: u8 = 120;
    let h2 = offer.protocols.iter().any(|name| name == b"h2");
    let allowed = offer.protocols.is_empty() && missing == AlpnMissing::Allow;
    if !h2 && !allowed {
        return Outcome::Alert(Some(NO_APPLICATION_PROTOCOL));
    }
    if tls == Tls::V1_3 && !backend.tls_1_3 {
        return Outcome::Alert(Some(PROTOCOL_VERSION));
    }
    Outcome::Served(h2.then(|| b"h2".to_vec()))
}

fn alpn_matrix_on_io_uring(backend: Backend) {
    if Drivers::all().contains(&Driver::IoUring) {
        alpn_matrix(backend, Driver::IoUring);
    }
}

fn alpn_matrix_on_epoll(backend: Backend) {
    alpn_matrix(backend, Driver::Epoll);
}

fn alpn_matrix(backend: Backend, driver: Driver) {
    let mut surprises = Vec::new();
    for missing in [AlpnMissing::Reject, AlpnMissing::Allow] {
        let server = TestServer::with(
            backend.acceptor(),
            driver,
            |builder| builder.alpn_missing(missing),
            |_| service_fn(never),
        );
        let (mut refused, mut completed) = (0, 0);
        for client in clients::ALL {
            for tls in [Tls::V1_2, Tls::V1_3] {
                for offer in offers() {
                    let want = expected(backend, tls, &offer, missing);
                    let protocols: Vec<&[u8]> = offer.protocols.iter().map(|p| &p[..]).collect();
                    let got = (client.connect)(server.addr, tls, &protocols);
                    let ok = got.matches(&want, client.sees);
                    let row = [
                        backend.name,
                        driver_name(driver),
                        policy(missing),
                        client.name,
                        tls.name(),
                        offer.name,
                        &got.to_string(),
                        if ok { "ok" } else { "SURPRISE" },
                    ]
                    .join(" | ");
                    println!("ALPN | {row}");
                    if !ok {
                        surprises.push(format!("{row}, expected {want}"));
                    }
                    match want {
                        Outcome::Alert(Some(120)) => refused += 1,
                        Outcome::Served(_) => completed += 1,
                        _ => {}
                    }
                }
            }
        }
        server.wait_for("every outcome is counted", |counters| {
            counters.alpn_refused == refused && counters.handshakes_completed == completed
        });
    }
    assert!(surprises.is_empty(), "\n{}", surprises.join("\n"));
}

fn driver_name(driver: Driver) -> &'static str {
    match driver {
        Driver::IoUring => "io-uring",
        Driver::Epoll => "epoll",
        _ => "auto",
    }
}

fn policy(missing: AlpnMissing) -> &'static str {
    match missing {
        AlpnMissing::Allow => "allow",
        _ => "reject",
    }
}

fn client_hello_in_single_bytes_is_read(backend: Backend) {
    handshake_with(backend, |hello, write| {
        for byte in hello {
            write(std::slice::from_ref(byte));
        }
    });
}

fn client_hello_in_two_records_is_read(backend: Backend) {
    handshake_with(backend, |hello, write| {
        let (header, body) = hello.split_at(5);
        for half in [&body[..body.len() / 2], &body[body.len() / 2..]] {
            let length = u16::try_from(half.len()).expect("a short record");
            let mut record = header[..3].to_vec();
            record.extend_from_slice(&length.to_be_bytes());
            record.extend_from_slice(half);
            write(&record);
        }
    });
}

/// RFC 5246 appendix E.1. Without a common protocol ALPN comes first.
fn clients_below_tls_1_2_get_protocol_version(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        for version in [SslVersion::TLS1, SslVersion::TLS1_1] {
            for (name, alert) in [(&b"h2"[..], 70), (b"http/1.1", 120)] {
                let got = clients::openssl_with(server.addr, version, &[name]);
                assert_eq!(got, Outcome::Alert(Some(alert)));
            }
        }
    }
}

/// Completes a handshake whose ClientHello `send_hello` sends.
fn handshake_with(backend: Backend, send_hello: impl Fn(&[u8], &mut dyn FnMut(&[u8]))) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        for protocols in [&[&b"h2"[..]][..], &[b"http/1.1"]] {
            let config = rustls_config(Tls::Any, protocols);
            let mut tls = rustls::ClientConnection::new(config, server_name()).expect("a client");
            let mut tcp = clients::tcp(server.addr);
            let mut hello = Vec::new();
            tls.write_tls(&mut hello).expect("a ClientHello");
            send_hello(&hello, &mut |piece| tcp.write_all(piece).expect("sent"));
            let result = loop {
                if !tls.is_handshaking() {
                    break Ok(());
                }
                if let Err(error) = tls.complete_io(&mut tcp) {
                    break Err(error);
                }
            };
            if protocols == [b"h2"] {
                result.expect("a handshake");
                assert_eq!(tls.alpn_protocol(), Some(&b"h2"[..]));
            } else {
                let error = result.expect_err("refused").to_string();
                assert!(error.contains("NoApplicationProtocol"), "{error}");
                let mut rest = Vec::new();
                tcp.read_to_end(&mut rest).expect("closed after the alert");
            }
        }
    }
}
