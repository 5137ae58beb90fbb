//! SETTINGS (RFC 9113 section 6.5).

use crate::{
    config::{Config, DEFAULT_HEADER_TABLE_SIZE},
    error::{ConnectionError, ErrorCode},
    flow_control::{DEFAULT_WINDOW, MAX_WINDOW},
    frame::{FrameHead, HEAD, MAX_MAX_FRAME_SIZE, MIN_MAX_FRAME_SIZE, kind},
};

mod id {
    pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(super) const ENABLE_PUSH: u16 = 0x2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    /// RFC 8441 section 3.
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    /// RFC 9218 section 2.1.
    pub(super) const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// Bytes of one setting (section 6.5.1).
const SETTING: usize = 6;

/// What the client has set (RFC 9113 section 6.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerSettings {
    /// Bytes that a new stream may send at first: 65,535 by default.
    pub initial_window_size: u32,
    /// Bytes of the largest frame that the client reads: 16,384 by default.
    pub max_frame_size: u32,
    /// Bytes of the dynamic table with which the client decodes: 4,096 by default.
    pub header_table_size: u32,
    /// The size of a header list that the client wants to read, advice only.
    pub max_header_list_size: Option<u32>,
    /// Whether the client sends no priorities of RFC 7540 (RFC 9218 section 2.1).
    pub no_rfc7540_priorities: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            initial_window_size: DEFAULT_WINDOW,
            max_frame_size: MIN_MAX_FRAME_SIZE,
            header_table_size: DEFAULT_HEADER_TABLE_SIZE,
            max_header_list_size: None,
            no_rfc7540_priorities: false,
        }
    }
}

impl PeerSettings {
    /// Takes the settings of a payload in their order: the last one of an identifier counts.
    /// `table_size` is called for each value of SETTINGS_HEADER_TABLE_SIZE, because the smallest of
    /// them has to be signalled too (RFC 7541 section 4.2).
    pub(crate) fn update(
        &mut self,
        payload: &[u8],
        mut table_size: impl FnMut(u32),
    ) -> Result<(), ConnectionError> {
        if !payload.len().is_multiple_of(SETTING) {
            return Err(ConnectionError::frame_size("SETTINGS end within a setting"));
        }
        for setting in payload.chunks_exact(SETTING) {
            let &[a, b, c, d, e, f] = setting else {
                continue;
            };
            let value = u32::from_be_bytes([c, d, e, f]);
            match u16::from_be_bytes([a, b]) {
                id::HEADER_TABLE_SIZE => {
                    self.header_table_size = value;
                    table_size(value);
                }
                id::ENABLE_PUSH => is_flag(value, "SETTINGS_ENABLE_PUSH is neither 0 nor 1")?,
                // Streams of the server: it opens none.
                id::MAX_CONCURRENT_STREAMS => {}
                id::INITIAL_WINDOW_SIZE if value > MAX_WINDOW => {
                    return Err(ConnectionError::new(
                        ErrorCode::FLOW_CONTROL_ERROR,
                        "SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1",
                    ));
                }
                id::INITIAL_WINDOW_SIZE => self.initial_window_size = value,
                id::MAX_FRAME_SIZE => match value {
                    MIN_MAX_FRAME_SIZE..=MAX_MAX_FRAME_SIZE => self.max_frame_size = value,
                    _ => {
                        return Err(ConnectionError::protocol(
                            "SETTINGS_MAX_FRAME_SIZE is out of range",
                        ));
                    }
                },
                id::MAX_HEADER_LIST_SIZE => self.max_header_list_size = Some(value),
                id::ENABLE_CONNECT_PROTOCOL => {
                    is_flag(value, "SETTINGS_ENABLE_CONNECT_PROTOCOL is neither 0 nor 1")?;
                }
                id::NO_RFC7540_PRIORITIES => {
                    is_flag(value, "SETTINGS_NO_RFC7540_PRIORITIES is neither 0 nor 1")?;
                    self.no_rfc7540_priorities = value == 1;
                }
                // Unknown settings are ignored (section 6.5.2).
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_flag(value: u32, reason: &'static str) -> Result<(), ConnectionError> {
    match value {
        0 | 1 => Ok(()),
        _ => Err(ConnectionError::protocol(reason)),
    }
}

/// Appends the server's SETTINGS. Settings that have their default value are left out.
pub(crate) fn encode(config: &Config, out: &mut Vec<u8>) {
    let settings = [
        (
            id::HEADER_TABLE_SIZE,
            config.header_table_size,
            DEFAULT_HEADER_TABLE_SIZE,
        ),
        // No default: unlimited.
        (
            id::MAX_CONCURRENT_STREAMS,
            config.max_concurrent_streams,
            u32::MAX,
        ),
        (
            id::INITIAL_WINDOW_SIZE,
            config.initial_stream_window_size,
            DEFAULT_WINDOW,
        ),
        (
            id::MAX_FRAME_SIZE,
            config.max_frame_size,
            MIN_MAX_FRAME_SIZE,
        ),
        (
            id::MAX_HEADER_LIST_SIZE,
            config.max_header_list_size,
            u32::MAX,
        ),
        (
            id::ENABLE_CONNECT_PROTOCOL,
            u32::from(config.extended_connect),
            0,
        ),
        // The server ignores them.
        (id::NO_RFC7540_PRIORITIES, 1, 0),
    ];
    let sent = settings
        .iter()
        .filter(|(_, value, default)| value != default);
    frame(sent.map(|(id, value, _)| (*id, *value)), out);
}

/// Appends SETTINGS that change the window of request bodies.
pub(crate) fn encode_window(size: u32, out: &mut Vec<u8>) {
    frame(std::iter::once((id::INITIAL_WINDOW_SIZE, size)), out);
}

fn frame(settings: impl Iterator<Item = (u16, u32)> + Clone, out: &mut Vec<u8>) {
    let head = FrameHead {
        length: (settings.clone().count() * SETTING) as u32,
        kind: kind::SETTINGS,
        flags: 0,
        stream: 0,
    };
    out.reserve(HEAD + head.length as usize);
    out.extend_from_slice(&head.encode());
    for (id, value) in settings {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(id: u16, value: u32) -> Vec<u8> {
        [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    #[test]
    fn the_last_value_counts_and_every_table_size_is_seen() {
        let mut peer = PeerSettings::default();
        let mut sizes = Vec::new();
        let payload = [
            setting(id::INITIAL_WINDOW_SIZE, 8),
            setting(id::HEADER_TABLE_SIZE, 0),
            setting(0xfafa, 7),
            setting(id::INITIAL_WINDOW_SIZE, 3),
            setting(id::HEADER_TABLE_SIZE, 4096),
        ];
        let updated = peer.update(&payload.concat(), |size| sizes.push(size));
        assert_eq!(updated, Ok(()));
        assert_eq!(peer.initial_window_size, 3);
        assert_eq!(sizes, [0, 4096]);
    }

    #[test]
    fn invalid_values_have_their_codes() {
        let code = |payload: &[u8]| {
            let updated = PeerSettings::default().update(payload, |_| {});
            updated.err().map(|error| error.code())
        };
        let of = |id, value| code(&setting(id, value));
        let protocol = Some(ErrorCode::PROTOCOL_ERROR);
        assert_eq!(of(id::ENABLE_PUSH, 2), protocol);
        assert_eq!(of(id::ENABLE_CONNECT_PROTOCOL, 2), protocol);
        assert_eq!(of(id::NO_RFC7540_PRIORITIES, 2), protocol);
        assert_eq!(of(id::MAX_FRAME_SIZE, (1 << 14) - 1), protocol);
        assert_eq!(of(id::MAX_FRAME_SIZE, 1 << 24), protocol);
        assert_eq!(of(id::MAX_FRAME_SIZE, 1 << 14), None);
        assert_eq!(
            of(id::INITIAL_WINDOW_SIZE, 1 << 31),
            Some(ErrorCode::FLOW_CONTROL_ERROR)
        );
        assert_eq!(code(&[0; 5]), Some(ErrorCode::FRAME_SIZE_ERROR));
    }

    #[test]
    fn our_settings_are_valid_ones() {
        let mut out = Vec::new();
        encode(&Config::default().extended_connect(true), &mut out);
        let (head, payload) = out.split_first_chunk().expect("a frame");
        assert_eq!(FrameHead::parse(head).length as usize, payload.len());
        let mut read = PeerSettings::default();
        assert_eq!(read.update(payload, |_| {}), Ok(()));
        assert_eq!(read.max_header_list_size, Some(16 * 1024));
    }
}
