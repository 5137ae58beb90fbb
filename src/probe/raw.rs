//! The client that says what no TLS library would.

use std::time::Instant;

use monoio::{
    io::{AsyncReadRent, AsyncWriteRentExt},
    time::timeout_at,
};

use super::{
    Malformed, Offer, Outcome, alerts,
    connect::{Answer, Library, connect},
    hello::{self, Versions},
    options::Target,
    recorder::{Recorder, Recording},
    wire::{self, Said},
};

pub(super) struct Raw;

impl Library for Raw {
    fn offer<'a>(&'a self, offer: &'a Offer, target: &'a Target) -> Result<Answer<'a>, String> {
        let Some(malformed) = offer.as_malformed() else {
            return Err("the raw client makes malformed offers only".into());
        };
        Ok(Box::pin(async move {
            let begun = Instant::now();
            let outcome = ask(target, malformed, Versions::Both, begun).await;
            // An alert behind a ServerHello of TLS 1.3 can be read by those only who have the
            // keys, and a server that wants another ClientHello has decided nothing yet. Under
            // TLS 1.2 neither is in the way.
            if !matches!(outcome, Outcome::EncryptedAlert | Outcome::Unsupported(_)) {
                return outcome;
            }
            match ask(target, malformed, Versions::Tls12, begun).await {
                // It has TLS 1.3 only.
                Outcome::Alert(alerts::PROTOCOL_VERSION) => outcome,
                alert @ Outcome::Alert(_) => alert,
                other if outcome != Outcome::EncryptedAlert => other,
                _ => outcome,
            }
        }))
    }
}

async fn ask(target: &Target, malformed: Malformed, versions: Versions, begun: Instant) -> Outcome {
    let Some(hello) = hello::malformed(&target.name, malformed, versions) else {
        return Outcome::Unsupported("the ClientHello cannot be written".into());
    };
    let deadline = begun + target.timeout;
    let socket = match connect(target, deadline).await {
        Ok(socket) => socket,
        Err(outcome) => return outcome,
    };
    let (mut socket, recording) = Recorder::new(socket);
    let exchanged = timeout_at(deadline.into(), exchange(&mut socket, &recording, hello)).await;
    recording.look(|received| match wire::read(received) {
        Said::Alert(description) => Outcome::Alert(description),
        Said::NotTls(what) => Outcome::Invalid(what),
        Said::Hello(_) if wire::is_encrypted_alert(received) => Outcome::EncryptedAlert,
        Said::Hello(hello) if hello.is_retry => {
            Outcome::Unsupported("the server wants a second ClientHello (HelloRetryRequest)".into())
        }
        Said::Hello(hello) => Outcome::Negotiated {
            alpn_protocol: hello.alpn_protocol,
            tls_version: Some(hello.version),
            cipher_suite: Some(hello.cipher_suite),
            http2: None,
        },
        Said::Nothing if recording.ended() => Outcome::Closed,
        Said::Nothing if exchanged.is_err() => Outcome::TimedOut,
        Said::Nothing => Outcome::Invalid(format!("no answer within {MOST} bytes")),
    })
}

/// Sends the ClientHello and reads until it is answered or the connection ends.
async fn exchange(socket: &mut Recorder, recording: &Recording, hello: Vec<u8>) {
    // A server that closes before it has read everything may still have said why.
    let _ = socket.write_all(hello).await;
    while !recording.look(wire::is_decided) {
        let full = recording.look(<[u8]>::len) >= MOST;
        if full || !matches!(socket.read(vec![0; 4096]).await.0, Ok(1..)) {
            return;
        }
    }
}

/// The most that is read, bytes: four times the largest record.
const MOST: usize = 64 * 1024;
