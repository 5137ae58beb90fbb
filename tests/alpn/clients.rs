//! The clients of the matrix, one per library.

use std::{
    collections::HashMap,
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
};

use monoio::io::{AsyncReadRentExt, AsyncWriteRentExt};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};

use corelane_test_support::client::{DEADLINE, Tls, rustls_config, server_name};

/// The outcome of a connection, as the client saw it.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handshake chose this protocol by ALPN, and the server spoke this one.
    Served(Option<Vec<u8>>, Speech),
    /// The handshake failed, with an alert if its number is known.
    Alert(Option<u8>),
    /// Any other outcome, described.
    Other(String),
}

/// What a server answered to the first bytes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    Http2,
    Http1(u16),
    /// The same bytes.
    Echo,
}

/// The part of an outcome that a client can detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    TheAlert,
    /// Only the failure of the handshake.
    AFailure,
}

impl Outcome {
    pub fn matches(&self, wanted: &Self, seen: Seen) -> bool {
        match (self, wanted, seen) {
            (Self::Alert(None), Self::Alert(_), Seen::AFailure) => true,
            _ => self == wanted,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served(Some(name), _) => write!(f, "{}", name.escape_ascii()),
            Self::Served(None, Speech::Http2) => f.write_str("no ALPN, HTTP/2 served"),
            Self::Served(None, speech) => write!(f, "no ALPN, {speech:?}"),
            Self::Alert(Some(number)) => write!(f, "alert {number}"),
            Self::Alert(None) => f.write_str("handshake failed"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// Offers these protocols. Without any it begins with `without_alpn`.
type Connect = fn(SocketAddr, Tls, offer: &[&[u8]], without_alpn: &'static [u8]) -> Outcome;

pub struct Client {
    pub name: &'static str,
    pub sees: Seen,
    pub connect: Connect,
}

pub const ALL: [Client; 4] = [
    Client {
        name: "rustls",
        sees: Seen::TheAlert,
        connect: rustls,
    },
    Client {
        name: "openssl",
        sees: Seen::TheAlert,
        connect: openssl,
    },
    Client {
        name: "monoio-rustls",
        sees: Seen::AFailure,
        connect: monoio_rustls,
    },
    Client {
        name: "monoio-native-tls",
        sees: Seen::AFailure,
        connect: monoio_native_tls,
    },
];

/// The preface of HTTP/2 with an empty SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const OWN: &[u8] = b"hello, hello";
/// The bytes of an answer that are read: "HTTP/1.1 200".
const ANSWER: usize = 12;

/// The first bytes of a client.
fn opening(alpn: Option<&[u8]>, without_alpn: &'static [u8]) -> &'static [u8] {
    match alpn {
        None => without_alpn,
        Some(b"h2") => PREFACE,
        Some(b"http/1.1" | b"http/1.0") => GET,
        Some(_) => OWN,
    }
}

fn served(answer: &[u8], alpn: Option<Vec<u8>>) -> Outcome {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    let status = text.strip_prefix("HTTP/1.1 ").map(str::parse);
    let speech = match (answer, status) {
        // The header of SETTINGS on stream 0, which a server sends first.
        ([_, _, _, 4, 0, 0, 0, 0, 0, ..], _) => Speech::Http2,
        (_, Some(Ok(status))) => Speech::Http1(status),
        (OWN, _) => Speech::Echo,
        _ => return Outcome::Other(format!("answered {answer:?}")),
    };
    Outcome::Served(alpn, speech)
}

fn other(error: impl fmt::Display) -> Outcome {
    Outcome::Other(error.to_string())
}

pub fn tcp(addr: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_nodelay(true).expect("nodelay");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    tcp
}

fn rustls(addr: SocketAddr, tls: Tls, alpn: &[&[u8]], without_alpn: &'static [u8]) -> Outcome {
    let connection = rustls::ClientConnection::new(rustls_config(tls, alpn), server_name());
    let mut stream = rustls::StreamOwned::new(connection.expect("a client"), tcp(addr));
    while stream.conn.is_handshaking() {
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            return match error.downcast::<rustls::Error>() {
                Ok(rustls::Error::AlertReceived(alert)) => Outcome::Alert(Some(alert.into())),
                Ok(error) => other(error),
                Err(error) => other(error),
            };
        }
    }
    let protocol = stream.conn.alpn_protocol().map(<[u8]>::to_vec);
    let mut answer = [0; ANSWER];
    let exchanged = stream
        .write_all(opening(protocol.as_deref(), without_alpn))
        .and_then(|()| stream.read_exact(&mut answer));
    exchanged.map_or_else(other, |()| served(&answer, protocol))
}

fn openssl(addr: SocketAddr, tls: Tls, alpn: &[&[u8]], without_alpn: &'static [u8]) -> Outcome {
    let version = match tls {
        Tls::V1_2 => SslVersion::TLS1_2,
        Tls::V1_3 | Tls::Any => SslVersion::TLS1_3,
    };
    openssl_with(addr, version, alpn, without_alpn)
}

pub fn openssl_with(
    addr: SocketAddr,
    version: SslVersion,
    alpn: &[&[u8]],
    without_alpn: &'static [u8],
) -> Outcome {
    // A connector would read the system's certificates each time.
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("a client");
    context.set_verify(SslVerifyMode::NONE);
    // Versions below TLS 1.2 need it.
    context.set_security_level(0);
    let version = Some(version);
    context.set_min_proto_version(version).expect("a version");
    context.set_max_proto_version(version).expect("a version");
    if !alpn.is_empty() {
        let mut list = Vec::new();
        for name in alpn {
            list.push(u8::try_from(name.len()).expect("a short name"));
            list.extend_from_slice(name);
        }
        context.set_alpn_protos(&list).expect("protocols");
    }
    let session = Ssl::new(&context.build()).expect("a session");
    match session.connect(tcp(addr)) {
        Ok(mut stream) => {
            let protocol = stream.ssl().selected_alpn_protocol().map(<[u8]>::to_vec);
            let mut answer = [0; ANSWER];
            let exchanged = stream
                .write_all(opening(protocol.as_deref(), without_alpn))
                .and_then(|()| stream.read_exact(&mut answer));
            exchanged.map_or_else(other, |()| served(&answer, protocol))
        }
        Err(openssl::ssl::HandshakeError::Failure(stream)) => {
            // OpenSSL reports a received alert as reason 1000 plus the alert's number.
            let alert = stream.error().ssl_error().and_then(|stack| {
                let reason = stack.errors().first()?.reason_code() - 1000;
                u8::try_from(reason).ok()
            });
            match alert {
                Some(alert) => Outcome::Alert(Some(alert)),
                None => other(stream.error()),
            }
        }
        Err(error) => other(error),
    }
}

fn monoio<F: Future>(future: F) -> F::Output {
    monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .enable_timer()
        .build()
        .expect("a runtime")
        .block_on(async {
            monoio::time::timeout(DEADLINE, future)
                .await
                .expect("the test hangs")
        })
}

/// These streams support one direction at a time: sends the first bytes, then reads the answer.
async fn exchange<S>(mut stream: S, alpn: Option<Vec<u8>>, without_alpn: &'static [u8]) -> Outcome
where
    S: monoio::io::AsyncReadRent + monoio::io::AsyncWriteRent,
{
    let first = opening(alpn.as_deref(), without_alpn);
    let (sent, _) = stream.write_all(first.to_vec()).await;
    if let Err(error) = sent {
        return other(error);
    }
    if let Err(error) = stream.flush().await {
        return other(error);
    }
    let (read, answer) = stream.read_exact(vec![0; ANSWER]).await;
    read.map_or_else(other, |_| served(&answer, alpn))
}

fn monoio_rustls(
    addr: SocketAddr,
    tls: Tls,
    alpn: &[&[u8]],
    without_alpn: &'static [u8],
) -> Outcome {
    let connector = monoio_rustls::TlsConnector::from(rustls_config(tls, alpn));
    monoio(async {
        let tcp = monoio::net::TcpStream::connect(addr)
            .await
            .expect("connects");
        match connector.connect(server_name(), tcp).await {
            Ok(stream) => {
                let protocol = stream.alpn_protocol();
                exchange(stream, protocol, without_alpn).await
            }
            Err(_) => Outcome::Alert(None),
        }
    })
}

/// native-tls reads the system's certificates for each connector, so each connector is made once.
fn native_tls_connector(tls: Tls, alpn: &[&[u8]]) -> native_tls::TlsConnector {
    type Connectors = HashMap<(Tls, Vec<String>), native_tls::TlsConnector>;
    static MADE: Mutex<Option<Connectors>> = Mutex::new(None);
    let version = Some(match tls {
        Tls::V1_2 => native_tls::Protocol::Tlsv12,
        Tls::V1_3 | Tls::Any => native_tls::Protocol::Tlsv13,
    });
    let names: Vec<_> = alpn
        .iter()
        .map(|name| String::from_utf8(name.to_vec()).expect("UTF-8"))
        .collect();
    let mut made = MADE.lock().expect("no panic");
    let connector = made
        .get_or_insert_default()
        .entry((tls, names.clone()))
        .or_insert_with(|| {
            native_tls::TlsConnector::builder()
                .danger_accept_invalid_certs(true)
                .min_protocol_version(version)
                .max_protocol_version(version)
                .request_alpns(&names.iter().map(String::as_str).collect::<Vec<_>>())
                .build()
                .expect("a client")
        });
    connector.clone()
}

fn monoio_native_tls(
    addr: SocketAddr,
    tls: Tls,
    alpn: &[&[u8]],
    without_alpn: &'static [u8],
) -> Outcome {
    let connector = monoio_native_tls::TlsConnector::from(native_tls_connector(tls, alpn));
    monoio(async {
        let tcp = monoio::net::TcpStream::connect(addr)
            .await
            .expect("connects");
        match connector.connect("localhost", tcp).await {
            Ok(stream) => {
                let protocol = stream.alpn_protocol();
                exchange(stream, protocol, without_alpn).await
            }
            Err(_) => Outcome::Alert(None),
        }
    })
}
