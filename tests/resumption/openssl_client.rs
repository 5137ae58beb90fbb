//! A client on OpenSSL, which can export a session and import it again.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    sync::mpsc,
};

use openssl::{
    ssl::{
        Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslVerifyMode,
        SslVersion,
    },
    x509::X509,
};

use corelane_test_support::{certs::CERTIFICATE, client::DEADLINE};

/// How a client resumes its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Under TLS 1.2 (RFC 5246 section 7.3).
    ById,
    /// Under TLS 1.2 (RFC 5077).
    ByTicket,
    /// By a ticket, which is the only way.
    Tls13,
}

/// Returns whether the session resumed, and a session for the next visit as DER.
pub fn visit(addr: SocketAddr, way: Resume, with: Option<&[u8]>) -> (bool, Vec<u8>) {
    let version = match way {
        Resume::Tls13 => SslVersion::TLS1_3,
        Resume::ById | Resume::ByTicket => SslVersion::TLS1_2,
    };
    // Not a connector, which reads all authorities of the system.
    let mut builder = SslContext::builder(SslMethod::tls_client()).expect("a builder");
    let trusted = X509::from_pem(CERTIFICATE.pem.as_bytes()).expect("valid");
    builder.cert_store_mut().add_cert(trusted).expect("added");
    builder.set_verify(SslVerifyMode::PEER);
    builder.set_min_proto_version(Some(version)).expect("set");
    builder.set_max_proto_version(Some(version)).expect("set");
    builder.set_alpn_protos(b"\x02h2").expect("set");
    if way == Resume::ById {
        builder.set_options(SslOptions::NO_TICKET);
    }
    builder.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    let (given, sessions) = mpsc::channel();
    builder.set_new_session_callback(move |_, session| {
        let _ = given.send(session.to_der().expect("DER"));
    });
    let mut ssl = Ssl::new(&builder.build()).expect("a session");
    ssl.set_hostname("localhost").expect("set");
    if let Some(session) = with {
        let session = SslSession::from_der(session).expect("DER");
        // SAFETY: a context with the same settings made the session.
        unsafe { ssl.set_session(&session) }.expect("set");
    }
    let tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut tls = ssl.connect(tcp).expect("a handshake");
    let resumed = tls.ssl().session_reused();
    // TLS 1.3 tickets arrive before the server's SETTINGS.
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .expect("sent");
    tls.read_exact(&mut [0; 9]).expect("a frame");
    // Under TLS 1.2, OpenSSL does not pass on a ticket that replaces another.
    let session = match way {
        Resume::Tls13 => sessions.try_iter().last(),
        _ => tls.ssl().session().map(|it| it.to_der().expect("DER")),
    };
    (resumed, session.expect("a session"))
}

/// The ticket's range in a session: `[10] EXPLICIT OCTET STRING` of its SEQUENCE.
pub fn ticket(session: &[u8]) -> Range<usize> {
    let mut at = inner(session, 0).start;
    while session[at] != 0xaa {
        at = inner(session, at).end;
    }
    inner(session, inner(session, at).start)
}

/// The session with other bytes as its ticket.
pub fn with_ticket(session: &[u8], ticket: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    const TICKET: u8 = 0xaa;
    const OCTET_STRING: u8 = 4;
    let all = inner(session, 0);
    let mut content = Vec::new();
    let mut at = all.start;
    while at < all.end {
        let end = inner(session, at).end;
        match session[at] {
            TICKET => content.extend(value(TICKET, &value(OCTET_STRING, ticket))),
            _ => content.extend(&session[at..end]),
        }
        at = end;
    }
    value(SEQUENCE, &content)
}

/// A DER value.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

/// The content of the DER value at `at`.
fn inner(der: &[u8], at: usize) -> Range<usize> {
    let (length, start) = match der[at + 1] {
        short @ ..0x80 => (usize::from(short), at + 2),
        long => {
            let n = usize::from(long & 0x7f);
            let bytes = &der[at + 2..at + 2 + n];
            let length = bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            (length, at + 2 + n)
        }
    };
    start..start + length
}
