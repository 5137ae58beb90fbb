//! Reads a server's first records (RFC 8446 section 5.1) for what TLS libraries do not report.

use corelane::tls::{NamedGroup, TlsVersion};
use tls_parser::{TlsCipherKx, TlsCipherSuite, parse_tls_record_header};

use super::{
    alerts,
    server_hello::{self, ServerHello},
};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const RECORD_HEADER: usize = 5;

const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;

const SERVER_KEY_EXCHANGE: u8 = 12;
const CERTIFICATE_REQUEST: u8 = 13;
const SERVER_HELLO_DONE: u8 = 14;

/// The curve type of a ServerKeyExchange that names a group (RFC 8422 section 5.4).
const NAMED_CURVE: u8 = 3;

/// The length of an alert without padding that TLS 1.3 has encrypted, bytes: the alert's two, the
/// content type and a tag. No handshake message is as short (RFC 8446 section 5.2).
const SEALED_ALERT: usize = 2 + 1 + 16;

/// The maximum length of a padded alert, bytes. More bytes after the ServerHello are the rest of a
/// handshake, with a certificate in it.
const LONGEST_ALERT: usize = 512;

/// The server's unencrypted answer.
pub(crate) enum Said {
    /// No complete alert or ServerHello.
    Nothing,
    /// A fatal alert.
    Alert(u8),
    /// A ServerHello, and no alert in the clear.
    Hello(ServerHello, Behind),
    /// Bytes that are not TLS; their beginning.
    NotTls(String),
}

/// The meaning of the bytes after the ServerHello.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Nothing that decides the outcome.
    Open,
    /// Enough to show that the server has accepted the offer: under TLS 1.2, everything up to the
    /// ServerHelloDone.
    Flight,
    /// Encrypted bytes that may be an alert.
    Sealed {
        /// The length is that of an alert without padding.
        like_an_alert: bool,
    },
}

/// Reads what a connection has received so far.
pub(crate) fn read(received: &[u8]) -> Said {
    if let Some(&first) = received.first()
        && (!(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&first)
            || received.get(1).is_some_and(|&major| major != 3))
    {
        return Said::NotTls(first_line(received));
    }
    let (mut handshake, mut alerts) = (Vec::new(), Vec::new());
    let mut hello: Option<ServerHello> = None;
    let (mut sealed, mut like_an_alert) = (0, false);
    for (kind, body) in Records::of(received) {
        let tls_1_2 = hello
            .as_ref()
            .is_some_and(|hello| hello.version < TlsVersion::TLS_1_3);
        match kind {
            // Under TLS 1.2 everything after it is encrypted. Under TLS 1.3 it means nothing.
            CHANGE_CIPHER_SPEC if tls_1_2 => break,
            APPLICATION_DATA => {
                like_an_alert |= sealed == 0 && body.len() == SEALED_ALERT;
                sealed += body.len();
            }
            _ if sealed > 0 => break,
            // Below TLS 1.3 it may be cut in two (RFC 5246 section 6.2.1).
            ALERT => alerts.extend_from_slice(body),
            HANDSHAKE => {
                handshake.extend_from_slice(body);
                hello = hello.or_else(|| server_hello::parse(&handshake));
            }
            _ => {}
        }
    }
    if let Some(alert) = alerts.chunks_exact(2).find_map(fatal) {
        return Said::Alert(alert);
    }
    let Some(hello) = hello else {
        return Said::Nothing;
    };
    let behind = match sealed {
        _ if message(&handshake, SERVER_HELLO_DONE).is_some() => Behind::Flight,
        0 => Behind::Open,
        1..=LONGEST_ALERT => Behind::Sealed { like_an_alert },
        _ => Behind::Flight,
    };
    Said::Hello(hello, behind)
}

/// The alert, if it ends the connection. no_application_protocol does so at any level (RFC 7301
/// section 3.2).
fn fatal(alert: &[u8]) -> Option<u8> {
    match *alert {
        [_, CLOSE_NOTIFY] => None,
        [FATAL, description] => Some(description),
        [_, description @ alerts::NO_APPLICATION_PROTOCOL] => Some(description),
        _ => None,
    }
}

/// The first of these handshake messages that is of this kind, as much of it as there is.
fn message(mut messages: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [kind, a, b, c, behind @ ..] = messages {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == wanted {
            return Some(&behind[..length.min(behind.len())]);
        }
        messages = behind.get(length..).unwrap_or_default();
    }
    None
}

/// Whether the server has asked for a client certificate. Under TLS 1.3 that is encrypted.
pub(crate) fn asks_for_certificate(received: &[u8]) -> bool {
    message(&in_the_clear(received), CERTIFICATE_REQUEST).is_some()
}

/// The group of the key exchange: TLS 1.3 has it in the ServerHello, and below it the suites with ECDHE
/// have it in the ServerKeyExchange.
pub(crate) fn key_exchange_group(received: &[u8]) -> Option<NamedGroup> {
    let handshake = in_the_clear(received);
    let hello = server_hello::parse(&handshake)?;
    if hello.version >= TlsVersion::TLS_1_3 {
        return hello.key_exchange_group;
    }
    let suite = TlsCipherSuite::from_id(hello.cipher_suite.0)?;
    match message(&handshake, SERVER_KEY_EXCHANGE)? {
        [NAMED_CURVE, high, low, ..] if suite.kx == TlsCipherKx::Ecdhe => {
            Some(NamedGroup(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// The handshake messages that are not encrypted.
fn in_the_clear(received: &[u8]) -> Vec<u8> {
    let mut handshake = Vec::new();
    for (kind, body) in Records::of(received) {
        match kind {
            HANDSHAKE => handshake.extend_from_slice(body),
            // Everything after it is encrypted.
            CHANGE_CIPHER_SPEC | APPLICATION_DATA => break,
            _ => {}
        }
    }
    handshake
}

/// Whether the received bytes decide the outcome of a ClientHello.
pub(crate) fn is_decided(received: &[u8]) -> bool {
    match read(received) {
        Said::Nothing => false,
        Said::Alert(_) | Said::NotTls(_) => true,
        Said::Hello(hello, behind) => {
            let sealed = Behind::Sealed {
                like_an_alert: true,
            };
            hello.is_retry
                || hello.version < TlsVersion::TLS_1_2
                || behind == Behind::Flight
                || behind == sealed
        }
    }
}

/// Iterates over the complete records: the type and the body of each.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    fn of(received: &'a [u8]) -> Self {
        Self { rest: received }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (body, header) = parse_tls_record_header(self.rest).ok()?;
        let body = body.get(..usize::from(header.len))?;
        self.rest = self.rest.get(RECORD_HEADER + body.len()..)?;
        Some((header.record_type.0, body))
    }
}

/// The maximum that [`first_line`] keeps, bytes: a status line.
const MAX_FIRST_LINE: usize = 60;

/// The first line of an answer in the wrong protocol.
pub(crate) fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|&b| b == b'\r' || b == b'\n').next();
    let line = line.filter(|line| !line.is_empty()).unwrap_or(bytes);
    let text = line[..line.len().min(MAX_FIRST_LINE)]
        .escape_ascii()
        .to_string();
    match line.len() > MAX_FIRST_LINE {
        true => format!("{text}..."),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERT_120: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

    /// A ServerHello of TLS 1.2 that chooses h2, or of TLS 1.3.
    fn hello(version: TlsVersion) -> Vec<u8> {
        let extension: &[u8] = match version {
            TlsVersion::TLS_1_3 => b"\0\x2b\0\x02\x03\x04",
            _ => b"\0\x10\0\x05\0\x03\x02h2",
        };
        hello_with(0x1301, extension)
    }

    fn hello_with(suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut message = vec![3, 3];
        message.extend([7; 32]);
        message.push(0);
        message.extend(suite.to_be_bytes());
        message.extend([0, 0, extensions.len() as u8]);
        message.extend(extensions);
        let mut record = vec![22, 3, 3, 0, message.len() as u8 + 4];
        record.extend([2, 0, 0, message.len() as u8]);
        record.extend(message);
        record
    }

    const DONE: [u8; 9] = [22, 3, 3, 0, 4, 14, 0, 0, 0];
    const CCS: [u8; 6] = [20, 3, 3, 0, 1, 1];

    fn said(bytes: &[u8]) -> String {
        match read(bytes) {
            Said::Nothing => "nothing".into(),
            Said::Alert(alert) => format!("alert {alert}"),
            Said::Hello(hello, behind) => {
                format!("{} {:?} {behind:?}", hello.version, hello.alpn_protocol)
            }
            Said::NotTls(what) => what,
        }
    }

    #[test]
    fn reads_alerts_and_server_hellos() {
        let (hello_1_2, hello_1_3) = (hello(TlsVersion::TLS_1_2), hello(TlsVersion::TLS_1_3));
        assert_eq!(said(&ALERT_120), "alert 120");
        assert_eq!(said(&hello_1_2), "TLS 1.2 Some(\"h2\") Open");
        assert_eq!(said(&hello_1_3), "TLS 1.3 None Open");
        // An alert after the ServerHello counts, unless it is encrypted.
        assert_eq!(said(&[&hello_1_2[..], &ALERT_120].concat()), "alert 120");
        let sealed = [&hello_1_2[..], &DONE, &CCS, &ALERT_120].concat();
        assert_eq!(said(&sealed), "TLS 1.2 Some(\"h2\") Flight");
        // Under TLS 1.3 encryption does not begin with ChangeCipherSpec.
        let in_the_clear = [&hello_1_3[..], &CCS, &ALERT_120].concat();
        assert_eq!(said(&in_the_clear), "alert 120");
        // In two records.
        let cut = [21, 3, 3, 0, 1, 2, 21, 3, 3, 0, 1, 120];
        assert_eq!(said(&cut), "alert 120");
        // no_application_protocol counts as a warning, too.
        assert_eq!(said(&[21, 3, 3, 0, 2, 1, 120]), "alert 120");
        // Other warnings and close_notify do not.
        assert_eq!(said(&[21, 3, 3, 0, 2, 1, 112]), "nothing");
        assert_eq!(said(&[21, 3, 3, 0, 2, 2, 0]), "nothing");
    }

    #[test]
    fn nothing_is_decided_before_the_flight_is_complete() {
        let flight = [&hello(TlsVersion::TLS_1_2)[..], &ALERT_120].concat();
        for n in 0..flight.len() {
            assert!(!matches!(
                read(&flight[..n]),
                Said::Alert(_) | Said::NotTls(_)
            ));
            assert!(!is_decided(&flight[..n]));
        }
        assert!(is_decided(&flight));
        assert!(is_decided(
            &[&hello(TlsVersion::TLS_1_2)[..], &DONE].concat()
        ));
    }

    #[test]
    fn finds_a_certificate_request_in_the_clear() {
        let hello = hello(TlsVersion::TLS_1_2);
        let request = [22, 3, 3, 0, 6, 13, 0, 0, 2, 0, 0];
        let asks = |flight: &[&[u8]]| asks_for_certificate(&flight.concat());
        assert!(asks(&[&hello, &request, &DONE]));
        assert!(!asks(&[&hello, &DONE]));
        assert!(!asks(&[&hello, &DONE, &CCS, &request]));
    }

    #[test]
    fn finds_the_group_of_the_key_exchange() {
        let group = |flight: &[&[u8]]| key_exchange_group(&flight.concat());
        let share = b"\0\x2b\0\x02\x03\x04\0\x33\0\x06\0\x1d\0\x02ab";
        let retry = b"\0\x2b\0\x02\x03\x04\0\x33\0\x02\0\x18";
        assert_eq!(
            group(&[&hello_with(0x1301, share)]),
            Some(NamedGroup::X25519)
        );
        assert_eq!(
            group(&[&hello_with(0x1301, retry)]),
            Some(NamedGroup::SECP384R1)
        );
        assert_eq!(group(&[&hello(TlsVersion::TLS_1_3)]), None);
        // ECDHE_RSA, DHE_RSA, RSA. Diffie-Hellman's parameters may begin with the same bytes.
        let exchange = [22, 3, 3, 0, 8, 12, 0, 0, 4, NAMED_CURVE, 0, 0x17, 0];
        for (suite, wanted) in [
            (0xc02f, Some(NamedGroup::SECP256R1)),
            (0x009e, None),
            (0x009c, None),
        ] {
            let hello = hello_with(suite, b"");
            assert_eq!(group(&[&hello, &exchange, &DONE]), wanted);
            assert_eq!(group(&[&hello, &DONE]), None);
            assert_eq!(group(&[&hello, &CCS, &exchange]), None);
        }
    }

    #[test]
    fn later_records_do_not_change_the_outcome() {
        let flight = [&hello(TlsVersion::TLS_1_2)[..], &DONE].concat();
        let sealed = [&flight[..], &[23, 3, 3, 0, 1, 0]].concat();
        assert!(is_decided(&flight));
        assert!(is_decided(&sealed));
        assert_eq!(said(&flight), said(&sealed));
    }

    #[test]
    fn encrypted_records_may_be_an_alert_unless_too_long() {
        for (length, decided, flight) in [
            (19_u16, true, false),
            (18, false, false),
            (512, false, false),
            (513, true, true),
        ] {
            let mut bytes = hello(TlsVersion::TLS_1_3);
            assert!(!is_decided(&bytes));
            bytes.extend(CCS);
            bytes.extend([23, 3, 3]);
            bytes.extend(length.to_be_bytes());
            bytes.extend(vec![0; usize::from(length)]);
            assert_eq!(is_decided(&bytes), decided, "{length}");
            assert_eq!(said(&bytes).ends_with("Flight"), flight, "{length}");
        }
    }

    #[test]
    fn the_first_line_of_another_protocol_is_shown() {
        assert_eq!(said(b"220 mail\r\n"), "220 mail");
        assert_eq!(said(&[22, 4, 0]), "\\x16\\x04\\x00");
        assert_eq!(said(b""), "nothing");
    }

    #[test]
    fn first_line_is_escaped_and_shortened() {
        for (bytes, shown) in [
            (
                &b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"[..],
                "HTTP/1.1 400 Bad Request",
            ),
            (b"\0\xff\x1b[31m", "\\x00\\xff\\x1b[31m"),
            (b"\r\nhello", "\\r\\nhello"),
        ] {
            assert_eq!(first_line(bytes), shown);
        }
        assert_eq!(first_line(&[b'a'; 100]), format!("{}...", "a".repeat(60)));
    }
}
