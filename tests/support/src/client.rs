//! HTTP/2 clients: crate h2 over tokio, with rustls beneath it where the server speaks TLS.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use corelane::Body;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, SupportedKxGroup, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{Backend, certs::CERTIFICATE};

/// How long anything in a test may take: far more than it needs, so that only a hang meets it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A service for servers that get no request.
pub async fn never(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

/// Runs a test's client side with a deadline.
pub fn deadline<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            tokio::time::timeout(DEADLINE, future)
                .await
                .expect("the test hangs")
        })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tls {
    V1_2,
    V1_3,
    /// The version that both sides negotiate by default.
    Any,
}

impl Tls {
    /// The versions that a backend speaks; one without a meaning if it speaks none.
    pub fn of(backend: Backend) -> &'static [Self] {
        match (backend.tls, backend.tls_1_3) {
            (false, _) => &[Self::Any],
            (true, false) => &[Self::V1_2],
            (true, true) => &[Self::V1_2, Self::V1_3],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
            Self::Any => "any",
        }
    }
}

/// A rustls client that trusts the tests' certificate.
pub fn rustls_config(tls: Tls, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    rustls_config_with(tls, alpn, aws_lc_rs::default_provider().kx_groups)
}

/// A client that offers these key exchange groups only.
pub fn rustls_config_with(
    tls: Tls,
    alpn: &[&[u8]],
    groups: Vec<&'static dyn SupportedKxGroup>,
) -> Arc<ClientConfig> {
    let provider = CryptoProvider {
        kx_groups: groups,
        ..aws_lc_rs::default_provider()
    };
    rustls_config_by(tls, alpn, provider)
}

/// A client that offers what this provider has, in its order.
pub fn rustls_config_by(tls: Tls, alpn: &[&[u8]], provider: CryptoProvider) -> Arc<ClientConfig> {
    let versions: &[&rustls::SupportedProtocolVersion] = match tls {
        Tls::V1_2 => &[&TLS12],
        Tls::V1_3 => &[&TLS13],
        Tls::Any => &[&TLS13, &TLS12],
    };
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(provider)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Trusts the tests' certificate and no other.
#[derive(Debug)]
struct Pinned(Arc<CryptoProvider>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match end_entity.as_ref() == CERTIFICATE.der {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("another certificate".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// A byte stream to the server, over TLS if the backend has it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

pub async fn connect(backend: Backend, addr: SocketAddr) -> Box<dyn Stream> {
    over(backend, tcp(addr).await).await
}

pub(crate) async fn tcp(addr: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(addr).await.expect("connects");
    tcp.set_nodelay(true).expect("nodelay");
    tcp
}

/// The same over an existing connection.
pub async fn over(backend: Backend, stream: impl Stream + 'static) -> Box<dyn Stream> {
    over_version(backend, Tls::Any, &[b"h2"], stream).await
}

/// The same by this version of TLS and with these protocols in ALPN, if the backend has TLS.
pub async fn over_version(
    backend: Backend,
    tls: Tls,
    alpn: &[&[u8]],
    stream: impl Stream + 'static,
) -> Box<dyn Stream> {
    if !backend.tls {
        return Box::new(stream);
    }
    let connector = tokio_rustls::TlsConnector::from(rustls_config(tls, alpn));
    let tls = connector.connect(server_name(), stream).await;
    Box::new(tls.expect("a TLS handshake"))
}

/// An HTTP/2 connection, driven while [`H2Client::run`] runs.
pub struct H2Client {
    pub requests: SendRequest<Bytes>,
    connection: h2::client::Connection<Box<dyn Stream>, Bytes>,
}

/// A response, whole.
#[derive(Debug)]
pub struct Answer {
    pub head: http::response::Parts,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl H2Client {
    pub async fn connect(backend: Backend, addr: SocketAddr) -> Self {
        Self::with(backend, addr, &mut h2::client::Builder::new()).await
    }

    pub async fn with(
        backend: Backend,
        addr: SocketAddr,
        builder: &mut h2::client::Builder,
    ) -> Self {
        let stream = connect(backend, addr).await;
        let (requests, connection) = builder.handshake(stream).await.expect("HTTP/2");
        Self::new(requests, connection)
    }

    pub fn new(
        requests: SendRequest<Bytes>,
        connection: h2::client::Connection<Box<dyn Stream>, Bytes>,
    ) -> Self {
        Self {
            requests,
            connection,
        }
    }

    /// Drives the connection while `work` uses it.
    pub async fn run<T, F: Future<Output = T>>(
        self,
        work: impl FnOnce(SendRequest<Bytes>) -> F,
    ) -> T {
        let Self {
            requests,
            mut connection,
        } = self;
        let work = work(requests);
        tokio::pin!(work);
        let mut ended = false;
        std::future::poll_fn(|cx| {
            if !ended {
                ended = Future::poll(std::pin::Pin::new(&mut connection), cx).is_ready();
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// Sends a request with its whole body and reads the whole response.
pub async fn send(
    requests: &SendRequest<Bytes>,
    request: Request<Bytes>,
    trailers: Option<HeaderMap>,
) -> Result<Answer, h2::Error> {
    let mut requests = requests.clone().ready().await?;
    let (head, mut body) = request.into_parts();
    let last = body.is_empty() && trailers.is_none();
    let (response, mut stream) = requests.send_request(Request::from_parts(head, ()), last)?;
    let receive = receive(response);
    if last {
        return receive.await;
    }
    let send = async {
        let end = trailers.is_none();
        while !body.is_empty() {
            stream.reserve_capacity(body.len());
            while stream.capacity() == 0 {
                match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                    Some(capacity) => drop(capacity?),
                    None => return Ok(()),
                }
            }
            let piece = body.split_to(stream.capacity().min(body.len()));
            stream.send_data(piece, end && body.is_empty())?;
        }
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers)?;
        }
        Ok::<_, h2::Error>(())
    };
    let (sent, received) = futures_util::future::join(send, receive).await;
    received.and_then(|answer| sent.map(|()| answer))
}

pub async fn receive(response: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    Ok(Answer {
        head,
        body,
        trailers,
    })
}

pub fn get(path: &str) -> Request<Bytes> {
    Request::get(format!("https://localhost{path}"))
        .body(Bytes::new())
        .expect("a request")
}

pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(format!("https://localhost{path}"))
        .body(body.into())
        .expect("a request")
}
