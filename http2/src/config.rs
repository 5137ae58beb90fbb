//! What the server announces and allows.

use crate::{
    flow_control::{DEFAULT_WINDOW, MAX_WINDOW},
    frame::{MAX_MAX_FRAME_SIZE, MIN_MAX_FRAME_SIZE},
};

/// The limits of a connection. A setter moves a value that is out of range to the nearest end of
/// it.
///
/// ```
/// use corelane_http2::Config;
///
/// let config = Config::default().max_concurrent_streams(50);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub(crate) max_concurrent_streams: u32,
    pub(crate) max_header_list_size: u32,
    pub(crate) max_frame_size: u32,
    pub(crate) header_table_size: u32,
    pub(crate) initial_stream_window_size: u32,
    pub(crate) initial_connection_window_size: u32,
    pub(crate) extended_connect: bool,
    pub(crate) max_stream_errors: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 200,
            max_header_list_size: 16 * 1024,
            max_frame_size: MIN_MAX_FRAME_SIZE,
            header_table_size: DEFAULT_HEADER_TABLE_SIZE,
            initial_stream_window_size: DEFAULT_WINDOW,
            initial_connection_window_size: DEFAULT_WINDOW,
            extended_connect: false,
            max_stream_errors: DEFAULT_STREAM_ERRORS,
        }
    }
}

impl Config {
    /// Streams that the client may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS, RFC 9113
    /// section 6.5.2): 200 by default, at least 1. The connection refuses one more with
    /// `REFUSED_STREAM`.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.max_concurrent_streams = streams.max(1);
        self
    }

    /// Size of a request's header list, bytes, where each field counts 32 more than its name and
    /// value (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 section 6.5.2): 16,384 by default. A larger
    /// one becomes [`Event::HeadTooLarge`](crate::Event::HeadTooLarge).
    pub fn max_header_list_size(mut self, bytes: u32) -> Self {
        self.max_header_list_size = bytes;
        self
    }

    /// Size of a frame's payload, bytes (SETTINGS_MAX_FRAME_SIZE): 16,384 by default, which is the
    /// least, 2^24-1 at most. A larger frame ends the connection with `FRAME_SIZE_ERROR`.
    pub fn max_frame_size(mut self, bytes: u32) -> Self {
        self.max_frame_size = bytes.clamp(MIN_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE);
        self
    }

    /// Size of the dynamic table that decodes requests, bytes (SETTINGS_HEADER_TABLE_SIZE): 4,096
    /// by default, 65,536 at most.
    pub fn header_table_size(mut self, bytes: u32) -> Self {
        self.header_table_size = bytes.min(MAX_HEADER_TABLE_SIZE);
        self
    }

    /// Window of one request's body, bytes (SETTINGS_INITIAL_WINDOW_SIZE): 65,535 by default,
    /// 2^31-1 at most.
    pub fn initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.initial_stream_window_size = bytes.min(MAX_WINDOW);
        self
    }

    /// Window of all request bodies together, bytes: 65,535 by default, which is the least, 2^31-1
    /// at most.
    pub fn initial_connection_window_size(mut self, bytes: u32) -> Self {
        self.initial_connection_window_size = bytes.clamp(DEFAULT_WINDOW, MAX_WINDOW);
        self
    }

    /// Streams of the connection that the client may cause the server to reset or refuse (CVE-2025-8671):
    /// 1,024 by default, over the whole life of the connection. One more ends it with `ENHANCE_YOUR_CALM`.
    pub fn max_stream_errors(mut self, streams: u32) -> Self {
        self.max_stream_errors = streams;
        self
    }

    /// Whether the client may send extended CONNECT (SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441):
    /// not by default. The request then has [`Protocol`](crate::Protocol) in its extensions.
    pub fn extended_connect(mut self, allowed: bool) -> Self {
        self.extended_connect = allowed;
        self
    }
}

/// Five times the streams that may be open by default.
const DEFAULT_STREAM_ERRORS: u32 = 1024;

/// The dynamic table of HPACK by default, bytes (RFC 9113 section 6.5.2).
pub(crate) const DEFAULT_HEADER_TABLE_SIZE: u32 = 4096;

/// Bytes. Larger tables save nothing more, and cost memory on each connection.
const MAX_HEADER_TABLE_SIZE: u32 = 64 * 1024;
