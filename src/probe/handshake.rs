//! One connection by a TLS library, with what the library does not tell read from the wire.
//!
//! monoio-rustls and monoio-native-tls are used in one direction at a time: a write is waited for
//! before a read begins, and the other way round. Beneath h2, which does both at once, their
//! streams panic when the peer makes the library answer while a write is under way ("buffer mut
//! expected" in monoio-io-wrapper's `safe_io.rs`). So h2 never sees them: see [`super::http2`].

use std::{
    future::Future,
    time::{Duration, Instant},
};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent},
    time::timeout_at,
};

use super::{
    Http2, Offer, Outcome,
    connect::connect,
    http2,
    options::Target,
    recorder::{Recorder, Recording},
    wire::{self, Said},
};
use crate::alpn::ProtocolName;

/// Why a library gave up.
pub(super) struct Failed {
    /// The alert that it received.
    pub(super) alert: Option<u8>,
    /// Whether it was because of the certificate.
    pub(super) untrusted: bool,
    /// In its own words.
    pub(super) message: String,
}

/// How long is waited for HTTP/2 that nobody promised. Servers of something else that do not
/// understand the question may say nothing at all; it is no reason to wait for them for long.
const PRIOR_KNOWLEDGE: Duration = Duration::from_secs(1);

/// Connects, lets `handshake` do its part and speaks HTTP/2 where that was agreed on.
pub(super) async fn run<S, F>(
    target: &Target,
    offer: &Offer,
    handshake: impl FnOnce(Recorder) -> F,
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
    let (socket, recording) = Recorder::new(socket);
    let (mut stream, protocol) = match timeout_at(deadline.into(), handshake(socket)).await {
        Ok(Ok(done)) => done,
        Ok(Err(failed)) => return why(failed, &recording),
        Err(_) => return Outcome::TimedOut,
    };
    let protocol = protocol.and_then(|name| ProtocolName::new(name).ok());
    let http2 = match &protocol {
        Some(name) if *name == ProtocolName::H2 => {
            Some(speak(&mut stream, target, deadline, target.timeout).await)
        }
        // Does it serve HTTP/2 to those who know beforehand (RFC 9113 section 3.3)?
        None if offer.protocols().is_empty() => {
            let patience = PRIOR_KNOWLEDGE.min(target.timeout);
            let deadline = deadline.min(Instant::now() + patience);
            Some(speak(&mut stream, target, deadline, patience).await)
        }
        _ => None,
    };
    // The goodbye is a courtesy: nothing is learned from it.
    let _ = timeout_at(deadline.into(), stream.shutdown()).await;
    let hello = match recording.look(wire::read) {
        Said::Hello(hello) => Some(hello),
        _ => None,
    };
    Outcome::Negotiated {
        alpn_protocol: protocol,
        tls_version: hello.as_ref().map(|hello| hello.version),
        cipher_suite: hello.map(|hello| hello.cipher_suite),
        http2,
    }
}

async fn speak<S>(stream: &mut S, target: &Target, deadline: Instant, patience: Duration) -> Http2
where
    S: AsyncReadRent + AsyncWriteRent,
{
    let mut heard = http2::Heard::default();
    let spoken = http2::get(stream, &target.name, &mut heard);
    match timeout_at(deadline.into(), spoken).await {
        Ok(Ok(status)) => Http2::Served(status),
        Ok(Err(what)) => Http2::NotServed(what),
        Err(_) => Http2::NotServed(format!("{} within {:?}", heard.so_far(), patience)),
    }
}

/// What a failed handshake was. What can be read from the wire comes first: it says what the
/// server did, the library what it thought of it.
fn why(failed: Failed, recording: &Recording) -> Outcome {
    match recording.look(wire::read) {
        Said::Alert(description) => Outcome::Alert(description),
        Said::NotTls(what) => Outcome::Invalid(format!("no TLS: {what}")),
        _ => match failed.alert {
            Some(description) => Outcome::Alert(description),
            None if failed.untrusted => Outcome::Untrusted(failed.message),
            None if recording.ended() => Outcome::Closed,
            None => Outcome::Invalid(failed.message),
        },
    }
}
