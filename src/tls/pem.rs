//! Reads PEM (RFC 7468): one strict reader for chains, keys, CA bundles and revocation lists, so that
//! all backends serve the same certificates.
//!
//! It reads what is unambiguous: a byte order mark, any line ends, white space within and between
//! lines, boundaries without a line break between them, and text outside of blocks. It refuses the
//! rest and names the line. Its errors are made of fixed texts only, so that no byte of a file can
//! reach a message.

use std::fmt;

use data_encoding::BASE64;

use super::secret::Secret;
use crate::error::Error;

/// The structure of a private key, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFormat {
    Pkcs1,
    Pkcs8,
    Sec1,
}

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
#[cfg_attr(
    not(any(feature = "native-tls", test)),
    expect(dead_code, reason = "native-tls takes PEM only")
)]
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
            // The first byte of a SEQUENCE in DER.
            [0x30, ..] => {
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

struct Block {
    kind: Kind,
    /// The line of its `-----BEGIN`.
    line: usize,
    der: Secret<Vec<u8>>,
}

/// What a label says, without its text: a mangled file may have anything in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Certificate,
    TrustedCertificate,
    Pkcs7,
    Request,
    RevocationList,
    Key(KeyFormat),
    EncryptedKey,
    OtherKey,
    PublicKey,
    Parameters,
    Unknown,
}

impl Kind {
    fn of(label: &[u8]) -> Self {
        match label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => Self::Certificate,
            b"TRUSTED CERTIFICATE" => Self::TrustedCertificate,
            b"PKCS7" | b"PKCS #7 SIGNED DATA" | b"CMS" => Self::Pkcs7,
            b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => Self::Request,
            b"X509 CRL" => Self::RevocationList,
            b"PRIVATE KEY" => Self::Key(KeyFormat::Pkcs8),
            b"EC PRIVATE KEY" => Self::Key(KeyFormat::Sec1),
            b"RSA PRIVATE KEY" => Self::Key(KeyFormat::Pkcs1),
            b"ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            b"DSA PRIVATE KEY" | b"OPENSSH PRIVATE KEY" => Self::OtherKey,
            b"PUBLIC KEY" | b"RSA PUBLIC KEY" => Self::PublicKey,
            b"EC PARAMETERS" | b"DH PARAMETERS" | b"X9.42 DH PARAMETERS" => Self::Parameters,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "a certificate",
            Self::TrustedCertificate => "a TRUSTED CERTIFICATE of OpenSSL",
            Self::Pkcs7 => "PKCS#7",
            Self::Request => "a certificate request",
            Self::RevocationList => "a revocation list",
            Self::Key(_) => "a private key",
            Self::EncryptedKey => "an encrypted private key",
            Self::OtherKey => "a private key of DSA or OpenSSH",
            Self::PublicKey => "a public key",
            Self::Parameters => "parameters",
            Self::Unknown => "a block of another kind",
        })
    }
}

/// Why a file is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed {
    line: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Utf16,
    LostLineEnds,
    BoundaryIncomplete,
    TextBeforeBegin,
    TextBehindBegin,
    EndWithoutBegin,
    EndOfAnother,
    BeginWithoutEnd,
    Truncated,
    NotBase64,
    Empty,
}

impl Malformed {
    fn at(self, name: &str) -> Error {
        let what = match self.fault {
            Fault::Utf16 => {
                "the text is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8 FILE >NEW`"
            }
            Fault::LostLineEnds => {
                "the line breaks are lost, there is a backslash and an n in their place: restore \
                 them with `printf '%b' \"$(cat FILE)\" >NEW`"
            }
            Fault::BoundaryIncomplete => {
                "a boundary is incomplete: it is `-----BEGIN LABEL-----` or `-----END LABEL-----`"
            }
            Fault::TextBeforeBegin => "`-----BEGIN` is not at the beginning of its line",
            Fault::TextBehindBegin => "`-----BEGIN LABEL-----` is not followed by a line break",
            Fault::EndWithoutBegin => "`-----END` without a `-----BEGIN` before it",
            Fault::EndOfAnother => "the label of `-----END` is not that of its `-----BEGIN`",
            Fault::BeginWithoutEnd => "the next block begins before the `-----END` of this one",
            Fault::Truncated => "this block has no `-----END`: the file is truncated",
            Fault::NotBase64 => "the text of the block is not Base64",
            Fault::Empty => "this block is empty",
        };
        Error::config(format!("{name}, line {}: {what}", self.line))
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file in UTF-16 begins: by a byte order mark or, without one, by dashes.
const UTF_16: [&[u8]; 4] = [b"\xff\xfe", b"\xfe\xff", b"-\0-\0", b"\0-\0-"];

/// A block whose end has not come yet.
struct Open {
    line: usize,
    label: Vec<u8>,
    base64: Vec<u8>,
    encrypted: bool,
}

fn parse(pem: &[u8]) -> Result<Vec<Block>, Malformed> {
    let err = |line, fault| Err(Malformed { line, fault });
    if UTF_16.iter().any(|start| pem.starts_with(start)) {
        return err(1, Fault::Utf16);
    }
    let mut blocks = Vec::new();
    let mut open: Option<Open> = None;
    for (text, line) in lines(pem) {
        let mut rest = trimmed(text);
        // Text in front of a boundary is allowed only if it is another boundary.
        let mut at_start = true;
        loop {
            match &mut open {
                None => {
                    let Some(begin) = find(rest, BEGIN) else {
                        if find(rest, END).is_some() {
                            return err(line, Fault::EndWithoutBegin);
                        }
                        if !at_start && !rest.is_empty() {
                            return err(line, Fault::BoundaryIncomplete);
                        }
                        if rest.starts_with(DASHES) && !rest.iter().all(|&byte| byte == b'-') {
                            return err(line, Fault::BoundaryIncomplete);
                        }
                        break;
                    };
                    if find(&rest[..begin], END).is_some() {
                        return err(line, Fault::EndWithoutBegin);
                    }
                    if begin != 0 {
                        return err(line, Fault::TextBeforeBegin);
                    }
                    let after = &rest[BEGIN.len()..];
                    let Some(length) = find(after, DASHES) else {
                        return err(line, Fault::BoundaryIncomplete);
                    };
                    let behind = trimmed(&after[length + DASHES.len()..]);
                    if behind.starts_with(b"\\n") || behind.starts_with(b"\\r") {
                        return err(line, Fault::LostLineEnds);
                    }
                    if !behind.is_empty() {
                        return err(line, Fault::TextBehindBegin);
                    }
                    open = Some(Open {
                        line,
                        label: after[..length].to_vec(),
                        base64: Vec::new(),
                        encrypted: false,
                    });
                    break;
                }
                Some(block) => {
                    if rest.starts_with(BEGIN) {
                        return err(block.line, Fault::BeginWithoutEnd);
                    }
                    let end = find(rest, END);
                    let data = &rest[..end.unwrap_or(rest.len())];
                    block
                        .take(data)
                        .map_err(|fault| Malformed { line, fault })?;
                    let Some(end) = end else { break };
                    let after = &rest[end + END.len()..];
                    let Some(length) = find(after, DASHES) else {
                        return err(line, Fault::BoundaryIncomplete);
                    };
                    if after[..length] != block.label[..] {
                        return err(line, Fault::EndOfAnother);
                    }
                    blocks.push(block.close()?);
                    open = None;
                    rest = trimmed(&after[length + DASHES.len()..]);
                    at_start = false;
                }
            }
        }
    }
    match open {
        Some(block) => err(block.line, Fault::Truncated),
        None => Ok(blocks),
    }
}

impl Open {
    /// Takes a line, or what stands in front of `-----END`.
    fn take(&mut self, data: &[u8]) -> Result<(), Fault> {
        // The headers of RFC 1421, which OpenSSL writes for encrypted keys.
        if data.contains(&b':') && self.base64.is_empty() {
            let encrypted = data.starts_with(b"Proc-Type:") && find(data, b"ENCRYPTED").is_some();
            self.encrypted |= encrypted;
            return Ok(());
        }
        for &byte in data {
            match byte {
                b' ' | b'\t' => {}
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => {
                    self.base64.push(byte);
                }
                b'\\' => return Err(Fault::LostLineEnds),
                _ => return Err(Fault::NotBase64),
            }
        }
        Ok(())
    }

    fn close(&self) -> Result<Block, Malformed> {
        let fault = |fault| Malformed {
            line: self.line,
            fault,
        };
        let kind = match self.encrypted {
            true => Kind::EncryptedKey,
            false => Kind::of(&self.label),
        };
        let der = BASE64.decode(&self.base64);
        let der = der.map_err(|_position| fault(Fault::NotBase64))?;
        if der.is_empty() {
            return Err(fault(Fault::Empty));
        }
        Ok(Block {
            kind,
            line: self.line,
            der: Secret::new(der),
        })
    }
}

/// The lines and their numbers, by any of the three line ends.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            rest = None;
            return Some(text);
        };
        let length = if text[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = Some(&text[end + length..]);
        Some(&text[..end])
    });
    lines.zip(1..)
}

/// Without white space at both ends. Editors write a byte order mark, and `cat` puts it between files.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    text.strip_prefix(BYTE_ORDER_MARK)
        .map_or(text, <[u8]>::trim_ascii)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests;
