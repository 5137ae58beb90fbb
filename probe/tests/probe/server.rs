//! Servers, most of which misbehave. The name of a function says how.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use openssl::{
    pkey::PKey,
    ssl::{
        AlpnError, SslAcceptor, SslAcceptorBuilder, SslMethod, SslRef, SslVersion,
        select_next_proto,
    },
    x509::X509,
};
use sha2::Digest;

use crate::certificate::CERTIFICATE;

/// How long a test may wait for a read: far longer than any takes, so that only a hang meets it.
const DEADLINE: Duration = Duration::from_secs(60);

/// A listener on loopback with a thread for each connection.
pub struct TestServer {
    pub addr: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl TestServer {
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), serve).expect("loopback")
    }

    pub fn on(ip: IpAddr, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> io::Result<Self> {
        Self::at(TcpListener::bind((ip, 0))?, serve)
    }

    /// With windows so small that the client's writes block until the server reads.
    pub fn with_small_windows(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(1).expect("a small buffer");
        socket.set_tcp_mss(88).expect("small segments");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("loopback");
        socket.listen(16).expect("a listener");
        Self::at(socket.into(), serve).expect("loopback")
    }

    fn at(
        listener: TcpListener,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let (serve, stop) = (Arc::new(serve), Arc::clone(&ended));
        thread::spawn(move || {
            for socket in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let socket = socket.expect("a connection");
                socket.set_read_timeout(Some(DEADLINE)).expect("a limit");
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(socket));
            }
        });
        Ok(Self { addr, ended })
    }

    /// OpenSSL that chooses the protocol by `choose`; `serve` gets the stream.
    pub fn tls(
        choose: Option<Choose>,
        serve: impl Fn(&mut dyn Stream) + Send + Sync + 'static,
    ) -> Self {
        let acceptor = acceptor(choose, None);
        Self::start(move |socket| {
            if let Ok(mut stream) = acceptor.accept(socket) {
                serve(&mut stream);
            }
        })
    }
}

/// rustls with the certificate for localhost and `h2`. It sends an alert for ALPN after its
/// ServerHello, encrypted under TLS 1.3.
pub fn rustls(
    versions: &[&'static rustls::SupportedProtocolVersion],
    tickets: usize,
    serve: impl Fn(&mut dyn Stream) + Send + Sync + 'static,
) -> TestServer {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CERTIFICATE.der.clone().into()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(CERTIFICATE.key_der()).into(),
        )
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = tickets;
    let config = Arc::new(config);
    TestServer::start(move |socket| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        serve(&mut rustls::StreamOwned::new(session, socket));
    })
}

/// OpenSSL that serves `h2` and nothing else, as it should.
pub fn good() -> TestServer {
    TestServer::tls(Some(h2_or_alert), h2)
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The listener waits for a connection.
        let _ = TcpStream::connect(self.addr);
    }
}

pub trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

pub type Choose = for<'a> fn(&mut SslRef, &'a [u8]) -> Result<&'a [u8], AlpnError>;

pub fn acceptor(choose: Option<Choose>, max_version: Option<SslVersion>) -> SslAcceptor {
    let mut acceptor = builder(&CERTIFICATE.pem, &CERTIFICATE.key);
    acceptor
        .set_max_proto_version(max_version)
        .expect("a version");
    if let Some(choose) = choose {
        acceptor.set_alpn_select_callback(choose);
    }
    acceptor.build()
}

/// OpenSSL with this certificate and key, both PEM.
pub fn builder(certificate: &str, key: &str) -> SslAcceptorBuilder {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL");
    let certificate = X509::from_pem(certificate.as_bytes()).expect("PEM");
    acceptor.set_certificate(&certificate).expect("certificate");
    let key = PKey::private_key_from_pem(key.as_bytes()).expect("PEM");
    acceptor.set_private_key(&key).expect("its key");
    acceptor
}

/// As RFC 7301 requires.
pub fn h2_or_alert<'a>(_: &mut SslRef, offered: &'a [u8]) -> Result<&'a [u8], AlpnError> {
    select_next_proto(b"\x02h2", offered).ok_or(AlpnError::ALERT_FATAL)
}

/// The silent fallback.
pub fn h2_or_nothing<'a>(_: &mut SslRef, offered: &'a [u8]) -> Result<&'a [u8], AlpnError> {
    select_next_proto(b"\x02h2", offered).ok_or(AlpnError::NOACK)
}

/// As RFC 7301 requires, for a server that knows `http/1.1` too.
pub fn h2_or_http_1_1<'a>(_: &mut SslRef, offered: &'a [u8]) -> Result<&'a [u8], AlpnError> {
    select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::ALERT_FATAL)
}

pub fn always_http_1_1<'a>(_: &mut SslRef, _offered: &'a [u8]) -> Result<&'a [u8], AlpnError> {
    Ok(b"http/1.1")
}

pub const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
/// END_STREAM and END_HEADERS on stream 1; `:status: 200` from the static table.
const HEADERS_200: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x01\x88";
/// INADEQUATE_SECURITY, with debug data.
const GOAWAY: &[u8] = b"\0\0\x0c\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0cbye\x1b";
/// REFUSED_STREAM on stream 1.
const RST_STREAM: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07";
/// `:status: 999`, a literal.
const HEADERS_999: &[u8] = b"\0\0\x05\x01\x05\0\0\0\x01\x08\x03999";

/// Reads the client's first bytes.
fn read_once(stream: &mut dyn Stream) {
    let _ = stream.read(&mut [0; 4096]);
}

/// Reads until the client closes.
pub fn wait(stream: &mut dyn Stream) {
    while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
}

fn send(stream: &mut dyn Stream, what: &[u8]) {
    let _ = stream.write_all(what);
    let _ = stream.flush();
}

/// Enough HTTP/2 for one GET.
pub fn h2(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    read_once(stream);
    send(stream, SETTINGS_ACK);
    send(stream, HEADERS_200);
    wait(stream);
}

pub fn http_1_1(stream: &mut dyn Stream) {
    read_once(stream);
    send(
        stream,
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
    );
}

pub fn only_settings(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    wait(stream);
}

pub fn goaway(stream: &mut dyn Stream) {
    read_once(stream);
    // The header first.
    send(stream, &GOAWAY[..9]);
    send(stream, &GOAWAY[9..]);
    wait(stream);
}

/// NO_ERROR, with nine thousand bytes of debug data.
pub fn settings_then_goaway(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    read_once(stream);
    let mut goaway = b"\0\x23\x30\x07\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    goaway.extend(b"later ".repeat(1501));
    goaway.truncate(9 + 0x2330);
    send(stream, &goaway);
    wait(stream);
}

pub fn settings_then_reset(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    read_once(stream);
    send(stream, SETTINGS_ACK);
    send(stream, RST_STREAM);
    wait(stream);
}

pub fn settings_then_close(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    read_once(stream);
}

pub fn odd_status(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    read_once(stream);
    send(stream, SETTINGS_ACK);
    send(stream, HEADERS_999);
    wait(stream);
}

pub fn close(stream: &mut dyn Stream) {
    read_once(stream);
}

/// Asks for many answers and does not read them.
pub fn pings(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    send(stream, &b"\0\0\x08\x06\0\0\0\0\0corelane".repeat(3700));
}

/// Sends without an end.
pub fn flood(stream: &mut dyn Stream) {
    send(stream, SETTINGS);
    // Acknowledgements of PINGs that the client did not send.
    let ping = b"\0\0\x08\x06\x01\0\0\0\0corelane".repeat(1000);
    while stream.write_all(&ping).is_ok() {}
}

/// Whether the raw client made the ClientHello.
pub fn is_raw(hello: &[u8]) -> bool {
    const RANDOM: &[u8] = b"corelane probes your ALPN answer";
    hello.windows(RANDOM.len()).any(|bytes| bytes == RANDOM)
}

/// Whether supported_versions holds TLS 1.3.
pub fn offers_tls_1_3(hello: &[u8]) -> bool {
    const EXTENSION: &[u8] = b"\0\x2b\0\x05\x04\x03\x04\x03\x03";
    hello
        .windows(EXTENSION.len())
        .any(|bytes| bytes == EXTENSION)
}

/// The end of a server's flight under TLS 1.2.
pub const HELLO_DONE: &[u8] = &[22, 3, 3, 0, 4, 14, 0, 0, 0];

/// A ServerHello that nothing follows, of TLS 1.3 or of TLS 1.2 with `h2`.
pub fn server_hello(tls_1_3: bool) -> Vec<u8> {
    let extension: &[u8] = match tls_1_3 {
        true => b"\0\x2b\0\x02\x03\x04",
        false => b"\0\x10\0\x05\0\x03\x02h2",
    };
    hello_with([7; 32], extension)
}

/// What a client says of a choice that it did not offer, if it cannot read the name on the wire.
pub const NOT_OFFERED: &str = "chose a protocol that was not offered (RFC 7301 section 3.1)";

/// A ServerHello of TLS 1.2 with a suite of that version and these extensions.
pub fn tls_1_2_hello(extensions: &[u8]) -> Vec<u8> {
    let mut hello = hello_with([7; 32], extensions);
    let suite = 5 + 4 + 2 + 32 + 1;
    hello[suite..suite + 2].copy_from_slice(&[0xc0, 0x2b]);
    hello
}

/// RFC 8446 section 4.1.4: a ServerHello with this in the place of `random`.
pub fn hello_retry_request() -> Vec<u8> {
    let random = sha2::Sha256::digest(b"HelloRetryRequest");
    hello_with(random.into(), b"\0\x2b\0\x02\x03\x04\0\x33\0\x02\0\x18")
}

fn hello_with(random: [u8; 32], extensions: &[u8]) -> Vec<u8> {
    let length = |n: usize| u8::try_from(n).expect("short");
    let mut message = vec![3, 3];
    message.extend(random);
    message.extend([0, 0x13, 0x01, 0, 0, length(extensions.len())]);
    message.extend(extensions);
    let mut record = vec![22, 3, 3, 0, length(message.len() + 4)];
    record.extend([2, 0, 0, length(message.len())]);
    record.extend(message);
    record
}
