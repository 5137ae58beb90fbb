//! One connection by a TLS library, with what the library does not tell read from the wire.
//!
//! The streams of monoio-rustls and monoio-native-tls have two hazards; both end in a panic, "buffer
//! mut expected" in monoio-io-wrapper's `safe_io.rs`, as their buffers are away while a read or a
//! write is under way:
//!
//! - They work in one direction at a time: a write has to be waited for before a read begins, and
//!   the other way round. h2 does both at once, so it never sees them: see [`super::http2`].
//! - A call that is cancelled takes the buffer with it. What a time-out has ended is not touched
//!   again, not even to say goodbye.

use std::{
    future::Future,
    io,
    time::{Duration, Instant},
};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent},
    time::timeout_at,
};

use super::{
    Http2, Offer, Outcome, alerts,
    connect::connect,
    http2,
    options::Target,
    peer_text::one_line,
    recorder::{End, Recorder, Recording},
    wire::{self, Said},
};
use crate::{
    alpn::ProtocolName,
    negotiated::{CipherSuite, TlsVersion},
};

/// Why a library gave up, where that can be known in its own words.
pub(super) enum Failed {
    /// It received this alert.
    Alert(u8),
    /// It does not trust the certificate.
    Untrusted(String),
    /// What came is not allowed: the server is wrong.
    Rejected(String),
    /// It cannot go on, and another client could.
    Incompatible(String),
    /// The connection ended.
    Closed,
    /// There is no telling.
    Unknown(String),
}

/// How long is waited for HTTP/2 that nobody promised. Servers of something else that do not
/// understand the question may say nothing at all; it is no reason to wait for them for long.
const PRIOR_KNOWLEDGE: Duration = Duration::from_secs(1);

/// Connects, lets `handshake` do its part and speaks HTTP/2 where that was agreed on. `failed` reads
/// the errors of the stream.
pub(super) async fn run<S, F>(
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
        Ok(Err(failed)) => return why(failed, &recording),
        Err(_) => return Outcome::TimedOut,
    };
    let alpn_protocol = protocol.and_then(|name| ProtocolName::new(name).ok());
    let patience = match &alpn_protocol {
        Some(name) if *name == ProtocolName::H2 => Some(target.timeout),
        // Does it serve HTTP/2 to those who know beforehand (RFC 9113 section 3.3)?
        None if offer.protocols().is_empty() => Some(PRIOR_KNOWLEDGE.min(target.timeout)),
        _ => None,
    };
    let http2 = match patience {
        None => {
            say_goodbye(&mut stream, deadline).await;
            None
        }
        Some(patience) => {
            let deadline = deadline.min(Instant::now() + patience);
            let mut heard = http2::Heard::default();
            let spoken = http2::get(&mut stream, &target.name, &mut heard);
            match timeout_at(deadline.into(), spoken).await {
                Ok(Ok(http2)) => {
                    say_goodbye(&mut stream, deadline).await;
                    Some(http2)
                }
                Ok(Err(error)) => match (failed(&error), &alpn_protocol) {
                    // Under TLS 1.3 the client's part of the handshake is judged by the server
                    // when the client's own is done: a refusal comes in the place of HTTP/2.
                    (Failed::Alert(alert), Some(_))
                    | (Failed::Alert(alert @ alerts::CERTIFICATE_REQUIRED), None) => {
                        return Outcome::Alert(alert);
                    }
                    (failed, _) => Some(Http2::NotServed(nothing_came(failed, &recording))),
                },
                Err(_) => Some(heard.no_more(&format!("no answer within {patience:?}"))),
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

/// A courtesy: nothing is learned from it. Not after a call that was cancelled: see above.
async fn say_goodbye<S: AsyncWriteRent>(stream: &mut S, deadline: Instant) {
    let _ = timeout_at(deadline.into(), stream.shutdown()).await;
}

fn agreed(recording: &Recording) -> (Option<TlsVersion>, Option<CipherSuite>) {
    match recording.look(wire::read) {
        Said::Hello(hello, _) => (Some(hello.version), Some(hello.cipher_suite)),
        _ => (None, None),
    }
}

fn nothing_came(failed: Failed, recording: &Recording) -> String {
    match (failed, recording.end()) {
        (_, Some(End::TimedOut)) => "no answer in time".into(),
        (_, Some(End::TooMuch)) => "no end to what TLS says for itself".into(),
        (Failed::Alert(alert), _) => format!("alert {}", alerts::Shown(alert)),
        (Failed::Closed, _) | (_, Some(End::Closed)) => "the connection was closed".into(),
        (
            Failed::Untrusted(why)
            | Failed::Rejected(why)
            | Failed::Incompatible(why)
            | Failed::Unknown(why),
            None,
        ) => one_line(&why),
    }
}

/// What a failed handshake was, by the library and by what stands on the wire.
fn why(failed: Failed, recording: &Recording) -> Outcome {
    let said = recording.look(wire::read);
    match (failed, said) {
        (_, Said::NotTls(what)) => Outcome::NotTls(what),
        (Failed::Alert(alert), _) => Outcome::Alert(alert),
        (Failed::Untrusted(why), _) => Outcome::Untrusted(one_line(&why)),
        (Failed::Rejected(_) | Failed::Incompatible(_), Said::Hello(hello, _))
            if hello.version < TlsVersion::TLS_1_2 =>
        {
            let version = hello.version;
            Outcome::Incompatible(format!(
                "the server has {version} only, this client TLS 1.2"
            ))
        }
        // Whatever came later: it was not read.
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
