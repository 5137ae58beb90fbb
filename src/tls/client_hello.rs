//! The ClientHello, parsed before the session starts: ALPN is decided on it for every backend.

use std::net::IpAddr;

use tls_parser::{
    TlsExtension, parse_tls_extension_alpn_content, parse_tls_extension_elliptic_curves_content,
    parse_tls_extension_signature_algorithms_content, parse_tls_extension_sni_content,
    parse_tls_extension_supported_versions, parse_tls_extension_unknown,
    parse_tls_handshake_client_hello,
};

use super::dns_name::is_host_name;
use crate::{
    alpn::ProtocolName,
    negotiated::{CipherSuite, TlsVersion},
};

/// What a client offers, as far as corelane uses it (RFC 8446 section 4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHello {
    /// The protocols of the ALPN extension in the client's order; `None` without the extension.
    pub alpn_protocols: Option<Vec<ProtocolName>>,
    /// The host name of the SNI extension. `None` without one, and for an IP address, which RFC 6066
    /// section 3 forbids there but some clients send.
    pub server_name: Option<String>,
    /// `legacy_session_id`: under TLS 1.2 the session that the client wants to resume.
    pub session_id: Vec<u8>,
    /// The cipher suites in the client's order.
    pub cipher_suites: Vec<CipherSuite>,
    /// The versions of the supported_versions extension; empty without it. A client without it
    /// speaks TLS 1.2 at most (RFC 8446 section 4.2.1).
    pub supported_versions: Vec<TlsVersion>,
    /// The numbers of the signature_algorithms extension (RFC 8446 section 4.2.3); empty without
    /// it.
    pub signature_algorithms: Vec<u16>,
    /// The numbers of the supported_groups extension (RFC 8446 section 4.2.7); empty without it.
    pub supported_groups: Vec<u16>,
    /// Whether it has the extended_master_secret extension (RFC 7627), which TLS 1.2 alone uses.
    pub extended_master_secret: bool,
    /// The whole handshake message as it was received, with its header of 4 bytes and without those of
    /// records (RFC 8446 section 4): for what the other fields leave out.
    pub message: Vec<u8>,
}

/// Why a ClientHello is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its lengths are inconsistent, a list is empty that must not be, or an extension occurs twice
    /// (RFC 8446 section 4.2).
    Malformed,
    /// The server name is no host name in ASCII (RFC 6066 section 3).
    ServerName,
}

/// Parses the body of a ClientHello.
pub(super) fn parse(body: &[u8]) -> Result<ClientHello, Fault> {
    let Ok((&[], contents)) = parse_tls_handshake_client_hello(body) else {
        return Err(Fault::Malformed);
    };
    let suites = contents.ciphers.into_iter();
    let mut hello = ClientHello {
        session_id: contents.session_id.unwrap_or_default().to_vec(),
        cipher_suites: suites.map(|suite| CipherSuite(suite.0)).collect(),
        ..ClientHello::default()
    };
    // Most clients send about 15 extensions.
    let mut seen = Vec::with_capacity(32);
    let mut extensions = contents.ext.unwrap_or_default();
    while !extensions.is_empty() {
        // Each extension is parsed as opaque first: an extension that is not used here must not
        // be a reason to refuse a client that the backend accepts.
        let whole = extensions;
        let Ok((rest, TlsExtension::Unknown(kind, data))) = parse_tls_extension_unknown(extensions)
        else {
            return Err(Fault::Malformed);
        };
        extensions = rest;
        seen.push(kind.0);
        match kind.0 {
            0 => hello.server_name = server_name(data)?,
            16 => hello.alpn_protocols = Some(protocols(data).ok_or(Fault::Malformed)?),
            10 => hello.supported_groups = supported_groups(data),
            23 => hello.extended_master_secret = true,
            13 => hello.signature_algorithms = signature_algorithms(data),
            43 => hello.supported_versions = supported_versions(whole),
            _ => {}
        }
    }
    seen.sort_unstable();
    let twice = seen.windows(2).any(|pair| pair[0] == pair[1]);
    match twice {
        true => Err(Fault::Malformed),
        false => Ok(hello),
    }
}

/// A malformed extension is ignored here and in the two functions below: these extensions only select
/// a certificate, and the backend judges them itself.
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

/// Takes the extension with its header.
fn supported_versions(extension: &[u8]) -> Vec<TlsVersion> {
    match parse_tls_extension_supported_versions(extension) {
        Ok((_, TlsExtension::SupportedVersions(versions))) => versions
            .into_iter()
            .map(|version| TlsVersion(version.0))
            .collect(),
        _ => Vec::new(),
    }
}

/// One host name (RFC 6066 section 3). `None` if it is an IP address. Backends accept others differently,
/// and logs contain it.
fn server_name(data: &[u8]) -> Result<Option<String>, Fault> {
    let Ok((rest, TlsExtension::SNI(names))) = parse_tls_extension_sni_content(data) else {
        return Err(Fault::Malformed);
    };
    let [(kind, name)] = names[..] else {
        return Err(Fault::Malformed);
    };
    // The parser stops without an error at an entry with a wrong length.
    let complete = rest.is_empty() && data.len() == 2 + 3 + name.len();
    if !complete || kind.0 != 0 || name.is_empty() {
        return Err(Fault::Malformed);
    }
    let name = str::from_utf8(name).map_err(|_| Fault::ServerName)?;
    let address = name.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    match is_host_name(name) {
        true => Ok(Some(name.to_owned())),
        false => Err(Fault::ServerName),
    }
}

/// At least one name, none of them empty (RFC 7301 section 3.1).
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
