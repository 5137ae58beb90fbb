//! Collects the ClientHello from the first bytes of a connection.

use tls_parser::parse_tls_record_header;

use super::{
    client_hello::{ClientHello, Fault, parse},
    session::MAX_PLAINTEXT,
};
use crate::{
    alert::AlertDescription,
    error::{Error, Kind},
};

/// The largest ClientHello, bytes. Browsers send 2 KiB, of which a post-quantum key share is 1.2 KiB and
/// ECH 0.3 KiB; larger key shares and long lists leave room below this. The worker holds it twice while
/// it arrives, so the default of 1,024 handshakes at once holds 32 MiB at most. The libraries would
/// take 64 KiB and more.
const MAX_CLIENT_HELLO: usize = 16 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;

impl ClientHello {
    /// Reads a ClientHello from the records that a client sends first, as a server does. What follows it
    /// is ignored. For tests of a [`TlsAcceptor`](super::TlsAcceptor), and for servers of your own.
    ///
    /// # Errors
    ///
    /// When it is incomplete, or a server refuses it ([`Error::is_handshake`]).
    pub fn from_records(records: &[u8]) -> Result<Self, Error> {
        let hello = ClientHelloReader::default().push(records)?;
        hello.ok_or_else(|| decode_error("the ClientHello is incomplete"))
    }
}

/// Collects the ClientHello from the pieces that it arrives in. It may span several records.
#[derive(Default)]
pub(crate) struct ClientHelloReader {
    /// All bytes so far, for the replay to the session.
    received: Vec<u8>,
    /// The length of the records in `received` that are part of `message` already.
    taken: usize,
    /// The handshake message without the record headers.
    message: Vec<u8>,
}

impl ClientHelloReader {
    /// Takes the next piece. Returns the ClientHello when it is complete, and `None` before. The error
    /// names the alert to send.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, Error> {
        self.received.extend_from_slice(bytes);
        loop {
            match self.needed()? {
                Some(needed) if self.message.len() >= needed => {
                    return match parse(&self.message[HANDSHAKE_HEADER..needed]) {
                        Ok(mut hello) => {
                            hello.message = std::mem::take(&mut self.message);
                            hello.message.truncate(needed);
                            Ok(Some(hello))
                        }
                        Err(Fault::Malformed) => {
                            Err(decode_error("the ClientHello cannot be parsed"))
                        }
                        Err(Fault::ServerName) => Err(Error::refused(
                            AlertDescription::IllegalParameter,
                            "the server name in the ClientHello is no host name in ASCII",
                        )),
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

    /// The length of the handshake message with its header, as soon as it is known.
    fn needed(&self) -> Result<Option<usize>, Error> {
        let Some(&[kind, a, b, c]) = self.message.first_chunk() else {
            return Ok(None);
        };
        if kind != CLIENT_HELLO {
            return Err(unexpected(format!(
                "expected a ClientHello, got handshake message {kind}"
            )));
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_CLIENT_HELLO {
            return Err(decode_error(&format!(
                "the ClientHello has {length} bytes, and {MAX_CLIENT_HELLO} are allowed"
            )));
        }
        Ok(Some(HANDSHAKE_HEADER + length))
    }

    /// Moves one complete record from `received` to `message`; false if there is none.
    fn take_record(&mut self) -> Result<bool, Error> {
        let rest = &self.received[self.taken..];
        if let Some(&first) = rest.first()
            && first != HANDSHAKE
        {
            return Err(match first {
                20..=24 => unexpected(format!(
                    "expected a ClientHello, got a TLS record of type {first}"
                )),
                _ => not_tls(),
            });
        }
        let Ok((body, header)) = parse_tls_record_header(rest) else {
            return Ok(false);
        };
        let length = usize::from(header.len);
        if header.version.0 >> 8 != 3 {
            return Err(not_tls());
        }
        if length == 0 {
            return Err(decode_error("the handshake record is empty"));
        }
        if length > MAX_PLAINTEXT {
            let message =
                format!("the handshake record has {length} bytes, and {MAX_PLAINTEXT} are allowed");
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

fn not_tls() -> Error {
    Error::new(Kind::NotTls, "the client does not speak TLS")
        .or_alert(AlertDescription::UnexpectedMessage)
}

fn decode_error(message: &str) -> Error {
    Error::refused(AlertDescription::DecodeError, message)
}

#[cfg(test)]
mod tests;
