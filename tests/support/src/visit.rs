//! Clients that come back: one TLS configuration, a connection and a request per visit.

use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use corelane::{Body, HttpService};
use http::{Request, Response};
use rustls::{
    ClientConfig, NamedGroup,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::{ServerName, UnixTime},
    time_provider::TimeProvider,
};
use tokio::net::TcpStream;

use crate::client::{self, H2Client, Stream, Tls, deadline, rustls_config};

/// The server's view of a visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    pub worker: usize,
    pub resumed: bool,
    /// The client's chain, DER.
    pub certificates: Vec<Vec<u8>>,
    /// The subject of the first of them.
    pub subject: Option<String>,
}

const SUBJECT: &str = "subject";

/// Answers with the values that [`visit`] reads.
pub fn register(_worker: corelane::WorkerInfo) -> impl HttpService {
    corelane::service_fn(async |request: Request<Body>| {
        let connection = request.body().connection();
        let negotiated = &connection.negotiated;
        let mut text = format!("{} {}", connection.worker, negotiated.resumed == Some(true));
        for certificate in &negotiated.peer_certificates {
            text.push(' ');
            for byte in certificate {
                text.push_str(&format!("{byte:02x}"));
            }
        }
        let mut response = Response::builder();
        if let Some(subject) = &negotiated.peer_subject {
            response = response.header(SUBJECT, subject);
        }
        Ok::<_, Infallible>(response.body(text).expect("a response"))
    })
}

/// One connection and one request on it.
pub fn visit(addr: SocketAddr, config: &Arc<ClientConfig>) -> Visit {
    visit_as("localhost", addr, config)
}

/// The same under another server name.
pub fn visit_as(name: &'static str, addr: SocketAddr, config: &Arc<ClientConfig>) -> Visit {
    deadline(async {
        let tcp = TcpStream::connect(addr).await.expect("connects");
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let name = ServerName::try_from(name).expect("a name");
        let tls = connector.connect(name, tcp).await.expect("a handshake");
        let stream: Box<dyn Stream> = Box::new(tls);
        let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let client = H2Client::new(requests, connection);
        let answer = client
            .run(|requests| async move { client::send(&requests, client::get("/"), None).await })
            .await
            .expect("an answer");
        let subject = answer.head.headers.get(SUBJECT);
        let subject = subject.map(|value| value.to_str().expect("ASCII").to_owned());
        let text = String::from_utf8(answer.body).expect("text");
        let mut words = text.split(' ');
        let byte = |at: &[u8]| {
            let digits = std::str::from_utf8(at).expect("ASCII");
            u8::from_str_radix(digits, 16).expect("hexadecimal")
        };
        Visit {
            worker: words.next().expect("a worker").parse().expect("a number"),
            resumed: words.next() == Some("true"),
            certificates: words
                .map(|word| word.as_bytes().chunks(2).map(byte).collect())
                .collect(),
            subject,
        }
    })
}

/// A client that offers its newest session, for any server name and of any age.
pub fn returning(tls: Tls) -> ClientConfig {
    let mut config = Arc::unwrap_or_clone(rustls_config(tls, &[b"h2"]));
    config.resumption = Resumption::store(Arc::new(Sessions::default()));
    config.time_provider = Arc::new(Standing(UnixTime::now()));
    config
}

#[derive(Default)]
struct Sessions {
    tls12: Mutex<Option<Tls12ClientSessionValue>>,
    tls13: Mutex<Vec<Tls13ClientSessionValue>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, value: Tls12ClientSessionValue) {
        *self.tls12.lock().expect("whole") = Some(value);
    }

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.tls12.lock().expect("whole").clone()
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {
        *self.tls12.lock().expect("whole") = None;
    }

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.tls13.lock().expect("whole").push(value);
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tls13.lock().expect("whole").pop()
    }
}

/// A clock that stands still, so that no ticket expires.
#[derive(Debug)]
struct Standing(UnixTime);

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}
