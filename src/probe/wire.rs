//! What a server's first bytes say, record by record (RFC 8446 section 5.1): what TLS libraries
//! do not tell.

use tls_parser::parse_tls_record_header;

use crate::tls::server_hello::{self, ServerHello};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const RECORD_HEADER: usize = 5;

const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;

/// What the server said in the clear.
pub(super) enum Said {
    /// Nothing that is whole.
    Nothing,
    /// A fatal alert.
    Alert(u8),
    /// A ServerHello, and no alert that can be read.
    Hello(ServerHello),
    /// Something that is not TLS: how it begins.
    NotTls(String),
}

/// Reads what came of a connection so far.
pub(super) fn read(received: &[u8]) -> Said {
    if let Some(&first) = received.first()
        && (!(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&first)
            || received.get(1).is_some_and(|&major| major != 3))
    {
        return Said::NotTls(shown(received));
    }
    let mut hello = None;
    for (start, kind, body) in Records::of(received) {
        match (kind, body) {
            // Behind a ChangeCipherSpec everything is encrypted under TLS 1.2; what TLS 1.3
            // encrypts is of type application_data.
            (CHANGE_CIPHER_SPEC, _) | (APPLICATION_DATA, _) => break,
            (ALERT, &[FATAL, description]) if description != CLOSE_NOTIFY => {
                return Said::Alert(description);
            }
            (HANDSHAKE, _) if hello.is_none() => hello = server_hello::parse(&received[start..]),
            _ => {}
        }
    }
    hello.map_or(Said::Nothing, Said::Hello)
}

/// Whether TLS 1.3's ServerHello is followed by an encrypted alert. Two bytes, the content type
/// and a tag of 16 bytes: no handshake message is as short as that (RFC 8446 section 5.2).
pub(super) fn is_encrypted_alert(received: &[u8]) -> bool {
    const SEALED_ALERT: usize = 2 + 1 + 16;
    let mut sealed = Records::of(received).filter(|&(_, kind, _)| kind == APPLICATION_DATA);
    matches!(sealed.next(), Some((_, _, body)) if body.len() == SEALED_ALERT)
}

/// Whether a whole record has come that decides what the outcome of a ClientHello is: an alert,
/// or what follows the ServerHello.
pub(super) fn is_decided(received: &[u8]) -> bool {
    match read(received) {
        Said::Nothing => false,
        Said::Alert(_) | Said::NotTls(_) => true,
        Said::Hello(hello) => {
            hello.version < crate::negotiated::TlsVersion::TLS_1_3
                || Records::of(received).any(|(_, kind, _)| kind == APPLICATION_DATA)
        }
    }
}

/// The complete records: where each begins, its type, its body.
struct Records<'a> {
    received: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    fn of(received: &'a [u8]) -> Self {
        Self { received, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (usize, u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (body, header) = parse_tls_record_header(self.received.get(self.at..)?).ok()?;
        let body = body.get(..usize::from(header.len))?;
        let start = self.at;
        self.at += RECORD_HEADER + body.len();
        Some((start, header.record_type.0, body))
    }
}

/// The most of an unwanted answer that is shown, bytes: a status line.
const SHOWN: usize = 60;

/// The first line of what came instead of what was wanted, escaped and shortened.
pub(super) fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|&b| b == b'\r' || b == b'\n').next();
    let line = line.filter(|line| !line.is_empty()).unwrap_or(bytes);
    let text = line[..line.len().min(SHOWN)].escape_ascii().to_string();
    match line.len() > SHOWN {
        true => format!("{text}..."),
        false => text,
    }
}
