//! Takes PEM apart into blocks.

use std::fmt;

use data_encoding::BASE64;

use crate::{error::Error, tls::secret::Secret};

/// The structure of a private key, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFormat {
    Pkcs1,
    Pkcs8,
    Sec1,
}

pub(super) struct Block {
    pub(super) kind: Kind,
    /// The line of its `-----BEGIN`.
    pub(super) line: usize,
    pub(super) der: Secret<Vec<u8>>,
}

/// What a label says, without its text: a mangled file may have anything in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    TrustedCertificate,
    Pkcs7,
    Request,
    RevocationList,
    OcspResponse,
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
            b"OCSP RESPONSE" => Self::OcspResponse,
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
            Self::OcspResponse => "an OCSP response",
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
pub(super) struct Malformed {
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
    /// The error about the file of this name.
    pub(super) fn at(self, name: &str) -> Error {
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

/// The blocks of a file.
pub(super) fn parse(pem: &[u8]) -> Result<Vec<Block>, Malformed> {
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

pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
