//! The client that makes malformed offers, which no TLS library makes.

use std::time::Instant;

use monoio::{
    io::{AsyncReadRent, AsyncWriteRentExt},
    time::timeout_at,
};

use corelane::tls::TlsVersion;

use super::{
    alerts,
    client_hello::{self, Versions},
    connect::{OfferClient, PendingOutcome, Target, connect},
    offer::{Malformed, Offer},
    outcome::Outcome,
    patience::Wait,
    recorder::{End, Recorder, Recording},
    wire::{self, Behind, Said},
};

pub(crate) struct Raw;

impl OfferClient for Raw {
    fn offer<'a>(
        &'a self,
        offer: &'a Offer,
        target: &'a Target,
    ) -> Result<PendingOutcome<'a>, String> {
        let Some(malformed) = offer.as_malformed() else {
            return Err("the raw client makes malformed offers only".into());
        };
        Ok(Box::pin(async move {
            let begun = Instant::now();
            match outcome(target, malformed, begun).await {
                // Some servers drop a connection now and then, for reasons of their own.
                Outcome::Closed => outcome(target, malformed, begun).await,
                outcome => outcome,
            }
        }))
    }
}

/// Asks again under TLS 1.2 if the answer is encrypted, or if the server requests another
/// ClientHello and so has decided nothing yet. TLS 1.2 has neither.
async fn outcome(target: &Target, malformed: Malformed, begun: Instant) -> Outcome {
    let outcome = ask(target, malformed, Versions::Both, begun).await;
    if !matches!(outcome, Outcome::Encrypted | Outcome::Unsupported(_)) {
        return outcome;
    }
    match ask(target, malformed, Versions::Tls12, begun).await {
        // A server that has TLS 1.3 only answers so, too.
        Outcome::Alert(alerts::PROTOCOL_VERSION | alerts::HANDSHAKE_FAILURE) => outcome,
        below @ (Outcome::Alert(_) | Outcome::Negotiated { .. }) => below,
        _ => outcome,
    }
}

async fn ask(target: &Target, malformed: Malformed, versions: Versions, begun: Instant) -> Outcome {
    let Some(hello) = client_hello::malformed(&target.name, malformed, versions) else {
        return Outcome::Unsupported("the ClientHello cannot be written".into());
    };
    let deadline = begun + target.patience.limit(Wait::Handshake);
    let socket = match connect(target, deadline).await {
        Ok(socket) => socket,
        Err(outcome) => return outcome,
    };
    let (mut socket, recording) = Recorder::new(socket, deadline);
    let exchanged = timeout_at(deadline.into(), exchange(&mut socket, &recording, hello)).await;
    recording.look(|received| match wire::read(received) {
        Said::Alert(description) => Outcome::Alert(description),
        Said::NotTls(what) => Outcome::NotTls(what),
        Said::Hello(hello, _) if hello.version < TlsVersion::TLS_1_2 => {
            Outcome::below_tls_1_2(hello.version)
        }
        Said::Hello(hello, _) if hello.is_retry => {
            Outcome::Unsupported("the server wants a second ClientHello (HelloRetryRequest)".into())
        }
        Said::Hello(hello, Behind::Flight) => Outcome::Negotiated {
            alpn_protocol: hello.alpn_protocol,
            tls_version: Some(hello.version),
            cipher_suite: Some(hello.cipher_suite),
            key_exchange_group: wire::key_exchange_group(received),
            http2: None,
        },
        Said::Hello(_, Behind::Sealed { .. }) => Outcome::Encrypted,
        Said::Nothing | Said::Hello(_, Behind::Open) => match recording.end() {
            Some(End::Closed) => Outcome::Closed,
            Some(End::TimedOut) => Outcome::TimedOut,
            None if exchanged.is_err() => Outcome::TimedOut,
            _ => Outcome::Incompatible(format!("no answer within {MAX_READ} bytes")),
        },
    })
}

/// Sends the ClientHello and reads until it is answered or the connection ends.
async fn exchange(socket: &mut Recorder, recording: &Recording, hello: Vec<u8>) {
    // A server that closes before it has read everything may have sent an alert first.
    let _ = socket.write_all(hello).await;
    while !recording.look(wire::is_decided) {
        let full = recording.look(<[u8]>::len) >= MAX_READ;
        if full || !matches!(socket.read(vec![0; 4096]).await.0, Ok(1..)) {
            return;
        }
    }
}

/// The maximum to read of an answer, bytes: four times the largest record.
const MAX_READ: usize = 64 * 1024;
