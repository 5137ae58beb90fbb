//! One connection of a TLS library. What the library does not report is read from the wire.
//!
//! The streams of monoio-rustls and monoio-native-tls have two hazards. Both end in a panic, "buffer
//! mut expected" in monoio-io-wrapper's `safe_io.rs`, as a stream's buffers are moved out while a
//! read or a write is pending:
//!
//! - A stream works in one direction at a time: a write has to complete before a read begins, and the
//!   other way round. h2 does both at once, so it never gets the stream: see [`super::http2`].
//! - A cancelled call takes the buffer with it. After a time-out nothing touches the stream again,
//!   not even to close it.

use std::{
    future::Future,
    io,
    time::{Duration, Instant},
};

use corelane::{
    ProtocolName,
    tls::{CipherSuite, TlsVersion},
};
use monoio::{
    io::{AsyncReadRent, AsyncWriteRent},
    time::timeout_at,
};

use super::{
    alerts::{self, NamedAlert},
    connect::{Target, connect},
    http2,
    offer::Offer,
    outcome::{Http2, Outcome},
    peer_text::one_line,
    recorder::{End, Recorder, Recording},
    wire::{self, Said},
};

/// The reason why a TLS library failed, as far as its error shows it.
pub(crate) enum Failed {
    /// It received this alert.
    Alert(u8),
    /// It does not trust the certificate.
    Untrusted(String),
    /// The server sent something that is not allowed.
    Rejected(String),
    /// It cannot continue, but another client might.
    Incompatible(String),
    /// The connection ended.
    Closed,
    /// The error does not show the reason.
    Unknown(String),
}

/// How long to wait for HTTP/2 that the server did not promise. A server of another protocol may
/// never answer, and does not have to.
const PRIOR_KNOWLEDGE: Duration = Duration::from_secs(1);

/// Connects, runs `handshake` and speaks HTTP/2 where that was agreed on. `failed` classifies the
/// errors of the stream.
pub(crate) async fn run<S, F>(
    target: &Target,
    offer: &Offer,
    handshake: impl FnOnce(Recorder) -> F,
    failed: fn(&io::Error) -> Failed,
) -> Outcome
where
    S: AsyncReadRent + AsyncWriteRent,
    F: Future<Output = Result<(S, Option<Vec<u8>>), Failed>>,
{
    let deadline = Instant::now() + target.timeout;
    let socket = match connect(target, deadline).await {
        Ok(socket) => socket,
        Err(outcome) => return outcome,
    };
    let (socket, recording) = Recorder::new(socket, deadline);
    let (mut stream, protocol) = match timeout_at(deadline.into(), handshake(socket)).await {
        Ok(Ok(done)) => done,
        Ok(Err(failed)) => return failed_outcome(failed, &recording),
        Err(_) => return Outcome::TimedOut,
    };
    let alpn_protocol = protocol.and_then(|name| ProtocolName::new(name).ok());
    let patience = match &alpn_protocol {
        Some(name) if *name == ProtocolName::H2 => Some(target.timeout),
        // Does the server accept HTTP/2 with prior knowledge (RFC 9113 section 3.3)?
        None if offer.protocols().is_empty() => Some(PRIOR_KNOWLEDGE.min(target.timeout)),
        _ => None,
    };
    let http2 = match patience {
        None => {
            close(&mut stream, deadline).await;
            None
        }
        Some(patience) => {
            let deadline = deadline.min(Instant::now() + patience);
            let mut received = http2::Received::default();
            let get = http2::get(&mut stream, &target.name, &mut received);
            match timeout_at(deadline.into(), get).await {
                Ok(Ok(http2)) => {
                    close(&mut stream, deadline).await;
                    Some(http2)
                }
                Ok(Err(error)) => match (failed(&error), &alpn_protocol) {
                    // Under TLS 1.3 the server judges the client's part of the handshake after the
                    // client has completed it: a refusal comes in the place of HTTP/2.
                    (Failed::Alert(alert), Some(_))
                    | (Failed::Alert(alert @ alerts::CERTIFICATE_REQUIRED), None) => {
                        return Outcome::Alert(alert);
                    }
                    (failed, _) => Some(no_http2(failed, &recording)),
                },
                Err(_) => Some(received.conclude(&format!("no answer within {patience:?}"))),
            }
        }
    };
    let (tls_version, cipher_suite) = agreed(&recording);
    Outcome::Negotiated {
        alpn_protocol,
        tls_version,
        cipher_suite,
        http2,
    }
}

/// Sends close_notify, so that the server logs no error. Never call it after a cancelled call: see
/// above.
async fn close<S: AsyncWriteRent>(stream: &mut S, deadline: Instant) {
    let _ = timeout_at(deadline.into(), stream.shutdown()).await;
}

fn agreed(recording: &Recording) -> (Option<TlsVersion>, Option<CipherSuite>) {
    match recording.look(wire::read) {
        Said::Hello(hello, _) => (Some(hello.version), Some(hello.cipher_suite)),
        _ => (None, None),
    }
}

/// The result if the stream fails before the server has sent anything.
fn no_http2(failed: Failed, recording: &Recording) -> Http2 {
    match (failed, recording.end()) {
        (_, Some(End::TimedOut)) => Http2::NotServed("no answer in time".into()),
        (_, Some(End::TooMuch)) => Http2::Incompatible("no end to TLS's own messages".into()),
        (Failed::Alert(alert), _) => Http2::NotServed(format!("alert {}", NamedAlert(alert))),
        (Failed::Closed, _) | (_, Some(End::Closed)) => {
            Http2::NotServed("the connection was closed".into())
        }
        (Failed::Untrusted(why) | Failed::Rejected(why), None) => Http2::NotServed(one_line(&why)),
        (Failed::Incompatible(why) | Failed::Unknown(why), None) => {
            Http2::Incompatible(one_line(&why))
        }
    }
}

/// The outcome of a failed handshake, by the library's error and by what the server sent.
fn failed_outcome(failed: Failed, recording: &Recording) -> Outcome {
    let said = recording.look(wire::read);
    match (failed, said) {
        (_, Said::NotTls(what)) => Outcome::NotTls(what),
        (Failed::Alert(alert), _) => Outcome::Alert(alert),
        (Failed::Untrusted(why), _) => Outcome::Untrusted(one_line(&why)),
        (Failed::Rejected(_) | Failed::Incompatible(_), Said::Hello(hello, _))
            if hello.version < TlsVersion::TLS_1_2 =>
        {
            Outcome::below_tls_1_2(hello.version)
        }
        // Later bytes do not matter: the library did not read them.
        (Failed::Rejected(why), _) => Outcome::Invalid(one_line(&why)),
        (Failed::Incompatible(why), _) => Outcome::Incompatible(one_line(&why)),
        (Failed::Closed | Failed::Unknown(_), Said::Alert(alert)) => Outcome::Alert(alert),
        (failed, _) => match (failed, recording.end()) {
            (_, Some(End::TimedOut)) => Outcome::TimedOut,
            (_, Some(End::TooMuch)) => {
                Outcome::Incompatible("no end to the handshake's messages".into())
            }
            (Failed::Unknown(why), None) => Outcome::Incompatible(one_line(&why)),
            _ => Outcome::Closed,
        },
    }
}
