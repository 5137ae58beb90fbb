//! Frames as bytes, valid and invalid (RFC 9113 sections 4.1 and 6).

pub mod hpack;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// A type that no RFC defines.
    pub const UNKNOWN: u8 = 0xfa;
}

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITY: u8 = 0x20;
/// A whole request or response head without a body.
pub const WHOLE: u8 = END_HEADERS | END_STREAM;

pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("fits");
    let mut bytes = head(length, kind, flags, stream);
    bytes.extend_from_slice(payload);
    bytes
}

/// The nine bytes before a payload, which may never follow.
pub fn head(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    assert!(length < 1 << 24, "24 bits");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes
}

pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, payload)
}

pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flags, stream, block)
}

pub fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(kind::CONTINUATION, flags, stream, block)
}

/// Weight 16, not exclusive.
pub fn priority(stream: u32, depends_on: u32) -> Vec<u8> {
    frame(kind::PRIORITY, 0, stream, &dependency(depends_on))
}

pub fn dependency(on: u32) -> Vec<u8> {
    [&on.to_be_bytes()[..], &[15]].concat()
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in settings {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(kind::SETTINGS, 0, 0, &payload)
}

pub fn settings_ack() -> Vec<u8> {
    frame(kind::SETTINGS, ACK, 0, b"")
}

pub fn ping(payload: &[u8; 8]) -> Vec<u8> {
    frame(kind::PING, 0, 0, payload)
}

pub fn goaway(last: u32, code: u32, debug: &[u8]) -> Vec<u8> {
    let payload = [&last.to_be_bytes()[..], &code.to_be_bytes(), debug].concat();
    frame(kind::GOAWAY, 0, 0, &payload)
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// Adds to a payload what the flag PADDED requires.
pub fn padded(payload: &[u8], padding: &[u8]) -> Vec<u8> {
    let length = u8::try_from(padding.len()).expect("a byte");
    [&[length], payload, padding].concat()
}
