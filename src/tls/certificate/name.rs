//! Writes distinguished names as text.

use std::fmt::Write;

use x509_parser::{
    objects::{oid_registry, oid2abbrev},
    x509::{AttributeTypeAndValue, X509Name},
};

/// More is cut off, characters. A name in a certificate of a client can be as long as its ClientHello
/// allows.
const MAX_LENGTH: usize = 256;

/// By RFC 4514, the last part first, as nginx and OpenSSL with `-nameopt RFC2253` write it. It contains
/// no control character, and ends with `...` if the name is longer.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.into_iter().rev() {
        for (attribute, at) in part.iter().zip(0..) {
            if !text.is_empty() {
                text.push(if at == 0 { ',' } else { '+' });
            }
            append(&mut text, attribute);
        }
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_LENGTH) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn append(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type();
    match oid2abbrev(oid, oid_registry()) {
        Ok(short) => text.push_str(short),
        Err(_) => text.push_str(&oid.to_id_string()),
    }
    text.push('=');
    match attribute.as_str() {
        Ok(value) => escape(text, value),
        Err(_) => {
            text.push('#');
            for byte in attribute.as_slice() {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
}

/// RFC 4514 section 2.4.
fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => text.extend(['\\', c]),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            '#' if at == 0 => text.push_str("\\#"),
            c if is_unsafe(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            c => text.push(c),
        }
    }
}

/// Control characters, line ends and marks that turn the direction of text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
    use x509_parser::{certificate::X509Certificate, prelude::FromDer};

    use super::*;

    fn subject(attributes: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in attributes {
            let value = DnValue::Utf8String((*value).to_owned());
            params.distinguished_name.push(kind.clone(), value);
        }
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let (_, certificate) = X509Certificate::from_der(made.der()).expect("readable");
        text(certificate.subject())
    }

    #[test]
    fn names_are_written_by_rfc_4514() {
        let of = [
            (DnType::OrganizationName, "a, b"),
            (DnType::CommonName, "client 1"),
        ];
        assert_eq!(subject(&of), "CN=client 1,O=a\\, b");
        assert_eq!(subject(&[]), "");
    }

    #[test]
    fn hostile_names_are_escaped_and_bounded() {
        let evil = "#x\u{1b}[2J\nO=admin\u{202e}\" ";
        assert_eq!(
            subject(&[(DnType::CommonName, evil)]),
            "CN=\\#x\\1B[2J\\0AO\\=admin\\E2\\80\\AE\\\"\\ "
        );
        let long = subject(&[(DnType::CommonName, &"é".repeat(1000))]);
        assert_eq!(long.chars().count(), MAX_LENGTH + "...".len());
    }
}
