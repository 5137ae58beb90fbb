//! The counters of a worker.

use super::{
    counter::Counter,
    durations::{DurationCounters, Durations},
};

/// Declares the counters. The first line of each comment is also the help text of its metric.
macro_rules! counters {
    ($(#[doc = $help:literal] $(#[doc = $more:literal])* $name:ident,)*) => {
        /// The counters of one worker since it started, as of the time of the call.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WorkerCounters {
            $(#[doc = $help] $(#[doc = $more])* pub $name: u64,)*
            /// The time from a request's head to the end of its response, of requests that were
            /// answered.
            pub request_durations: Durations,
        }

        /// The live counters of one worker. Where some count parts of another, the worker adds to the
        /// part first and `read` reads the whole first, so that the whole is never less than its
        /// parts. Aligned so that no two workers write to one cache line.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            pub(crate) request_durations: DurationCounters,
        }

        impl Counters {
            pub(crate) fn read(&self) -> WorkerCounters {
                WorkerCounters {
                    $($name: self.$name.read(),)*
                    request_durations: self.request_durations.read(),
                }
            }
        }

        /// The help text of each counter.
        #[allow(dead_code, reason = "counters that share a metric share its help text")]
        pub(super) struct Help {
            $(pub(super) $name: &'static str,)*
        }

        pub(super) const HELP: Help = Help { $($name: $help.trim_ascii(),)* };

        #[cfg(test)]
        #[allow(clippy::type_complexity, reason = "a test needs it once")]
        pub(super) const FIELDS: &[(&str, fn(&mut WorkerCounters) -> &mut u64)] =
            &[$((stringify!($name), |counters| &mut counters.$name),)*];
    };
}

counters! {
    /// Connections accepted from the listeners.
    connections_accepted,
    /// Connections closed at once because the worker had its maximum open; not counted as accepted.
    /// The maximum is [`Builder::max_connections`](crate::Builder::max_connections).
    connections_refused,
    /// Connections that have ended, for any reason.
    connections_closed,
    /// Handshakes completed; without TLS, connections started.
    handshakes_completed,
    /// Handshakes completed by TLS 1.2; part of `handshakes_completed`.
    handshakes_tls_1_2,
    /// Handshakes completed by TLS 1.3; part of `handshakes_completed`.
    handshakes_tls_1_3,
    /// Handshakes completed with the key exchange X25519MLKEM768; part of `handshakes_completed`.
    key_exchanges_x25519mlkem768,
    /// Handshakes completed with the key exchange X25519; part of `handshakes_completed`.
    key_exchanges_x25519,
    /// Handshakes completed with the key exchange secp256r1; part of `handshakes_completed`.
    key_exchanges_secp256r1,
    /// Handshakes completed with the key exchange secp384r1; part of `handshakes_completed`.
    key_exchanges_secp384r1,
    /// Handshakes completed with another key exchange; part of `handshakes_completed`.
    key_exchanges_other,
    /// Handshakes that failed, for any reason.
    handshakes_failed,
    /// Failed handshakes without a common protocol, answered by the alert `no_application_protocol`.
    alpn_refused,
    /// Failed handshakes in which the session negotiated another protocol than the server chose.
    alpn_disagreements,
    /// Failed handshakes that exceeded their time limit.
    handshakes_timed_out,
    /// Connections closed before their HTTP/2 preface to make room for newer handshakes.
    /// See [`Builder::max_handshakes`](crate::Builder::max_handshakes).
    handshakes_displaced,
    /// Failed handshakes of clients that spoke HTTP/1.x, or HTTP instead of TLS; answered in HTTP/1.1.
    plain_http_refused,
    /// Failed handshakes of clients that closed before they sent a byte, as health checks of TCP do.
    handshakes_not_begun,
    /// Failed handshakes of clients whose first bytes were neither TLS nor HTTP/1.x.
    not_tls_refused,
    /// Failed handshakes of clients whose certificate was missing or refused.
    client_certificates_refused,
    /// Failed handshakes in which a proxy sent no PROXY header or an invalid one.
    /// See [`Builder::proxy_protocol`](crate::Builder::proxy_protocol).
    proxy_headers_refused,
    /// Completed handshakes that resumed an earlier session.
    sessions_resumed,
    /// Requests given to the service.
    /// Each ends as one of: answered, abandoned, a panic or an error of its handler, a stalled stream.
    requests,
    /// Requests of HTTP/1.x given to the service; part of `requests`.
    requests_http1,
    /// Requests of HTTP/1.x that are malformed or too large, or that the server does not serve.
    /// They are answered 400, 405, 414, 431, 501 or 505, and the connection is closed.
    requests_malformed,
    /// Requests of HTTP/1.x answered 408 because their head took too long.
    /// See [`Limits::head`](crate::Limits#structfield.head).
    heads_timed_out,
    /// Responses with a status of 200 to 299, whose head was given to the protocol.
    responses_2xx,
    /// Responses with a status of 300 to 399.
    responses_3xx,
    /// Responses with a status of 400 to 499, those of the server itself too.
    responses_4xx,
    /// Responses with a status of 500 to 599.
    responses_5xx,
    /// Responses with another status.
    responses_other,
    /// Requests whose complete response was given to the protocol.
    requests_answered,
    /// Requests whose stream or connection ended before their response did.
    requests_abandoned,
    /// Requests that were upgraded to another protocol, or to a tunnel; they count as answered.
    /// See [`Builder::upgrades`](crate::Builder::upgrades).
    upgrades,
    /// Upgraded streams that have ended, for any reason.
    upgrades_ended,
    /// Handlers that panicked; each cost only its own stream, or its connection if the protocol has no streams.
    handler_panics,
    /// Handlers and response bodies that failed.
    handler_errors,
    /// Streams reset because the peer granted too little window for too long.
    streams_stalled,
    /// Requests answered 413, or whose body ended with an error, because the body was too large.
    /// See [`Http2Config::max_request_body_size`](crate::Http2Config#structfield.max_request_body_size).
    request_bodies_too_large,
    /// Connections closed because the peer did not answer a PING in time.
    keep_alive_timeouts,
    /// Requests answered 408 because their body arrived too slowly or not at all.
    bodies_timed_out,
    /// Connections throttled at least once because frames were too far ahead of requests.
    /// See [`Http2Config::max_extra_frames`](crate::Http2Config#structfield.max_extra_frames).
    connections_held_back,
    /// Connections ended with `ENHANCE_YOUR_CALM`, for any reason.
    floods,
    /// Connections ended with `ENHANCE_YOUR_CALM` for too many frames beyond those of requests.
    frame_floods,
    /// Connections ended with `ENHANCE_YOUR_CALM` for too many requests reset before their response.
    reset_floods,
    /// Connections that ended with an error after the handshake.
    connections_failed,
    /// Connections that the peer ended without close_notify after the handshake; no failure as such.
    /// HTTP/2 knows what is complete (RFC 8446 section 6.1).
    connections_truncated,
    /// Connections whose task panicked: a bug in corelane or in a handler's destructor.
    connection_panics,
    /// Failed calls of accept, for example for lack of file descriptors.
    accept_errors,
    /// Bytes received from clients, as on the wire; those of a handshake count once it is complete.
    bytes_received,
    /// Bytes sent to clients, as on the wire; those of a handshake count once it is complete.
    bytes_sent,
}

impl Counters {
    /// Counts a response by its status.
    pub(crate) fn response(&self, status: u16) {
        let class = match status / 100 {
            2 => &self.responses_2xx,
            3 => &self.responses_3xx,
            4 => &self.responses_4xx,
            5 => &self.responses_5xx,
            _ => &self.responses_other,
        };
        class.add();
    }
}

impl WorkerCounters {
    /// Connections that are open.
    pub fn connections_open(&self) -> u64 {
        self.connections_accepted
            .saturating_sub(self.connections_closed)
    }

    /// Upgraded streams that are open.
    pub fn upgrades_open(&self) -> u64 {
        self.upgrades.saturating_sub(self.upgrades_ended)
    }

    /// Requests that have begun and not ended.
    pub fn requests_in_flight(&self) -> u64 {
        let ended = [
            self.requests_answered,
            self.requests_abandoned,
            self.handler_panics,
            self.handler_errors,
            self.streams_stalled,
        ];
        // The worker counts while this reads.
        self.requests.saturating_sub(ended.iter().sum())
    }
}
