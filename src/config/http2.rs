//! The HTTP/2 settings of a connection.

/// Flow-control windows end at 2^31-1 (RFC 9113 section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

options! {
    /// HTTP/2 settings, and how much the server holds for one connection. The sizes of heads and bodies
    /// hold for HTTP/1.x too.
    ///
    /// ```
    /// use corelane::Http2Config;
    ///
    /// let http2 = Http2Config::default()
    ///     .max_concurrent_streams(50)
    ///     .max_request_body_size(10 * 1024 * 1024);
    /// assert_eq!(http2.max_concurrent_streams, 50);
    /// ```
    pub struct Http2Config in ROWS {
        /// Streams that a peer may have open at once (`SETTINGS_MAX_CONCURRENT_STREAMS`, RFC 9113
        /// section 6.5.2), at least 1. The server refuses one more with `REFUSED_STREAM`; the client
        /// may send it again.
        #[unit = ""]
        #[default(200, "the default of hyper; browsers open 100 at once")]
        #[range(1..=u32::MAX)]
        #[peer = "RST_STREAM `REFUSED_STREAM`; it may send the request again"]
        pub max_concurrent_streams: u32, u32;

        /// Size of a request's header list, bytes, as RFC 9113 section 6.5.2 counts them
        /// (`SETTINGS_MAX_HEADER_LIST_SIZE`). The server answers a larger one with 431. At least 1024: a
        /// plain request of curl counts 300.
        ///
        /// For HTTP/1.x it is the size of a request's head as sent, and of its trailers. The server
        /// answers 414 if the request line alone is larger (RFC 9112 section 3).
        #[unit = "bytes"]
        #[default(16 * 1024, "the default of hyper; cookies rarely pass 8 KiB")]
        #[range(1_024..=u32::MAX)]
        #[peer = "431; for a request line of HTTP/1.x 414"]
        pub max_header_list_size: u32, u32;

        /// Size of a request's body, bytes. The server answers a larger one, by `content-length` or as
        /// it arrives, with 413 (RFC 9110 section 15.5.14). If the response has begun, the body ends
        /// with an error ([`Error::is_body_too_large`](crate::Error::is_body_too_large)). `None` allows any size.
        /// A connection of HTTP/1.x ends behind it.
        #[unit = "bytes"]
        #[default(None, "the handler decides how much it reads; the windows bound the unread data")]
        #[range(0..=u64::MAX)]
        #[peer = "413, and the server drains the rest as for `Limits::body`; RST_STREAM if the response has begun; HTTP/1.x: the connection is closed"]
        pub max_request_body_size: Option<u64>, impl Into<Option<u64>>;

        /// Size of a frame from the peer, bytes (`SETTINGS_MAX_FRAME_SIZE`), 16,384 to 16,777,215. The
        /// server closes the connection at a larger one (`FRAME_SIZE_ERROR`).
        #[unit = "bytes"]
        #[default(16 * 1024, "the least that RFC 9113 allows; a TLS record holds no more")]
        #[range(16_384..=16_777_215)]
        #[peer = "GOAWAY `FRAME_SIZE_ERROR`"]
        pub max_frame_size: u32, u32;

        /// Flow-control window of one request body, bytes (`SETTINGS_INITIAL_WINDOW_SIZE`, RFC 9113
        /// section 6.5.2), at most 2^31-1.
        #[unit = "bytes"]
        #[default(1024 * 1024, "100 Mbit/s at a round trip of 80 ms")]
        #[range(0..=MAX_WINDOW)]
        #[peer = "it waits for WINDOW_UPDATE"]
        pub initial_stream_window_size: u32, u32;

        /// Flow-control window of all request bodies of a connection together, bytes, 65,535 to 2^31-1.
        /// It also bounds the memory of unread request bodies.
        #[unit = "bytes"]
        #[default(1024 * 1024, "one upload alone can use all of its window")]
        #[range(65_535..=MAX_WINDOW)]
        #[peer = "it waits for WINDOW_UPDATE"]
        pub initial_connection_window_size: u32, u32;

        /// Response data that may wait to be sent on a connection, over all its streams, bytes, 1 to
        /// 2^32-1. The server then stops polling response bodies.
        #[unit = "bytes"]
        #[default(1024 * 1024, "100 Mbit/s at a round trip of 80 ms, like the windows")]
        #[range(1..=u32::MAX as usize)]
        #[peer = "nothing: the server stops polling response bodies"]
        pub max_send_buffer_size: usize, usize;

        /// Frames that a peer may send within 10 s beyond those that requests and responses need,
        /// at least 100: PING, SETTINGS, PRIORITY, WINDOW_UPDATE and so on, each of which costs
        /// work for nothing (RFC 9113 section 10.5; CVE-2019-9511, 9512, 9513, 9515, 9518).
        ///
        /// SETTINGS after the first one count 100, and so does empty DATA that does not end its
        /// stream. A frame that ends a stream counts 1, other DATA counts nothing. A request allows
        /// 8, a piece of a response's body 4 and another for every 256 bytes.
        ///
        /// The server takes 1,000 of them at once, or a tenth of the limit if that is more. It then
        /// reads the connection no faster than the limit divided by 10 s, so that the peer finds
        /// its socket full; responses continue. Past the limit it sends GOAWAY
        /// (`ENHANCE_YOUR_CALM`) and closes the connection. With a limit of 1,000 or less it closes
        /// connections without throttling them first.
        ///
        /// DATA of less than 5 bytes is shorter than any message. If a peer sends more of it than
        /// of longer DATA, the server throttles it in the same way, but closes no connection for
        /// it.
        #[unit = ""]
        #[default(10_000, "1,000 a second take almost no CPU time")]
        #[range(100..=u32::MAX)]
        #[peer = "after 1,000 at once the server reads 1,000 a second; past the limit GOAWAY `ENHANCE_YOUR_CALM`"]
        pub max_extra_frames: u32, u32;

        /// Requests that a peer may reset within 10 s before their responses have begun, beyond those
        /// that were answered: each has cost a handler's work. Past it the server sends GOAWAY
        /// (`ENHANCE_YOUR_CALM`) and closes the connection (CVE-2023-44487). Resets that the peer
        /// provokes by errors count too (CVE-2025-8671).
        #[unit = ""]
        #[default(500, "the default of Envoy; a browser that leaves a page resets about 100")]
        #[range(0..=u32::MAX)]
        #[peer = "GOAWAY `ENHANCE_YOUR_CALM`"]
        pub max_early_resets: u32, u32;
    }
}

impl Http2Config {
    /// Bytes by which the DATA frames that no handler has read may fall short of 256 bytes each, in
    /// all: a frame takes about that much memory. An eighth of it, h2's own bound, is 2,000
    /// messages of a few bytes: a client that streams them has sent these while a handler waits for
    /// its database. Past it the server sends GOAWAY (`ENHANCE_YOUR_CALM`).
    pub(crate) fn small_frames_budget(&self) -> usize {
        (self.initial_connection_window_size as usize).saturating_mul(4)
    }

    /// Requests that a peer may reset before the server looked at them, at once: as many as may be
    /// open, since a browser that leaves a page resets all its requests in one piece. Past it the
    /// server sends GOAWAY (`ENHANCE_YOUR_CALM`). Many such bursts are a flood too: each reset counts
    /// for [`max_early_resets`](Self#structfield.max_early_resets).
    pub(crate) fn max_pending_accept_resets(&self) -> usize {
        self.max_concurrent_streams as usize
    }
}

/// Streams of a connection, over its whole life, that the server may reset or refuse because of the
/// peer's errors. Past it the server sends GOAWAY (`ENHANCE_YOUR_CALM`). 1,024, the default of h2:
/// five times the streams that may be open, so that one burst too many does no harm.
pub(crate) const MAX_ERROR_RESETS: usize = 1024;

/// Streams that the server has reset and remembers for a second, so that it ignores frames that were
/// on their way (RFC 9113 section 5.4.2). 50, the default of h2; it forgets the oldest first.
pub(crate) const MAX_RESET_STREAMS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http2_settings_out_of_range_are_errors() {
        let config = Http2Config::default;
        assert!(config().validate().is_ok());
        for wrong in [
            config().initial_stream_window_size(1 << 31),
            config().initial_connection_window_size(65_534),
            config().initial_connection_window_size(1 << 31),
            config().max_frame_size(16_383),
            config().max_frame_size(16_777_216),
            config().max_concurrent_streams(0),
            config().max_send_buffer_size(0),
            config().max_header_list_size(1_023),
            config().max_extra_frames(99),
        ] {
            let error = wrong.validate().expect_err("out of range");
            assert!(error.is_config(), "{error}");
        }
    }
}
