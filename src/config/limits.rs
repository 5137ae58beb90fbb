//! The time limits of a connection.

use std::{ops::RangeInclusive, time::Duration};

/// Any time but zero and less than what could overflow the clock.
const TIME: RangeInclusive<Duration> =
    Duration::from_nanos(1)..=Duration::from_secs(365 * 24 * 60 * 60);

options! {
    /// Time limits of a connection, and the least rate of a transfer.
    ///
    /// Each connection measures them with the timers of its worker. A time must be more than zero and
    /// at most 365 days.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use corelane::Limits;
    ///
    /// let limits = Limits::default()
    ///     .idle(Duration::from_secs(300))
    ///     .body(Duration::from_secs(3600));
    /// assert_eq!(limits.idle.as_secs(), 300);
    /// ```
    pub struct Limits in ROWS {
        /// Time from accepting the socket to the end of the HTTP/2 preface: the TLS handshake and the
        /// client's first SETTINGS. The server then closes the connection.
        #[unit = ""]
        #[default(
            Duration::from_secs(10),
            "three packets lost in a row (1 + 2 + 4 s of retransmission) and the round trips of TLS 1.2 fit in"
        )]
        #[range(TIME)]
        #[peer = "the connection is closed"]
        pub handshake: Duration, Duration;

        /// Time that a connection may be open without a stream. The server then sends GOAWAY
        /// (`NO_ERROR`) and closes the connection. One of HTTP/1.x is closed when it has waited for this
        /// long for a request.
        #[unit = ""]
        #[default(
            Duration::from_secs(75),
            "the default of nginx, which clients and load balancers are tuned to"
        )]
        #[range(TIME)]
        #[peer = "GOAWAY `NO_ERROR`; the server closes after a round trip, 1 s at most; HTTP/1.x: the connection is closed"]
        pub idle: Duration, Duration;

        /// Time for the head of a request of HTTP/1.x, from its first byte to the empty line that ends it,
        /// however its bytes are spread over it. The server then answers 408 (RFC 9110 section
        /// 15.5.9) and closes the connection. Between requests [`idle`](Self#structfield.idle) holds.
        /// For HTTP/2 `idle` holds until the head of a first request is complete.
        #[unit = ""]
        #[default(
            Duration::from_secs(10),
            "a head fits into one packet; TCP retransmits it three times meanwhile"
        )]
        #[range(TIME)]
        #[peer = "HTTP/1.x: 408, and the connection is closed"]
        pub head: Duration, Duration;

        /// Time that a write may be slower than [`min_rate`](Self#structfield.min_rate). If the socket
        /// takes too little, the server closes the connection. If the peer grants a stream too little
        /// window (RFC 9113 section 5.2), the server resets the stream with `CANCEL`.
        #[unit = ""]
        #[default(
            Duration::from_secs(30),
            "TCP retransmits six times in it; a reader that took nothing meanwhile is gone or hostile"
        )]
        #[range(TIME)]
        #[peer = "RST_STREAM `CANCEL` if it grants no window, otherwise the connection is closed"]
        pub write: Duration, Duration;

        /// Time that a request's body may be slower than [`min_rate`](Self#structfield.min_rate) while
        /// the handler waits for it and the response has not begun. The server then answers 408
        /// (RFC 9110 section 15.5.9) and drops the handler.
        ///
        /// The server drains an unread request body, also after the response, for the same time, but
        /// for at most 30 s, and for at most 5 s without data. It then resets the stream with `NO_ERROR`
        /// (RFC 9113 section 8.1). The end of a successful response waits for the body for at most 5 s
        /// and 64 MiB, and for at most 1 s without data. Set a longer time for clients that stream
        /// for hours before they get an answer.
        ///
        /// The body of a gRPC call (`content-type: application/grpc`) has no time limit, since its messages
        /// may be hours apart. A peer with one that is silent for this time gets a PING instead, as by
        /// [`keep_alive_interval`](Self#structfield.keep_alive_interval).
        #[unit = ""]
        #[default(Duration::from_secs(60), "the default of nginx")]
        #[range(TIME)]
        #[peer = "408; the server drains an unread body for as long, at most 30 s and 5 s without data, then RST_STREAM `NO_ERROR`; HTTP/1.x: the connection is closed"]
        pub body: Duration, Duration;

        /// The least rate of a transfer, bytes per second, averaged over [`write`](Self#structfield.write)
        /// and [`body`](Self#structfield.body). Without it a peer that sends or takes a byte now and
        /// then keeps its memory here. With 0 every byte counts as progress.
        #[unit = "bytes/s"]
        #[default(240, "the default of Kestrel and IIS; the slowest modem was faster")]
        #[range(0..=u32::MAX)]
        #[peer = "as for `Limits::write` and `Limits::body`"]
        pub min_rate: u32, u32;

        /// Time that a peer may be silent while a stream is open; the server then sends a PING (RFC 9113
        /// section 6.7). It is for peers behind a proxy, whose TCP connection says nothing about them.
        /// `None` sends none but to peers with gRPC calls: TCP keep-alive ([`TCP_KEEP_ALIVE`](crate::config::TCP_KEEP_ALIVE)) finds
        /// peers that are gone.
        #[unit = ""]
        #[default(
            None,
            "a PING waits behind data on a slow link, so a slow peer looks dead; TCP keep-alive does not wait"
        )]
        #[range(TIME)]
        #[peer = "PING"]
        pub keep_alive_interval: Option<Duration>, impl Into<Option<Duration>>;

        /// Time that a peer may be silent after that PING; any byte is an answer. The server then closes
        /// the connection.
        #[unit = ""]
        #[default(
            Duration::from_secs(20),
            "the default of hyper; a phone that changes networks reconnects sooner"
        )]
        #[range(TIME)]
        #[peer = "the connection is closed"]
        pub keep_alive_timeout: Duration, Duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_range_are_errors() {
        assert!(Limits::default().validate().is_ok());
        for wrong in [Duration::ZERO, Duration::MAX] {
            let error = Limits::default().idle(wrong).validate();
            let error = error.expect_err("out of range");
            assert!(error.is_config(), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("Limits::idle is "), "{text}");
            let range = "it must be more than 0 and at most 365 days";
            assert!(text.ends_with(range), "{text}");
            let error = Limits::default().keep_alive_interval(wrong).validate();
            assert!(error.is_err());
        }
    }
}
