//! What a client sees of its streams and of the connection.

use std::collections::BTreeMap;

use corelane_http2::hpack::Decoder;
use corelane_test_frames::{END_HEADERS, kind};

use super::support::Frame;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The code of the last GOAWAY, if there was one.
    pub goaway: Option<u32>,
    pub closed: bool,
    /// Acknowledgements of SETTINGS and PING.
    pub settings: usize,
    pub pings: usize,
    pub streams: BTreeMap<u32, Stream>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    pub status: Option<String>,
    /// Bytes of the body.
    pub body: usize,
    pub ended: bool,
    /// The codes of RST_STREAM.
    pub resets: Vec<u32>,
}

/// Collects the outcome, frame by frame.
#[derive(Default)]
pub struct Observer {
    outcome: Outcome,
    decoder: Option<Decoder>,
}

impl Observer {
    /// The outcome after these frames of the server.
    pub fn after(&mut self, frames: &[Frame], closed: bool) -> Outcome {
        for frame in frames {
            self.see(frame);
        }
        self.outcome.closed = closed;
        self.outcome.clone()
    }

    fn see(&mut self, frame: &Frame) {
        let outcome = &mut self.outcome;
        match frame.kind {
            kind::GOAWAY => outcome.goaway = Some(frame.number(4)),
            kind::SETTINGS if frame.is_ack(kind::SETTINGS) => outcome.settings += 1,
            kind::PING if frame.is_ack(kind::PING) => outcome.pings += 1,
            kind::RST_STREAM => {
                let stream = outcome.streams.entry(frame.stream).or_default();
                stream.resets.push(frame.number(0));
            }
            kind::DATA => {
                let stream = outcome.streams.entry(frame.stream).or_default();
                stream.body += frame.payload.len();
                stream.ended |= frame.ends_stream();
            }
            kind::HEADERS => {
                assert!(frame.flags & END_HEADERS != 0, "responses are short");
                let decoder = self.decoder.get_or_insert_with(|| Decoder::new(4096));
                let stream = outcome.streams.entry(frame.stream).or_default();
                stream.ended |= frame.ends_stream();
                let field = &mut |name: &[u8], value: &[u8], _| {
                    if name == b":status" {
                        stream.status = Some(String::from_utf8_lossy(value).into_owned());
                    }
                };
                decoder
                    .decode(&frame.payload, 1 << 20, field)
                    .expect("a block");
            }
            _ => {}
        }
    }
}
