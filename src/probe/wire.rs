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
            hello.is_retry
                || hello.version < crate::negotiated::TlsVersion::TLS_1_3
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negotiated::TlsVersion;

    const ALERT_120: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

    /// A ServerHello of TLS 1.2 that chooses h2, or of TLS 1.3.
    fn hello(version: TlsVersion) -> Vec<u8> {
        let extension: &[u8] = match version {
            TlsVersion::TLS_1_3 => b"\0\x2b\0\x02\x03\x04",
            _ => b"\0\x10\0\x05\0\x03\x02h2",
        };
        let mut message = vec![3, 3];
        message.extend([7; 32]);
        message.extend([0, 0x13, 0x01, 0, 0, extension.len() as u8]);
        message.extend(extension);
        let mut record = vec![22, 3, 3, 0, message.len() as u8 + 4];
        record.extend([2, 0, 0, message.len() as u8]);
        record.extend(message);
        record
    }

    fn said(bytes: &[u8]) -> String {
        match read(bytes) {
            Said::Nothing => "nothing".into(),
            Said::Alert(alert) => format!("alert {alert}"),
            Said::Hello(hello) => format!("{} {:?}", hello.version, hello.alpn_protocol),
            Said::NotTls(what) => what,
        }
    }

    #[test]
    fn alerts_and_hellos() {
        let hello_1_2 = hello(TlsVersion::TLS_1_2);
        assert_eq!(said(&ALERT_120), "alert 120");
        assert_eq!(said(&hello_1_2), "TLS 1.2 Some(\"h2\")");
        assert_eq!(said(&hello(TlsVersion::TLS_1_3)), "TLS 1.3 None");
        // An alert behind the ServerHello is what counts, unless it is encrypted.
        assert_eq!(said(&[&hello_1_2[..], &ALERT_120].concat()), "alert 120");
        let sealed = [&hello_1_2[..], &[20, 3, 3, 0, 1, 1], &ALERT_120].concat();
        assert_eq!(said(&sealed), "TLS 1.2 Some(\"h2\")");
        // Warnings and close_notify say nothing.
        assert_eq!(said(&[21, 3, 3, 0, 2, 1, 112]), "nothing");
        assert_eq!(said(&[21, 3, 3, 0, 2, 2, 0]), "nothing");
    }

    #[test]
    fn in_any_pieces() {
        let flight = [&hello(TlsVersion::TLS_1_2)[..], &ALERT_120].concat();
        for n in 0..flight.len() {
            assert!(!matches!(
                read(&flight[..n]),
                Said::Alert(_) | Said::NotTls(_)
            ));
            assert_eq!(
                is_decided(&flight[..n]),
                n >= flight.len() - ALERT_120.len()
            );
        }
        assert!(is_decided(&flight));
    }

    #[test]
    fn an_encrypted_alert_is_known_by_its_length() {
        for (length, is_alert) in [(19, true), (18, false), (23, false), (200, false)] {
            let mut flight = hello(TlsVersion::TLS_1_3);
            assert!(!is_decided(&flight));
            flight.extend([20, 3, 3, 0, 1, 1, 23, 3, 3, 0, length]);
            flight.extend(vec![0; usize::from(length)]);
            assert!(is_decided(&flight));
            assert_eq!(is_encrypted_alert(&flight), is_alert, "{length}");
        }
        assert!(!is_encrypted_alert(&ALERT_120));
    }

    #[test]
    fn what_is_not_tls_is_shown_in_one_line() {
        assert_eq!(
            said(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"),
            "HTTP/1.1 400 Bad Request"
        );
        assert_eq!(said(b"\0\xff\x1b[31m"), "\\x00\\xff\\x1b[31m");
        assert_eq!(said(b"\r\nhello"), "\\r\\nhello");
        assert_eq!(said(&[b'a'; 100]), format!("{}...", "a".repeat(60)));
        assert_eq!(said(&[22, 4, 0]), "\\x16\\x04\\x00");
        assert_eq!(said(b""), "nothing");
    }
}
