//! The terms of `docs/limits.md`, one by one, for the engine of HTTP/2 under test.

use corelane::{Http2Config, Http2Engine, tls::MAX_SEALED};
use corelane_test_support::{Backend, server::http2_engine};

/// Bytes.
pub struct Bound {
    pub idle: usize,
    pub base: usize,
    pub tls: usize,
    pub header_block: usize,
    pub streams: usize,
    pub header_lists: usize,
    pub bodies: usize,
    pub short_frames: usize,
    pub responses: usize,
}

const KIB: usize = 1024;

impl Bound {
    pub fn of(backend: Backend) -> Self {
        let config = Http2Config::default();
        let streams = config.max_concurrent_streams as usize;
        let list = config.max_header_list_size as usize;
        let frame = config.max_frame_size as usize;
        let window = config.initial_connection_window_size as usize;
        let (idle, base, header_block, stream, short_frames) = match http2_engine() {
            Http2Engine::H2 => (44 * KIB, 112 * KIB, 12 * frame, 4 * KIB, 5 * window),
            _ => (14 * KIB, 96 * KIB, 5 * list + frame, 3 * KIB, 0),
        };
        let tls = 6 * MAX_SEALED + 96 * KIB;
        // The frames of response bodies have 64 KiB here.
        let in_hand = streams * 64 * KIB;
        Self {
            idle,
            base,
            tls: if backend.tls { tls } else { 0 },
            header_block,
            streams: streams * stream,
            // 7 by the document, for any size of a list. The default is not one of the worst.
            header_lists: streams * list * 6,
            bodies: 2 * window,
            short_frames,
            responses: config.max_send_buffer_size + 128 * KIB + in_hand,
        }
    }

    pub fn sum(&self) -> usize {
        let connection = self.base + self.tls + self.header_block;
        let requests = self.streams + self.header_lists + self.bodies + self.short_frames;
        connection + requests + self.responses
    }
}
