//! Frames that are well formed more often than not, so that they get past the first check.

#![no_main]

use corelane::{
    fuzzing::{Step, connection},
    tls::Cleartext,
};
use libfuzzer_sys::{arbitrary::Arbitrary, fuzz_target};

#[derive(Arbitrary, Debug)]
enum Move {
    /// A frame that is sent together with the next ones.
    Frame(Frame),
    /// Sends all frames collected so far.
    Sent,
    /// Sends them without the last bytes.
    SentBut(u8),
    Takes(u16),
    TakesAll,
    Shutdown,
}

#[derive(Arbitrary, Debug)]
enum Frame {
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
struct Stream(u8);

impl Stream {
    fn id(self) -> u32 {
        u32::from(self.0 % 16)
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Method {
    Get,
    Post,
    Put,
    Delete,
    Head,
}

/// A field of a header list as HPACK has it (RFC 7541 section 6).
#[derive(Arbitrary, Debug)]
enum Field {
    Indexed(u8),
    ContentLength(u16),
    ExpectContinue,
    Literal { name: u8, value: Vec<u8> },
    Remembered { name: Vec<u8>, value: Vec<u8> },
    TableSize(u8),
    Bytes(Vec<u8>),
}

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
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
    fn write(&self, out: &mut Vec<u8>) {
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
                frame(out, 1, flags, stream.id(), &block);
            }
            Self::Continuation {
                stream,
                fields,
                end_headers,
            } => {
                let mut block = Vec::new();
                write_fields(&mut block, fields);
                frame(out, 9, flag(END_HEADERS, *end_headers), stream.id(), &block);
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
                frame(out, 0, flags, stream.id(), &payload);
            }
            Self::Reset(stream, reason) => {
                frame(out, 3, 0, stream.id(), &[0, 0, 0, *reason]);
            }
            Self::WindowUpdate(stream, by) => {
                frame(out, 8, 0, stream.id(), &by.to_be_bytes());
            }
            Self::InitialWindow(size) => {
                let [a, b, c, d] = size.to_be_bytes();
                frame(out, 4, 0, 0, &[0, 4, a, b, c, d]);
            }
            Self::Setting(setting, value) => {
                let [a, b, c, d] = value.to_be_bytes();
                frame(out, 4, 0, 0, &[0, setting % 16, a, b, c, d]);
            }
            Self::SettingsAck => frame(out, 4, ACK, 0, &[]),
            Self::Ping(ack) => frame(out, 6, flag(ACK, *ack), 0, &[7; 8]),
            Self::GoAway(stream, reason) => {
                let payload = [0, 0, 0, stream.0, 0, 0, 0, *reason];
                frame(out, 7, 0, 0, &payload);
            }
            Self::Priority(stream, on) => frame(out, 2, 0, stream.id(), &[0, 0, 0, on.0, 16]),
            Self::Any {
                kind,
                flags,
                stream,
                payload,
            } => frame(out, *kind, *flags, *stream, payload),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fuzz_target!(|moves: Vec<Move>| {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut sent, 4, 0, 0, &[]);
    let mut steps = Vec::new();
    for next in &moves {
        match next {
            Move::Frame(frame) => frame.write(&mut sent),
            Move::Sent => steps.push(Step::Sends(std::mem::take(&mut sent))),
            Move::SentBut(n) => {
                let kept = sent.split_off(sent.len().saturating_sub(usize::from(*n)));
                steps.push(Step::Sends(std::mem::replace(&mut sent, kept)));
            }
            Move::Takes(room) => steps.push(Step::Takes(usize::from(*room))),
            Move::TakesAll => steps.push(Step::Takes(usize::MAX)),
            Move::Shutdown => steps.push(Step::Shutdown),
        }
    }
    steps.push(Step::Sends(sent));
    connection(&Cleartext, &steps);
});
