//! The limits of both servers.

pub const STREAM_WINDOW: u32 = 65_535;
pub const STREAMS: u32 = 8;
/// Bytes.
pub const LIST: u32 = 8_000;
