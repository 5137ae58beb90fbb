//! Counts of what a peer sends.

/// What the client has sent and caused so far, for a caller that guards against floods (RFC 9113
/// section 10.5). The counts wrap around: compare two by `wrapping_sub`.
///
/// The connection itself bounds what it holds, and what one header block may cost. It does not
/// bound how often a client may do something that is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames of all types.
    pub frames: u32,
    /// Requests, also refused and malformed ones.
    pub requests: u32,
    /// Requests that were refused because too many streams were open.
    pub refused: u32,
    /// Streams that the connection has reset because of what the client sent, beside
    /// [`refused`](Self::refused) (CVE-2025-8671).
    pub stream_errors: u32,
    /// Streams that the client has reset (CVE-2023-44487).
    pub resets: u32,
    /// Of these, the ones whose response had not begun.
    pub early_resets: u32,
    /// DATA frames.
    pub data: u32,
    /// DATA frames without data that do not end their stream (CVE-2019-9518).
    pub empty_data: u32,
    /// DATA frames of less than 256 bytes of data, empty ones too.
    pub small_data: u32,
    /// CONTINUATION (CVE-2024-27316).
    pub continuations: u32,
    /// SETTINGS, acknowledgements too (CVE-2019-9515).
    pub settings: u32,
    /// PING, answers too (CVE-2019-9512).
    pub pings: u32,
    /// PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
    pub priorities: u32,
    /// WINDOW_UPDATE (CVE-2019-9511).
    pub window_updates: u32,
    /// Frames of types that the connection ignores.
    pub unknown: u32,
}

/// Bytes: see [`Stats::small_data`].
pub(crate) const SMALL_DATA: u32 = 256;
