//! What a worker has done, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one worker has done since it started, at the moment of asking.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WorkerCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same, being counted. Where some are of others, a worker counts the part first, and
        /// whoever reads them reads the whole first: it is never short of its parts. Aligned so that no two workers write to one cache line.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> WorkerCounters {
                WorkerCounters { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections accepted from the listeners.
    connections_accepted,
    /// Connections closed as soon as they were accepted, because there were
    /// [`max_connections`](crate::Builder::max_connections) already. Not among those accepted.
    connections_refused,
    /// Connections that have ended, for whatever reason.
    connections_closed,
    /// Handshakes completed, without TLS: connections begun.
    handshakes_completed,
    /// Of these: by TLS 1.2.
    handshakes_tls_1_2,
    /// Of these: by TLS 1.3.
    handshakes_tls_1_3,
    /// Handshakes that failed, for whatever reason.
    handshakes_failed,
    /// Of those that failed: no common protocol, answered by the alert `no_application_protocol`.
    alpn_refused,
    /// Of these: the session negotiated something else than what was decided.
    alpn_disagreements,
    /// Of these: the time limit ran out.
    handshakes_timed_out,
    /// Of these: given up for a newer one, because there were
    /// [`max_handshakes`](crate::Builder::max_handshakes) already.
    handshakes_displaced,
    /// Of these: the client spoke HTTP/1.x, or HTTP where TLS belongs, and was told so.
    plain_http_refused,
    /// Of these: a proxy of [`proxy_protocol`](crate::Builder::proxy_protocol) sent no PROXY header, or
    /// one that cannot be used.
    proxy_headers_refused,
    /// Handshakes that resumed an earlier session.
    sessions_resumed,
    /// Requests given to the service. Each ends as one of: answered, abandoned, a panic or an error
    /// of its handler, a stalled stream.
    requests,
    /// Requests whose response was given to HTTP/2 whole.
    requests_answered,
    /// Requests whose stream or connection ended before their response did.
    requests_abandoned,
    /// Handlers that panicked; each cost its own stream only.
    handler_panics,
    /// Handlers or response bodies that failed.
    handler_errors,
    /// Streams reset because the peer granted them no window, or too little, for too long.
    streams_stalled,
    /// Requests answered 413, or whose bodies ended with an error, because they were larger than
    /// [`max_request_body_size`](crate::Http2Config::max_request_body_size).
    request_bodies_too_large,
    /// Connections that answered no PING in time.
    keep_alive_timeouts,
    /// Requests answered 408 because their bodies did not come in, or too slowly.
    bodies_timed_out,
    /// Connections on which nothing was read for a while, because frames were too far ahead of
    /// requests: see [`max_extra_frames`](crate::Http2Config::max_extra_frames). Each is counted once.
    connections_held_back,
    /// Connections ended with `ENHANCE_YOUR_CALM`, for whatever reason.
    floods,
    /// Of these: too many frames beyond those of requests.
    frame_floods,
    /// Of these: too many requests reset before they were answered.
    reset_floods,
    /// Connections that ended with an error.
    connections_failed,
    /// Connections that the peer ended without close_notify (RFC 8446 section 6.1), behind the
    /// handshake. No failure by itself: HTTP/2 tells what is complete.
    connections_truncated,
    /// Connections whose task panicked: a bug in corelane or in a handler's destructor.
    connection_panics,
    /// Failed calls of `accept`, for instance for want of file descriptors.
    accept_errors,
    /// Bytes that came from clients, as they were on the wire, from the ClientHello on; those of a
    /// handshake count once it is done.
    bytes_received,
    /// Bytes that the kernel took for clients, as they were on the wire; those of a handshake count
    /// once it is done.
    bytes_sent,
}

impl WorkerCounters {
    /// Connections that are open.
    pub fn connections_open(&self) -> u64 {
        self.connections_accepted
            .saturating_sub(self.connections_closed)
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
        // They are counted while they are read.
        self.requests.saturating_sub(ended.iter().sum())
    }
}

/// Written by the thread of one worker only, so that counting needs no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    pub(crate) fn add_many(&self, n: usize) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(n as u64), Relaxed);
    }
}
