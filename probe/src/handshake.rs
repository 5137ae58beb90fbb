//! One connection of a TLS library. What the library does not report is read from the wire.
//!
//! The streams of monoio-rustls and monoio-native-tls have two hazards, which the one of the client
//! openssl lacks. Both end in a panic, "buffer mut expected" in monoio-io-wrapper's `safe_io.rs`, as a
//! stream's buffers are moved out while a read or a write is pending:
//!
//! - A stream works in one direction at a time: a write has to complete before a read begins, and the
//!   other way round. h2 does both at once, so it never gets the stream: see [`super::http2`].
//! - A cancelled call takes the buffer with it. After a time-out nothing touches the stream again,
//!   not even to close it.

use std::{future::Future, io, time::Instant};

use corelane::{
    ProtocolName,
    tls::{CipherSuite, TlsVersion},
};
use monoio::time::timeout_at;

use super::{
    alerts::{self, NamedAlert},
    connect::{Target, connect},
    http2,
    offer::Offer,
    outcome::{Http2, Outcome},
    patience::Wait,
    peer_text::one_line,
    recorder::{End, Recorder, Recording},
    server_hello::ServerHello,
    stream::Stream,
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

#[cfg(test)]
impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alert(alert) => write!(f, "alert {}", NamedAlert(*alert)),
            Self::Untrusted(why) => write!(f, "untrusted: {why}"),
            Self::Rejected(why) => write!(f, "rejected: {why}"),
            Self::Incompatible(why) => write!(f, "incompatible: {why}"),
            Self::Closed => f.write_str("closed"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// The server chose a protocol that was not offered, in the same words for every client.
pub(crate) const NOT_OFFERED: &str = "chose a protocol that was not offered (RFC 7301 section 3.1)";

/// The server answered an extension that the client did not send, in the same words for every client.
pub(crate) const UNSOLICITED: &str =
    "sent an extension that was not requested (RFC 8446 section 4.2)";

/// Connects, runs `handshake` and speaks HTTP/2 where that was agreed on. `failed` classifies the
/// errors of the stream.
pub(crate) async fn run<S, F>(
    target: &Target,
    offer: &Offer,
    handshake: impl FnOnce(Recorder) -> F,
    failed: fn(&io::Error) -> Failed,
) -> Outcome
where
    S: Stream,
    F: Future<Output = Result<(S, Option<Vec<u8>>), Failed>>,
{
    let (begun, patience) = (Instant::now(), &target.patience);
    let handshaken = begun + patience.limit(Wait::Handshake);
    let socket = match connect(target, handshaken).await {
        Ok(socket) => socket,
        Err(outcome) => return outcome,
    };
    let deadline = begun + patience.timeout();
    let (socket, recording) = Recorder::new(socket, deadline);
    let (mut stream, protocol) = match timeout_at(handshaken.into(), handshake(socket)).await {
        Ok(Ok(done)) => done,
        Ok(Err(failed)) => {
            let outcome = failed_outcome(failed, offer, &recording);
            if let Outcome::Alert(alert) = outcome
                && alerts::may_refuse_certificate(alert)
                && recording.look(wire::asks_for_certificate)
            {
                target.certificate_alert.set(Some(alert));
            }
            return outcome;
        }
        Err(_) => return Outcome::TimedOut,
    };
    patience.answered_after(begun.elapsed());
    let alpn_protocol = protocol.and_then(|name| ProtocolName::new(name).ok());
    // Older releases of OpenSSL take any name.
    if let Some(name) = &alpn_protocol
        && !offer.protocols().contains(name)
    {
        close(&mut stream, deadline).await;
        return failed_outcome(Failed::Rejected(NOT_OFFERED.into()), offer, &recording);
    }
    let (tls_version, cipher_suite) = agreed(&recording);
    let key_exchange_group = recording.look(wire::key_exchange_group);
    let wait = match &alpn_protocol {
        Some(name) if *name == ProtocolName::H2 => Wait::Http2,
        _ => Wait::Unpromised,
    };
    // Without ALPN, the server may accept HTTP/2 with prior knowledge (RFC 9113 section 3.3).
    let speaks_http2 = wait == Wait::Http2 || offer.protocols().is_empty();
    let mut received = http2::Received::default();
    let limit = patience.limit(wait);
    let until = deadline.min(Instant::now() + limit);
    let answer = if speaks_http2 {
        let get = http2::get(&mut stream, &target.name, &mut received);
        timeout_at(until.into(), get).await.map(|got| got.map(Some))
    } else {
        // Below TLS 1.3 the server has spoken last.
        let confirmed = confirm(&mut stream, tls_version == Some(TlsVersion::TLS_1_3));
        timeout_at(until.into(), confirmed)
            .await
            .map(|got| got.map(|()| None))
    };
    match &answer {
        Ok(Ok(None | Some(Http2::Served(_)))) => patience.answered_after(begun.elapsed()),
        Ok(_) => patience.failed_after(wait, begun.elapsed()),
        Err(_) => patience.was_in_vain(wait),
    }
    let answer = match answer {
        Ok(Ok(Some(http2))) => {
            close(&mut stream, until).await;
            Ok(Some(http2))
        }
        Ok(answer) => answer.map_err(|error| failed(&error)),
        Err(_) if speaks_http2 => Ok(Some(
            received.conclude(&format!("no answer within {limit:?}")),
        )),
        Err(_) => Ok(None),
    };
    let http2 = match answer {
        Ok(http2) => http2,
        // Under TLS 1.3 the server judges the client's part of the handshake after the client has
        // completed it: a refusal comes in the place of HTTP/2, or behind the server's SETTINGS.
        Err(Failed::Alert(alert)) if alerts::is_about_certificates(alert) => {
            target.certificate_alert.set(Some(alert));
            return Outcome::Alert(alert);
        }
        Err(Failed::Alert(alert)) if alpn_protocol.is_some() && received.is_empty() => {
            return Outcome::Alert(alert);
        }
        Err(_) if !speaks_http2 => None,
        Err(failed) => Some(no_http2(failed, &received, &recording)),
    };
    Outcome::Negotiated {
        alpn_protocol,
        tls_version,
        cipher_suite,
        key_exchange_group,
        http2,
    }
}

/// Closes the connection, and under TLS 1.3 reads until the server has closed it too or has sent data
/// or an alert: only then has it accepted the client's part of the handshake. Its tickets do not show
/// that, as a server may send them before. A server that sends nothing has not refused.
async fn confirm(stream: &mut impl Stream, read: bool) -> io::Result<()> {
    let _ = stream.shutdown().await;
    if read {
        stream.read(1024).await?;
    }
    Ok(())
}

/// Sends close_notify, so that the server logs no error. Never call it after a cancelled call: see
/// above.
async fn close(stream: &mut impl Stream, deadline: Instant) {
    let _ = timeout_at(deadline.into(), stream.shutdown()).await;
}

fn agreed(recording: &Recording) -> (Option<TlsVersion>, Option<CipherSuite>) {
    match recording.look(wire::read) {
        Said::Hello(hello, _) => (Some(hello.version), Some(hello.cipher_suite)),
        _ => (None, None),
    }
}

/// The result if the stream fails before the GET is answered.
fn no_http2(failed: Failed, received: &http2::Received, recording: &Recording) -> Http2 {
    let (why, by_client) = match (failed, recording.end()) {
        (_, Some(End::TimedOut)) => ("no answer in time".into(), false),
        (_, Some(End::TooMuch)) => ("no end to TLS's own messages".into(), true),
        (Failed::Alert(alert), _) => (format!("alert {}", NamedAlert(alert)), false),
        (Failed::Closed, _) | (_, Some(End::Closed)) => ("the connection was closed".into(), false),
        (Failed::Untrusted(why) | Failed::Rejected(why), None) => (why, false),
        (Failed::Incompatible(why) | Failed::Unknown(why), None) => (why, true),
    };
    match by_client && received.is_empty() {
        true => Http2::Incompatible(one_line(&why)),
        false => received.conclude(&why),
    }
}

/// The outcome of a failed handshake, by the library's error and by what the server sent.
fn failed_outcome(failed: Failed, offer: &Offer, recording: &Recording) -> Outcome {
    let said = recording.look(wire::read);
    match (failed, said) {
        (_, Said::NotTls(what)) => Outcome::NotTls(what),
        (Failed::Alert(alert), _) => Outcome::Alert(alert),
        (Failed::Untrusted(why), _) => Outcome::Untrusted(one_line(&why)),
        (Failed::Rejected(_) | Failed::Incompatible(_), Said::Hello(hello, _))
            if hello.version < TlsVersion::TLS_1_2 && offer.version() != Some(hello.version) =>
        {
            Outcome::below_tls_1_2(hello.version)
        }
        (Failed::Rejected(why), Said::Hello(hello, _)) => {
            Outcome::Invalid(alpn_fault(&hello, offer).unwrap_or_else(|| one_line(&why)))
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

/// What is wrong with the ALPN extension of a ServerHello. Each library has its own words for it, or
/// none. Under TLS 1.3 the extension is encrypted: then the library's words have to do.
fn alpn_fault(hello: &ServerHello, offer: &Offer) -> Option<String> {
    match &hello.alpn_protocol {
        _ if hello.has_malformed_alpn => {
            Some("sent a malformed ALPN extension (RFC 7301 section 3.1)".into())
        }
        Some(name) if !offer.protocols().contains(name) => Some(one_line(&format!(
            "chose {name}, which was not offered (RFC 7301 section 3.1)"
        ))),
        _ => None,
    }
}
