//! The registered names of protocols, to find mistyped ones and servers that know other ones.

use corelane::ProtocolName;

use super::{expectation::Expectation, offer::Offer};

const ACME: &str = "acme-tls/1";

/// IANA's registry of ALPN protocol IDs, without those of GREASE (RFC 8701), which need escapes.
const REGISTERED: [&str; 38] = [
    ACME,
    "c-webrtc",
    "co",
    "coaps",
    "coap",
    "dicom",
    "doq",
    "dot",
    "ftp",
    "h2",
    "h2c",
    "h3",
    "http/0.9",
    "http/1.0",
    "http/1.1",
    "imap",
    "irc",
    "managesieve",
    "mqtt",
    "nnsp",
    "nntp",
    "ntske/1",
    "pop3",
    "postgresql",
    "radius/1.0",
    "radius/1.1",
    "sip/2",
    "smb",
    "spdy/1",
    "spdy/2",
    "spdy/3",
    "stun.nat-discovery",
    "stun.turn",
    "sunrpc",
    "tds/8.0",
    "webrtc",
    "xmpp-client",
    "xmpp-server",
];

/// The offer of registered names that are not among these offers, to find out whether a server knows
/// ALPN by another name than those. acme-tls/1 is only for the validation of a domain (RFC 8737), so a
/// server may answer it with another certificate.
pub(crate) fn others(offers: &[Offer]) -> Offer {
    let made = |name: &ProtocolName| offers.iter().any(|offer| offer.protocols().contains(name));
    let names = REGISTERED.into_iter().filter(|name| *name != ACME);
    let names = names.filter_map(|name| ProtocolName::new(name).ok());
    Offer::new(names.filter(|name| !made(name)))
}

/// Whether the offer is one of [`others`].
pub(crate) fn is_of_others(offer: &Offer) -> bool {
    offer.protocols().len() >= REGISTERED.len() / 2
}

impl Expectation {
    /// A warning for each offered protocol whose name is not registered, with the name that was most
    /// likely meant. There is none for names that begin with `x-` or hold escaped bytes.
    pub fn warnings(&self) -> Vec<String> {
        let offer = self.offer();
        let names = offer.iter().flat_map(|offer| offer.protocols());
        names.filter_map(warning).collect()
    }
}

fn warning(name: &ProtocolName) -> Option<String> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    let deliberate = text.starts_with("x-") || !text.bytes().all(|b| b.is_ascii_graphic());
    if deliberate || REGISTERED.contains(&text) {
        return None;
    }
    let plain = |text: &str| -> String {
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        plain.collect::<String>().to_ascii_lowercase()
    };
    let near = match &*plain(text) {
        "http2" | "http20" => Some("h2"),
        "http3" => Some("h3"),
        "http" | "http1" => Some("http/1.1"),
        other => REGISTERED.into_iter().find(|known| plain(known) == other),
    };
    let near = near.map(|near| format!("; did you mean {near}?"));
    Some(format!(
        "{name} is not a registered protocol{}",
        near.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_get_a_warning() {
        for (rule, warning) in [
            ("http1.1=alert", Some("http/1.1")),
            ("http/2,h2=h2", Some("h2")),
            ("acme-tls-1=alert", Some("acme-tls/1")),
            ("spdy/4=alert", Some("spdy/4 is not a registered protocol")),
            ("h2,http/1.1=h2", None),
            ("x-unknown=alert", None),
            (r"\x1a\x1a,h2=h2", None),
            ("none=none", None),
            ("malformed=alert", None),
        ] {
            let rule: Expectation = rule.parse().expect(rule);
            let warnings = rule.warnings().join(", ");
            match warning {
                Some(warning) => assert!(warnings.contains(warning), "{warnings}"),
                None => assert_eq!(warnings, ""),
            }
        }
    }
}
