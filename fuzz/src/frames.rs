//! Frames of HTTP/2 that are well formed more often than not, so that they get past the first check.

use corelane_test_frames::{
    self as frames, ACK, END_HEADERS, END_STREAM, PADDED, hpack, kind, setting,
};
use libfuzzer_sys::arbitrary::Arbitrary;

#[derive(Arbitrary, Debug)]
pub enum Frame {
    Headers {
        stream: Stream,
        method: Method,
        fields: Vec<Field>,
        end_stream: bool,
        end_headers: bool,
    },
    Continuation {
        stream: Stream,
        fields: Vec<Field>,
        end_headers: bool,
    },
    Data {
        stream: Stream,
        length: u16,
        padding: Option<u8>,
        end_stream: bool,
    },
    Reset(Stream, u8),
    WindowUpdate(Stream, u32),
    InitialWindow(u32),
    Setting(u8, u32),
    SettingsAck,
    Ping(bool),
    GoAway(Stream, u8),
    Priority(Stream, Stream),
    Any {
        kind: u8,
        flags: u8,
        stream: u32,
        payload: Vec<u8>,
    },
    Bytes(Vec<u8>),
}

/// 0 is the connection; few enough to meet one again.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Stream(u8);

impl Stream {
    pub fn id(self) -> u32 {
        u32::from(self.0 % 16)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
    Head,
}

/// A field of a header list as HPACK has it (RFC 7541 section 6).
#[derive(Arbitrary, Debug)]
pub enum Field {
    Indexed(u8),
    ContentLength(u16),
    ExpectContinue,
    Literal { name: u8, value: Vec<u8> },
    Remembered { name: Vec<u8>, value: Vec<u8> },
    TableSize(u8),
    Bytes(Vec<u8>),
}

fn literal(out: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(126)];
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

fn write_fields(out: &mut Vec<u8>, fields: &[Field]) {
    for field in fields {
        match field {
            Field::Indexed(index) => out.push(0x80 | index),
            Field::ContentLength(length) => {
                out.extend([0x0f, 28 - 15]);
                literal(out, length.to_string().as_bytes());
            }
            Field::ExpectContinue => {
                out.extend([0x0f, 35 - 15]);
                literal(out, b"100-continue");
            }
            Field::Literal { name, value } => {
                out.extend([0x0f, name % 64]);
                literal(out, value);
            }
            Field::Remembered { name, value } => {
                out.push(0x40);
                literal(out, name);
                literal(out, value);
            }
            Field::TableSize(size) => out.push(0x20 | size % 32),
            Field::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fn flag(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
}

impl Frame {
    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Headers {
                stream,
                method,
                fields,
                end_stream,
                end_headers,
            } => {
                // :scheme http, :path /
                let mut block = vec![0x86, 0x84];
                match method {
                    Method::Get => block.push(0x82),
                    Method::Post => block.push(0x83),
                    Method::Put => block.extend(b"\x02\x03PUT"),
                    Method::Delete => block.extend(b"\x02\x06DELETE"),
                    Method::Head => block.extend(b"\x02\x04HEAD"),
                }
                // :authority
                block.extend(b"\x01\x01a");
                write_fields(&mut block, fields);
                let flags = flag(END_STREAM, *end_stream) | flag(END_HEADERS, *end_headers);
                out.extend(frames::headers(stream.id(), flags, &block));
            }
            Self::Continuation {
                stream,
                fields,
                end_headers,
            } => {
                let mut block = Vec::new();
                write_fields(&mut block, fields);
                let flags = flag(END_HEADERS, *end_headers);
                out.extend(frames::continuation(stream.id(), flags, &block));
            }
            Self::Data {
                stream,
                length,
                padding,
                end_stream,
            } => {
                let mut payload = vec![0; usize::from(length % 16_500)];
                if let Some(padding) = padding {
                    payload.insert(0, *padding);
                }
                let flags = flag(END_STREAM, *end_stream) | flag(PADDED, padding.is_some());
                out.extend(frames::data(stream.id(), flags, &payload));
            }
            Self::Reset(stream, reason) => {
                out.extend(frames::reset(stream.id(), (*reason).into()));
            }
            Self::WindowUpdate(stream, by) => {
                out.extend(frames::window_update(stream.id(), *by));
            }
            Self::InitialWindow(size) => {
                out.extend(frames::settings(&[(setting::INITIAL_WINDOW_SIZE, *size)]));
            }
            Self::Setting(setting, value) => {
                out.extend(frames::settings(&[((setting % 16).into(), *value)]));
            }
            Self::SettingsAck => out.extend(frames::settings_ack()),
            Self::Ping(ack) => out.extend(frames::frame(kind::PING, flag(ACK, *ack), 0, &[7; 8])),
            Self::GoAway(stream, reason) => {
                out.extend(frames::goaway(stream.0.into(), (*reason).into(), &[]));
            }
            Self::Priority(stream, on) => out.extend(frames::priority(stream.id(), on.0.into())),
            Self::Any {
                kind,
                flags,
                stream,
                payload,
            } => out.extend(frames::frame(*kind, *flags, *stream, payload)),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// A request that every server accepts.
#[derive(Arbitrary, Debug)]
pub struct Request {
    stream: Stream,
    path: Path,
    ends: bool,
}

/// What the service of `http2/tests/support` answers.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Path {
    Length,
    Wait,
    Unread,
    Bytes(u32),
}

/// Bytes of a response: more than the windows at first.
const LONGEST: u32 = 70_000;

impl Request {
    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let block = match self.path {
            Path::Length => hpack::post("/"),
            Path::Wait => hpack::post("/wait"),
            Path::Unread => hpack::post("/unread"),
            Path::Bytes(length) => hpack::get(&format!("/bytes/{}", length % LONGEST)),
        };
        let flags = END_HEADERS | flag(END_STREAM, self.ends);
        out.extend(frames::headers(self.stream.id() | 1, flags, &block));
    }
}
