//! What a connection holds at most, with an allocator that counts: the table on [`Connection`].

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use corelane_http2::{Config, Connection, Event};
use corelane_test_frames::{
    END_HEADERS, PREFACE, WHOLE, continuation, data, frame, headers, hpack, ping, reset, settings,
    window_update,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards all calls unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STREAMS: u32 = 100;
const LIST: usize = 16 * 1024;
const FRAME: usize = 16_384;

struct Server {
    connection: Connection,
    responds: bool,
    /// Bytes that the connection holds, and has held at most.
    held: usize,
    most: usize,
}

impl Server {
    fn new(responds: bool) -> Self {
        let before = ALLOCATED.load(Relaxed);
        let config = Config::default()
            .max_concurrent_streams(STREAMS)
            .max_stream_errors(u32::MAX)
            .max_header_list_size(LIST as u32);
        let mut server = Self {
            connection: Connection::new(config),
            responds,
            held: 0,
            most: 0,
        };
        server.count(before);
        server.receive(PREFACE);
        server.receive(&settings(&[]));
        server
    }

    /// Takes as much as the connection does: its output is not read. Returns whether it took everything.
    fn receive(&mut self, mut input: &[u8]) -> bool {
        let before = ALLOCATED.load(Relaxed);
        while let Ok(Some(event)) = self.connection.receive(&mut input) {
            if let Event::Request { stream, head, .. } = event {
                drop(head);
                if self.responds {
                    let _ = self
                        .connection
                        .respond(stream, StatusCode::OK, &fields(), false);
                    if self.connection.capacity(stream) > 0 {
                        // It keeps none of this memory.
                        let _ =
                            self.connection
                                .send_data(stream, Bytes::from_static(b"hello"), false);
                    }
                }
            }
        }
        self.count(before);
        input.is_empty()
    }

    /// Adds what was allocated and not freed since.
    fn count(&mut self, before: usize) {
        self.held = self.held + ALLOCATED.load(Relaxed) - before;
        self.most = self.most.max(self.held);
    }

    /// Sends everything, and forgets it.
    fn transmit(&mut self) {
        let mut sent = Vec::with_capacity(FRAME);
        let before = ALLOCATED.load(Relaxed);
        while self.connection.wants_transmit() {
            self.connection.transmit(&mut sent, FRAME);
            sent.clear();
        }
        while self.connection.poll_sent().is_some() {}
        self.count(before);
    }
}

/// The head of a response, without `:status`.
fn fields() -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    fields.insert(header::ETAG, HeaderValue::from_static("\"0123456789\""));
    fields
}

/// A block that fills the table of requests with fields of these names and lengths.
fn filling(mut name: impl FnMut(usize) -> String, value: usize, count: usize) -> Vec<u8> {
    let fields = (0..count).map(|number| {
        let (name, value) = (name(number), vec![b'v'; value]);
        [
            &[0x40][..],
            &hpack::string(name.as_bytes()),
            &hpack::string(&value),
        ]
        .concat()
    });
    [hpack::get("/"), fields.collect::<Vec<_>>().concat()].concat()
}

/// A block that repeats the newest entries of the table.
fn repeating(count: u8) -> Vec<u8> {
    let entries: Vec<_> = (0..count).map(|age| 0x80 | (62 + age)).collect();
    [hpack::get("/"), entries].concat()
}

/// One after the other, as they count together.
#[test]
fn nothing_is_held_above_the_bounds() {
    // The rows of the table on `Connection`. The output may be a vector of twice the length.
    let partial = FRAME + 9;
    let block = (5 * LIST).max(FRAME);
    let hpack = 44 * (4096 + 4096) / 32 + 2048;
    let cache = 32 * 376;
    let output = 2 * (16 * 1024) + FRAME;
    let streams = STREAMS as usize * (200 + 100);
    let few = 1024;

    let ask = |stream, block: &[u8]| headers(stream, WHOLE, block);
    let upload = |stream| headers(stream, END_HEADERS, &hpack::post("/"));
    let stream = |number: usize| 2 * number as u32 + 1;

    let check = |what: &str, server: &Server, bound: usize| {
        println!("{what}: {} of {bound}", server.most);
        assert!(server.most <= bound, "{what}: {} of {bound}", server.most);
        // The bound is not idle.
        assert!(
            8 * server.most >= bound,
            "{what}: {} of {bound}",
            server.most
        );
    };

    let mut server = Server::new(false);
    let long = frame(4, 0, 0, &[0; FRAME / 6 * 6]);
    server.receive(&long[..long.len() - 1]);
    check("a part of a frame", &server, partial + few);

    let mut server = Server::new(false);
    server.receive(&headers(1, 0, &[0x82; FRAME]));
    while !server.connection.is_ended() {
        server.receive(&continuation(1, 0, &[0x82; FRAME]));
    }
    check("a block", &server, block + few);

    let mut server = Server::new(false);
    for number in 0..400 {
        // As many as the table holds, and used once more, so that the connection keeps what it made of them.
        let length = 8 << (number / 40).min(8);
        let count = (4096 / (length + 8 + 2 + 32)).min(60);
        let name = |entry| format!("{number:03}-{entry:03}-{}", "n".repeat(length));
        server.receive(&ask(stream(2 * number), &filling(name, 2, count)));
        server.receive(&ask(stream(2 * number + 1), &repeating(count as u8)));
        server.transmit();
        let open = server.connection.open_streams();
        assert!(!server.connection.is_ended() && open > 0);
        for number in [2 * number, 2 * number + 1] {
            server.receive(&reset(stream(number), 8));
        }
    }
    check("the table of requests", &server, hpack + cache + few);

    let mut server = Server::new(false);
    while server.receive(&ping(b"12345678")) {}
    check("answers to PING", &server, output + few);

    for responds in [false, true] {
        let mut server = Server::new(responds);
        for number in 0..10_000 {
            server.receive(&upload(stream(number)));
        }
        assert_eq!(server.connection.open_streams(), STREAMS as usize);
        check("streams", &server, streams + output + hpack + few);
        server.transmit();
        let held = server.held;
        for number in 0..STREAMS as usize {
            server.receive(&reset(stream(number), 8));
        }
        server.transmit();
        let before = ALLOCATED.load(Relaxed);
        server.connection.shrink();
        server.count(before);
        let rest = server.held;
        println!("then {rest} of {held}");
        assert!(rest < held / 4, "{rest} of {held}");
    }

    // Streams that are reset while they wait for the window of the connection.
    let mut server = Server::new(true);
    for number in 0..30_000 {
        server.receive(&ask(stream(number), &hpack::get("/")));
        server.receive(&reset(stream(number), 8));
        server.transmit();
    }
    assert_eq!(server.connection.connection_capacity(), 0);
    assert!(server.held < 8 * few, "{}", server.held);

    // Resets, windows and priorities of streams that are not there.
    let mut server = Server::new(false);
    for number in 0..10_000 {
        server.receive(&upload(stream(number)));
        server.receive(&window_update(stream(number), 1));
        server.receive(&data(stream(number), 0, &[0; 100]));
        server.receive(&data(stream(number), 1, &[0; 100]));
        server.receive(&data(stream(number), 1, &[0; 100]));
        server.receive(&reset(stream(number), 8));
        let later = [&stream(number + 5).to_be_bytes()[..], b"u=1, i"].concat();
        server.receive(&frame(0x10, 0, 0, &later));
        server.transmit();
    }
    assert!(server.most <= 4096, "{} for nothing", server.most);
}
