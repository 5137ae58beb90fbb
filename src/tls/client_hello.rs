//! The ClientHello, read before the session starts: what it offers decides ALPN for every backend.

use tls_parser::{
    TlsExtension, parse_tls_extension_alpn_content, parse_tls_extension_elliptic_curves_content,
    parse_tls_extension_signature_algorithms_content, parse_tls_extension_sni_content,
    parse_tls_extension_supported_versions, parse_tls_extension_unknown,
    parse_tls_handshake_client_hello, parse_tls_record_header,
};

use crate::{
    alert::AlertDescription,
    alpn::ProtocolName,
    error::Error,
    negotiated::{CipherSuite, TlsVersion},
};

/// What a client offers, as far as corelane looks at it (RFC 8446 section 4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHello {
    /// The protocols of the ALPN extension in the client's order; `None` without the extension.
    pub alpn_protocols: Option<Vec<ProtocolName>>,
    /// The host name of the SNI extension.
    pub server_name: Option<String>,
    /// `legacy_session_id`: under TLS 1.2 the session that the client would like to resume.
    pub session_id: Vec<u8>,
    /// The cipher suites in the client's order.
    pub cipher_suites: Vec<CipherSuite>,
    /// The versions of the supported_versions extension; empty without it, as where the client
    /// speaks TLS 1.2 at most (RFC 8446 section 4.2.1).
    pub supported_versions: Vec<TlsVersion>,
    /// The numbers of the signature_algorithms extension (RFC 8446 section 4.2.3); empty without
    /// it.
    pub signature_algorithms: Vec<u16>,
    /// The numbers of the supported_groups extension (RFC 8446 section 4.2.7); empty without it.
    pub supported_groups: Vec<u16>,
}

/// The largest ClientHello read, bytes: OpenSSL's own limit, so that every backend has the same.
/// Browsers send 1 to 2 KiB.
const MAX_CLIENT_HELLO: usize = 16 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;

/// Collects the ClientHello from the pieces it arrives in, over as many records as it comes in.
#[derive(Default)]
pub(crate) struct ClientHelloReader {
    /// All that was read, to be replayed to the session.
    received: Vec<u8>,
    /// How much of `received` are records already taken into `message`.
    taken: usize,
    /// The handshake message without the record headers.
    message: Vec<u8>,
}

impl ClientHelloReader {
    /// Takes the next piece; the ClientHello once it is complete, else `None`. The error says
    /// which alert to send.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, Error> {
        self.received.extend_from_slice(bytes);
        loop {
            match self.needed()? {
                Some(needed) if self.message.len() >= needed => {
                    return match parse(&self.message[HANDSHAKE_HEADER..needed]) {
                        Some(hello) => Ok(Some(hello)),
                        None => Err(decode_error("the ClientHello cannot be read")),
                    };
                }
                _ => {}
            }
            if !self.take_record()? {
                return Ok(None);
            }
        }
    }

    /// Everything that was pushed, in order.
    pub(crate) fn into_received(self) -> Vec<u8> {
        self.received
    }

    /// How long the handshake message is with its header, once that is known.
    fn needed(&self) -> Result<Option<usize>, Error> {
        let Some(&[kind, a, b, c]) = self.message.first_chunk() else {
            return Ok(None);
        };
        if kind != CLIENT_HELLO {
            return Err(unexpected(format!(
                "handshake message {kind} where a ClientHello belongs"
            )));
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_CLIENT_HELLO {
            return Err(decode_error(&format!(
                "a ClientHello of {length} bytes, more than {MAX_CLIENT_HELLO}"
            )));
        }
        Ok(Some(HANDSHAKE_HEADER + length))
    }

    /// Moves one complete record from `received` to `message`; false when there is none.
    fn take_record(&mut self) -> Result<bool, Error> {
        let rest = &self.received[self.taken..];
        if let Some(&first) = rest.first()
            && first != HANDSHAKE
        {
            return Err(unexpected(match first {
                20..=24 => format!("a TLS record of type {first} where a ClientHello belongs"),
                _ => "the client does not speak TLS".into(),
            }));
        }
        let Ok((body, header)) = parse_tls_record_header(rest) else {
            return Ok(false);
        };
        let length = usize::from(header.len);
        if header.version.0 >> 8 != 3 {
            return Err(unexpected("the client does not speak TLS".into()));
        }
        if length == 0 {
            return Err(decode_error("an empty handshake record"));
        }
        if length > super::MAX_PLAINTEXT {
            let message = format!("a handshake record of {length} bytes");
            return Err(Error::refused(AlertDescription::RecordOverflow, message));
        }
        let Some(fragment) = body.get(..length) else {
            return Ok(false);
        };
        self.message.extend_from_slice(fragment);
        self.taken += RECORD_HEADER + length;
        Ok(true)
    }
}

fn unexpected(message: String) -> Error {
    Error::refused(AlertDescription::UnexpectedMessage, message)
}

fn decode_error(message: &str) -> Error {
    Error::refused(AlertDescription::DecodeError, message)
}

/// Reads the body of a ClientHello; `None` where its lengths do not add up, a list is empty that
/// must not be, or an extension stands twice (RFC 8446 section 4.2).
fn parse(body: &[u8]) -> Option<ClientHello> {
    let (rest, contents) = parse_tls_handshake_client_hello(body).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let suites = contents.ciphers.into_iter();
    let mut hello = ClientHello {
        session_id: contents.session_id.unwrap_or_default().to_vec(),
        cipher_suites: suites.map(|suite| CipherSuite(suite.0)).collect(),
        ..ClientHello::default()
    };
    // Most clients send some fifteen.
    let mut seen = Vec::with_capacity(32);
    let mut extensions = contents.ext.unwrap_or_default();
    while !extensions.is_empty() {
        // Each extension is taken as opaque first: a client must not be refused over one that
        // does not matter here and that the backend below can read.
        let whole = extensions;
        let (rest, extension) = parse_tls_extension_unknown(extensions).ok()?;
        extensions = rest;
        let TlsExtension::Unknown(kind, data) = extension else {
            return None;
        };
        seen.push(kind.0);
        match kind.0 {
            0 => hello.server_name = Some(server_name(data)?),
            16 => hello.alpn_protocols = Some(protocols(data)?),
            10 => hello.supported_groups = supported_groups(data),
            13 => hello.signature_algorithms = signature_algorithms(data),
            43 => hello.supported_versions = supported_versions(whole),
            _ => {}
        }
    }
    seen.sort_unstable();
    let twice = seen.windows(2).any(|pair| pair[0] == pair[1]);
    (!twice).then_some(hello)
}

/// What cannot be read of this one and the two below is left to the backend to judge: they decide
/// between certificates only.
fn signature_algorithms(data: &[u8]) -> Vec<u16> {
    match parse_tls_extension_signature_algorithms_content(data) {
        Ok((_, TlsExtension::SignatureAlgorithms(algorithms))) => algorithms,
        _ => Vec::new(),
    }
}

fn supported_groups(data: &[u8]) -> Vec<u16> {
    match parse_tls_extension_elliptic_curves_content(data) {
        Ok((_, TlsExtension::EllipticCurves(groups))) => {
            groups.into_iter().map(|group| group.0).collect()
        }
        _ => Vec::new(),
    }
}

/// From the extension with its header.
fn supported_versions(extension: &[u8]) -> Vec<TlsVersion> {
    match parse_tls_extension_supported_versions(extension) {
        Ok((_, TlsExtension::SupportedVersions(versions))) => versions
            .into_iter()
            .map(|version| TlsVersion(version.0))
            .collect(),
        _ => Vec::new(),
    }
}

/// RFC 6066 section 3: one host name, ASCII.
fn server_name(data: &[u8]) -> Option<String> {
    let (rest, TlsExtension::SNI(names)) = parse_tls_extension_sni_content(data).ok()? else {
        return None;
    };
    let [(kind, name)] = names[..] else {
        return None;
    };
    // The parser stops without a word at an entry that lies about its length.
    let complete = rest.is_empty() && data.len() == 2 + 3 + name.len();
    if !complete || kind.0 != 0 || name.is_empty() || !name.is_ascii() {
        return None;
    }
    String::from_utf8(name.to_vec()).ok()
}

/// RFC 7301 section 3.1: at least one name, none of them empty.
fn protocols(data: &[u8]) -> Option<Vec<ProtocolName>> {
    let (rest, TlsExtension::ALPN(names)) = parse_tls_extension_alpn_content(data).ok()? else {
        return None;
    };
    let listed: usize = names.iter().map(|name| 1 + name.len()).sum();
    if !rest.is_empty() || names.is_empty() || data.len() != 2 + listed {
        return None;
    }
    names
        .into_iter()
        .map(|name| ProtocolName::new(name).ok())
        .collect()
}

#[cfg(test)]
#[path = "client_hello_tests.rs"]
mod tests;
