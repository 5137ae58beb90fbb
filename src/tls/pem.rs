//! Reads PEM (RFC 7468): one strict reader for chains, keys, CA bundles, revocation lists and OCSP
//! responses, so that all backends serve the same certificates.
//!
//! It reads what is unambiguous: a byte order mark, any line ends, white space within and between
//! lines, boundaries without a line break between them, and text outside of blocks. It refuses the
//! rest and names the line. Its errors are made of fixed texts only, so that no byte of a file can
//! reach a message.

mod reader;

use data_encoding::BASE64;

pub(crate) use self::reader::KeyFormat;
use self::reader::{Block, Kind, parse};
use super::secret::Secret;
use crate::error::Error;

/// The first byte of a structure in DER.
const SEQUENCE: u8 = 0x30;

/// A private key in DER.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey {
    pub(super) format: KeyFormat,
    pub(super) der: Secret<Vec<u8>>,
}

/// The certificates of a file, in DER. Other blocks, the key among them, are left out.
///
/// # Errors
///
/// [`Error::is_config`] if the PEM is malformed, contains no certificate, or has one in another
/// structure, which would be left out.
pub(super) fn certificates(pem: &[u8], name: &str) -> Result<Vec<Vec<u8>>, Error> {
    let blocks = parse(pem).map_err(|fault| fault.at(name))?;
    for block in &blocks {
        let advice = match block.kind {
            Kind::TrustedCertificate => "convert it with `openssl x509 -in FILE -out PLAIN`",
            Kind::Pkcs7 => "convert it with `openssl pkcs7 -in FILE -print_certs -out PLAIN`",
            Kind::OcspResponse => "write it to a file of its own",
            Kind::Unknown => "remove it",
            _ => continue,
        };
        let (line, kind) = (block.line, block.kind);
        return Err(Error::config(format!(
            "{name}, line {line}: {kind} is not supported among certificates: {advice}"
        )));
    }
    of_kind(blocks, Kind::Certificate, "CERTIFICATE", name, pem)
}

/// The revocation lists of a file, in DER.
///
/// # Errors
///
/// [`Error::is_config`] if the PEM is malformed or contains no list.
pub(super) fn revocation_lists(pem: &[u8], name: &str) -> Result<Vec<Vec<u8>>, Error> {
    let blocks = parse(pem).map_err(|fault| fault.at(name))?;
    of_kind(blocks, Kind::RevocationList, "X509 CRL", name, pem)
}

/// The OCSP response of a file, in DER, which the file may also be itself.
///
/// # Errors
///
/// [`Error::is_config`] if the PEM is malformed or does not contain exactly one response.
pub(super) fn ocsp_response(file: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    if file.first() == Some(&SEQUENCE) {
        return Ok(file.to_owned());
    }
    let blocks = parse(file).map_err(|fault| fault.at(name))?;
    let mut responses = of_kind(blocks, Kind::OcspResponse, "OCSP RESPONSE", name, file)?;
    match (responses.pop(), responses.is_empty()) {
        (Some(response), true) => Ok(response),
        _ => Err(Error::config(format!(
            "{name} contains several OCSP responses: keep the one about the server's own certificate"
        ))),
    }
}

/// The private key of a file. Certificates and parameters beside it are left out.
///
/// # Errors
///
/// [`Error::is_config`] if the PEM is malformed, or the file does not contain exactly one private key
/// that is not encrypted.
pub(super) fn private_key(pem: &[u8], name: &str) -> Result<PrivateKey, Error> {
    let blocks = parse(pem).map_err(|fault| fault.at(name))?;
    if let Some(block) = blocks.iter().find(|block| block.kind == Kind::EncryptedKey) {
        return Err(Error::config(format!(
            "{name}, line {}: the key is encrypted, which is not supported: decrypt it with \
             `openssl pkey -in KEY -out PLAIN`",
            block.line
        )));
    }
    let found = found(&blocks, pem);
    let mut keys = blocks.into_iter().filter_map(|block| match block.kind {
        Kind::Key(format) => Some((block.line, format, block.der)),
        _ => None,
    });
    let Some((_, format, der)) = keys.next() else {
        return Err(Error::config(format!(
            "{name} contains no private key in PEM (PKCS#8, SEC1 or PKCS#1){found}"
        )));
    };
    if let Some((line, ..)) = keys.next() {
        return Err(Error::config(format!(
            "{name}, line {line}: a second private key: keep the one of the certificate"
        )));
    }
    Ok(PrivateKey { format, der })
}

/// Writes a block. The label is one of [`Kind`]'s.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    /// RFC 7468 section 2.
    const LINE: usize = 64;
    let base64 = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn of_kind(
    blocks: Vec<Block>,
    kind: Kind,
    label: &str,
    name: &str,
    pem: &[u8],
) -> Result<Vec<Vec<u8>>, Error> {
    let found = found(&blocks, pem);
    let blocks = blocks.into_iter().filter(|block| block.kind == kind);
    let ders: Vec<_> = blocks.map(|block| block.der.into_public()).collect();
    match ders.is_empty() {
        true => Err(Error::config(format!(
            "{name} contains no `-----BEGIN {label}-----`{found}"
        ))),
        false => Ok(ders),
    }
}

/// Completes the error about a missing block with the kinds of the others.
fn found(blocks: &[Block], pem: &[u8]) -> String {
    if blocks.is_empty() {
        return match pem.trim_ascii() {
            [] => ": it is empty".into(),
            [SEQUENCE, ..] => {
                ": it is DER, convert it with `openssl x509 -inform DER` or `openssl pkey \
                           -inform DER`"
                    .into()
            }
            _ => ": it is not PEM".into(),
        };
    }
    let mut kinds: Vec<_> = blocks.iter().map(|block| block.kind.to_string()).collect();
    kinds.dedup();
    format!(": it contains {}", kinds.join(", "))
}

#[cfg(test)]
mod tests;
