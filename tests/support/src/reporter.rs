//! A server that tells a test what a handler sees of each connection, for clients of any TLS library.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
};

use corelane::{
    Body, Driver,
    tls::{Negotiated, TlsAcceptor},
};
use http::{Request, Response};
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::{
    TestServer,
    client::{DEADLINE, Tls, server_name},
    frames, hpack,
};

pub struct Reporter {
    pub server: TestServer,
    seen: Receiver<Negotiated>,
}

impl Reporter {
    pub fn start(acceptor: Arc<dyn TlsAcceptor>) -> Self {
        let (sender, seen) = channel();
        let sender = Mutex::new(sender);
        let server = TestServer::start(acceptor, Driver::Epoll, move |_| {
            let sender = sender.lock().expect("whole").clone();
            corelane::service_fn(move |request: Request<Body>| {
                let negotiated = request.body().connection().negotiated.clone();
                let _ = sender.send(negotiated);
                async { Ok::<_, Infallible>(Response::new(String::new())) }
            })
        });
        Self { server, seen }
    }

    /// Sends a request on this connection. Returns what the handler saw.
    pub fn ask(&self, mut tls: impl Read + Write) -> io::Result<Negotiated> {
        let request = frames::headers(1, frames::WHOLE, &hpack::get("/"));
        let hello = [frames::PREFACE, &frames::settings(&[]), &request].concat();
        tls.write_all(&hello)?;
        tls.flush()?;
        // Session tickets come before it.
        tls.read_exact(&mut [0; 9])?;
        Ok(self.seen.recv_timeout(DEADLINE).expect("a request"))
    }

    fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.server.addr).expect("connects");
        tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        tcp
    }

    /// A connection of rustls, before its handshake.
    pub fn rustls(&self, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let client = ClientConnection::new(Arc::clone(config), server_name()).expect("a client");
        StreamOwned::new(client, self.connect())
    }

    /// A connection of OpenSSL, after its handshake. The error tells whether it was an alert.
    pub fn openssl(&self, context: &SslContext) -> Result<SslStream<TcpStream>, bool> {
        self.openssl_by(Ssl::new(context).expect("a session"))
    }

    /// The same, with a session that has its own settings.
    pub fn openssl_by(&self, mut ssl: Ssl) -> Result<SslStream<TcpStream>, bool> {
        ssl.set_hostname("localhost").expect("set");
        ssl.connect(self.connect())
            .map_err(|error| error.to_string().contains("alert"))
    }
}

/// An OpenSSL client of this version of TLS.
pub fn openssl_client(tls: Tls) -> SslContextBuilder {
    let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
    client.set_verify(SslVerifyMode::NONE);
    let version = match tls {
        Tls::V1_2 => Some(SslVersion::TLS1_2),
        Tls::V1_3 => Some(SslVersion::TLS1_3),
        Tls::Any => None,
    };
    client.set_max_proto_version(version).expect("set");
    client.set_min_proto_version(version).expect("set");
    client.set_alpn_protos(b"\x02h2").expect("set");
    client
}
