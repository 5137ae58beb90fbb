//! Tests which protocol is negotiated, for every backend, client, TLS version and offer.
//!
//! Prints one row per case, which `ci/alpn.py` shows as a table.

mod challenge;
mod clients;

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    sync::Arc,
};

use clients::{GET, Outcome, PREFACE, Speech};
use corelane::{
    AlpnMissing, Body, ConnectionInfo, Driver, ProtocolName, ProtocolStream, service_fn,
    tls::TlsConfig,
};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::identity,
    client::{Tls, never, rustls_config, server_name},
    for_each_tls_backend,
};
use http::{Request, Response};
use openssl::ssl::SslVersion;
use tokio::io::AsyncWriteExt;

for_each_tls_backend!(
    alpn_matrix_on_io_uring,
    alpn_matrix_on_epoll,
    client_hello_in_single_bytes_is_read,
    client_hello_in_two_records_is_read,
    clients_below_tls_1_2_get_protocol_version,
);

/// A server with this list of protocols.
struct Served {
    name: &'static str,
    protocols: &'static [&'static [u8]],
    missing: AlpnMissing,
}

const OWN: &[u8] = b"x-own";

const fn served(
    name: &'static str,
    protocols: &'static [&'static [u8]],
    missing: AlpnMissing,
) -> Served {
    Served {
        name,
        protocols,
        missing,
    }
}

/// The first two have the names of the policy, because they serve what is the default.
const SERVED: &[Served] = &[
    served("reject", &[b"h2"], AlpnMissing::Reject),
    served("allow", &[b"h2"], AlpnMissing::Allow),
    served("h2,x-own", &[b"h2", OWN], AlpnMissing::Reject),
    served("x-own,h2", &[OWN, b"h2"], AlpnMissing::Allow),
    #[cfg(feature = "http1")]
    served("h2,http/1.1", &[b"h2", b"http/1.1"], AlpnMissing::Reject),
    #[cfg(feature = "http1")]
    served(
        "h2,http/1.1, allow",
        &[b"h2", b"http/1.1"],
        AlpnMissing::Allow,
    ),
    #[cfg(feature = "http1")]
    served(
        "http/1.1,http/1.0",
        &[b"http/1.1", b"http/1.0"],
        AlpnMissing::Reject,
    ),
];

impl Served {
    fn serves(&self, protocol: &[u8]) -> bool {
        self.protocols.contains(&protocol)
    }

    fn names(&self) -> Vec<ProtocolName> {
        let names = self.protocols.iter();
        let names = names.map(|name| ProtocolName::new(*name).expect("a short name"));
        names.collect()
    }

    fn start(&self, backend: Backend, driver: Driver) -> TestServer {
        let config = TlsConfig::new(identity()).alpn_protocols(self.names());
        TestServer::with(
            (backend.make)(&config).expect("an acceptor"),
            driver,
            |builder| {
                let builder = builder.protocols(self.names()).alpn_missing(self.missing);
                match self.serves(OWN) {
                    true => builder.protocol(ProtocolName::from_static(OWN), echo),
                    false => builder,
                }
            },
            |_| service_fn(hello),
        )
    }
}

async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello\n".into()))
}

async fn echo(stream: ProtocolStream, _client: Arc<ConnectionInfo>) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}

/// The offer of a client.
struct Offer {
    name: &'static str,
    protocols: Vec<Vec<u8>>,
    /// What a client without ALPN sends first.
    without_alpn: &'static [u8],
}

fn offers() -> Vec<Offer> {
    let offer = |name, protocols: &[&[u8]]| Offer {
        name,
        protocols: protocols.iter().map(|p| p.to_vec()).collect(),
        without_alpn: PREFACE,
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
            without_alpn: GET,
            ..offer("none, HTTP/1.1", &[])
        },
        offer("http/1.0", &[b"http/1.0"]),
        offer("x-own,h2", &[OWN, b"h2"]),
        offer("http/1.1,x-own", &[b"http/1.1", OWN]),
        Offer {
            protocols: many,
            ..offer("40 protocols, h2 last", &[])
        },
        offer("255-byte name and h2", &[&[b'x'; 255], b"h2"]),
        offer("GREASE and h2", &[b"\x0a\x0a", b"h2", b"\x1a\x1a"]),
    ]
}

/// The rule, written a second time from RFC 7301 section 3.2 and RFC 9113 section 3.2.
fn expected(backend: Backend, tls: Tls, offer: &Offer, server: &Served) -> Outcome {
    const PROTOCOL_VERSION: u8 = 70;
    const NO_APPLICATION_PROTOCOL: u8 = 120;
    let h2_allowed = server.serves(b"h2") && server.missing == AlpnMissing::Allow;
    let speech = match (offer.protocols.is_empty(), offer.without_alpn) {
        (true, PREFACE) if h2_allowed => Some((None, Speech::Http2)),
        (true, PREFACE) if server.serves(b"http/1.1") => Some((None, Speech::Http1(505))),
        (true, _) if server.serves(b"http/1.1") => Some((None, Speech::Http1(200))),
        (true, _) if h2_allowed => Some((None, Speech::Http1(505))),
        (true, _) => None,
        (false, _) => {
            let mut served = server.protocols.iter();
            let chosen = served.find(|&&name| offer.protocols.iter().any(|other| other == name));
            chosen.map(|&name| {
                let speech = match name {
                    b"h2" => Speech::Http2,
                    b"http/1.1" | b"http/1.0" => Speech::Http1(200),
                    _ => Speech::Echo,
                };
                (Some(name.to_vec()), speech)
            })
        }
    };
    match speech {
        None => Outcome::Alert(Some(NO_APPLICATION_PROTOCOL)),
        Some(_) if tls == Tls::V1_3 && !backend.tls_1_3 => Outcome::Alert(Some(PROTOCOL_VERSION)),
        Some((alpn, speech)) => Outcome::Served(alpn, speech),
    }
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
    for served in SERVED {
        let server = served.start(backend, driver);
        let (mut refused, mut completed) = (0, 0);
        for client in clients::ALL {
            for tls in [Tls::V1_2, Tls::V1_3] {
                for offer in offers() {
                    let want = expected(backend, tls, &offer, served);
                    let protocols: Vec<&[u8]> = offer.protocols.iter().map(|p| &p[..]).collect();
                    let got = (client.connect)(server.addr, tls, &protocols, offer.without_alpn);
                    let ok = got.matches(&want, client.sees);
                    let row = [
                        backend.name,
                        driver_name(driver),
                        served.name,
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
                        // Such a client without ALPN has failed its handshake if HTTP/1.1 is not served.
                        Outcome::Served(None, Speech::Http1(505))
                            if !served.serves(b"http/1.1") => {}
                        Outcome::Served(..) => completed += 1,
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
                let got = clients::openssl_with(server.addr, version, &[name], PREFACE);
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
