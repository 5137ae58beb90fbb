//! A model of flow control (RFC 9113 sections 5.2 and 6.9) in both directions, beside a client that
//! keeps the rules.

use std::collections::BTreeMap;

use corelane_http2::{Config, Connection, ErrorCode};
use corelane_test_frames::{
    END_HEADERS, END_STREAM, PADDED, PREFACE, WHOLE, data, headers, hpack, kind, padded, setting,
    settings, settings_ack, window_update,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use crate::support::{Frame, Service};

const DEFAULT: i64 = 65_535;
const MAX_FRAME: i64 = 16_384;

#[derive(Clone, Debug)]
enum Action {
    /// A request whose response has this many bytes.
    Download(u32),
    /// A request with a body, which the server reads or not.
    Upload {
        read: bool,
    },
    /// Bytes of a body, as far as the windows allow, with padding or not.
    Send(Index, i64, Option<u8>),
    EndUpload(Index),
    StreamWindow(Index, u32),
    ConnectionWindow(u32),
    InitialWindow(u32),
    /// The client applies the server's settings and acknowledges them.
    Acknowledge,
    /// The server changes its own, if the client has acknowledged the last ones.
    ServerWindow(u32),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    use Action::*;
    let length = || prop_oneof![0..2000u32, 0..200_000u32];
    let padding = prop_oneof![3 => Just(None), 1 => any::<u8>().prop_map(Some)];
    let action = prop_oneof![
        2 => length().prop_map(Download),
        2 => prop::bool::weighted(0.8).prop_map(|read| Upload { read }),
        6 => (any::<Index>(), 0..70_000i64, padding).prop_map(|(at, n, padding)| Send(at, n, padding)),
        1 => any::<Index>().prop_map(EndUpload),
        3 => (any::<Index>(), 1..50_000u32).prop_map(|(at, by)| StreamWindow(at, by)),
        3 => (1..100_000u32).prop_map(ConnectionWindow),
        1 => select(&[0, 1, 500, 65_535, 200_000][..]).prop_map(InitialWindow),
        2 => Just(Acknowledge),
        1 => select(&[0, 1, 1000, 65_535, 300_000][..]).prop_map(ServerWindow),
    ];
    vec(action, 1..60)
}

#[derive(Debug)]
struct Stream {
    /// What the server may send.
    download: i64,
    /// What the client may send.
    upload: i64,
    uploads: bool,
    /// Bytes that the server holds because it does not read.
    held: Option<i64>,
}

struct Client {
    server: Service,
    streams: BTreeMap<u32, Stream>,
    next: u32,
    download: i64,
    upload: i64,
    /// The client's SETTINGS_INITIAL_WINDOW_SIZE.
    download_size: i64,
    /// The server's, once the client knows it.
    upload_size: i64,
    server_size: i64,
    connection_size: i64,
    acknowledged: bool,
}

impl Client {
    fn new(stream_size: u32, connection_size: u32) -> Self {
        let config = Config::default()
            .initial_stream_window_size(stream_size)
            .initial_connection_window_size(connection_size);
        let mut client = Self {
            server: Service::new(Connection::new(config)),
            streams: BTreeMap::new(),
            next: 1,
            download: DEFAULT,
            upload: DEFAULT,
            download_size: DEFAULT,
            upload_size: DEFAULT,
            server_size: stream_size.into(),
            connection_size: connection_size.into(),
            acknowledged: false,
        };
        client.send(&[PREFACE, &settings(&[])].concat());
        client
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Download(length) => {
                let block = hpack::get(&format!("/bytes/{length}"));
                let stream = self.open(None, false);
                self.send(&headers(stream, WHOLE, &block));
            }
            Action::Upload { read } => {
                let block = hpack::post(if *read { "/wait" } else { "/unread" });
                let stream = self.open((!read).then_some(0), true);
                self.send(&headers(stream, END_HEADERS, &block));
            }
            Action::Send(at, length, padding) => self.upload(at, *length, *padding),
            Action::EndUpload(at) => {
                if let Some(stream) = self.uploading(at) {
                    self.stream(stream).uploads = false;
                    self.send(&data(stream, END_STREAM, b""));
                }
            }
            Action::StreamWindow(at, by) => {
                let streams: Vec<_> = self.streams.keys().copied().collect();
                if streams.is_empty() {
                    return;
                }
                let stream = *at.get(&streams);
                self.stream(stream).download += i64::from(*by);
                self.send(&window_update(stream, *by));
            }
            Action::ConnectionWindow(by) => {
                self.download += i64::from(*by);
                self.send(&window_update(0, *by));
            }
            Action::InitialWindow(size) => {
                for stream in self.streams.values_mut() {
                    stream.download += i64::from(*size) - self.download_size;
                }
                self.download_size = (*size).into();
                self.send(&settings(&[(setting::INITIAL_WINDOW_SIZE, *size)]));
            }
            Action::Acknowledge if !self.acknowledged => {
                self.acknowledged = true;
                for stream in self.streams.values_mut() {
                    stream.upload += self.server_size - self.upload_size;
                }
                self.upload_size = self.server_size;
                self.send(&settings_ack());
            }
            Action::ServerWindow(size) if self.acknowledged => {
                self.acknowledged = false;
                self.server_size = (*size).into();
                self.server.connection.set_initial_stream_window_size(*size);
                self.send(&[]);
            }
            Action::Acknowledge | Action::ServerWindow(_) => {}
        }
    }

    fn open(&mut self, held: Option<i64>, uploads: bool) -> u32 {
        let number = self.next;
        self.next += 2;
        let stream = Stream {
            download: self.download_size,
            upload: self.upload_size,
            uploads,
            held,
        };
        self.streams.insert(number, stream);
        number
    }

    /// How much more the server accepts on each stream than the client knows: a larger window applies from the start.
    fn lead(&self) -> i64 {
        (self.server_size - self.upload_size).max(0)
    }

    fn stream(&mut self, number: u32) -> &mut Stream {
        self.streams.get_mut(&number).expect("opened")
    }

    fn uploading(&self, at: &Index) -> Option<u32> {
        let uploading = self.streams.iter().filter(|(_, stream)| stream.uploads);
        let uploading: Vec<_> = uploading.map(|(number, _)| *number).collect();
        (!uploading.is_empty()).then(|| *at.get(&uploading))
    }

    fn upload(&mut self, at: &Index, length: i64, padding: Option<u8>) {
        let Some(number) = self.uploading(at) else {
            return;
        };
        let window = self.stream(number).upload;
        let mut left = length.min(window).min(self.upload);
        let mut bytes = Vec::new();
        while left > 0 {
            let length = left.min(MAX_FRAME);
            left -= length;
            bytes.extend(body_frame(number, length, padding));
            self.upload -= length;
            let stream = self.stream(number);
            stream.upload -= length;
            let overhead = match padding {
                Some(padding) if length > i64::from(padding) => i64::from(padding) + 1,
                _ => 0,
            };
            if let Some(held) = &mut stream.held {
                *held += length - overhead;
            }
        }
        self.send(&bytes);
    }

    /// Sends, and takes what the server answers into the model.
    fn send(&mut self, bytes: &[u8]) {
        self.server.receive(bytes);
        self.server.act();
        for frame in self.server.frames() {
            self.take(&frame);
        }
        self.check();
    }

    fn take(&mut self, frame: &Frame) {
        match (frame.kind, frame.stream) {
            (kind::DATA, number) => {
                let length = frame.payload.len() as i64;
                self.download -= length;
                self.stream(number).download -= length;
                assert!(
                    length == 0 || self.download >= 0,
                    "past the connection's window"
                );
                assert!(
                    length == 0 || self.stream(number).download >= 0,
                    "past the stream's window"
                );
                assert!(length <= MAX_FRAME);
            }
            (kind::WINDOW_UPDATE, 0) => {
                self.upload += i64::from(frame.number(0));
                assert!(self.upload <= self.connection_size);
            }
            (kind::WINDOW_UPDATE, number) => {
                let size = self.server_size.max(self.upload_size);
                let stream = self.stream(number);
                stream.upload += i64::from(frame.number(0));
                assert!(stream.upload <= size);
            }
            (kind::SETTINGS | kind::HEADERS, _) => {}
            _ => panic!("{frame:?}"),
        }
    }

    /// Nothing waits that may be sent.
    fn check(&self) {
        let mut held = 0;
        for (number, stream) in &self.streams {
            held += stream.held.unwrap_or(0);
            let unsent = self.server.unsent(*number);
            assert!(
                unsent == 0 || stream.download <= 0 || self.download <= 0,
                "the response to {number} stands still"
            );
            if stream.uploads && stream.held.is_none() {
                let (window, size) = (stream.upload + self.lead(), self.upload_size + self.lead());
                assert!(
                    2 * window >= size && window >= 1.min(size),
                    "the upload {number} stands still at {window} of {size}",
                );
            }
        }
        // Padding of what is not read was given back.
        assert!(2 * (self.upload + held) >= self.connection_size);
    }

    /// One byte more than a window has.
    fn exceed(&mut self, at: &Index) {
        let Some(number) = self.uploading(at) else {
            return;
        };
        let window = self.stream(number).upload + self.lead();
        let allowed = window.min(self.upload).max(0);
        let mut left = allowed;
        let mut bytes = Vec::new();
        while left > 0 {
            let length = left.min(MAX_FRAME);
            left -= length;
            bytes.extend(body_frame(number, length, None));
        }
        // In one step, so that nothing is released before the last frame.
        bytes.extend(body_frame(number, 1, None));
        self.server.receive(&bytes);
        self.server.act();
        let is_connection = allowed == self.upload;
        let (kind, stream, place) = match is_connection {
            true => (kind::GOAWAY, 0, 4),
            false => (kind::RST_STREAM, number, 0),
        };
        let frames = self.server.frames();
        let error = frames.iter().find(|frame| frame.is(kind, stream));
        let error = error.expect("an error");
        assert_eq!(error.number(place), ErrorCode::FLOW_CONTROL_ERROR.0);
    }
}

/// A frame of this length, with padding if there is room for it.
fn body_frame(stream: u32, length: i64, padding: Option<u8>) -> Vec<u8> {
    let length = usize::try_from(length).expect("positive");
    match padding {
        Some(padding) if length > usize::from(padding) => {
            let body = vec![b'd'; length - usize::from(padding) - 1];
            let padding = vec![0; padding.into()];
            data(stream, PADDED, &padded(&body, &padding))
        }
        _ => data(stream, 0, &vec![b'd'; length]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn windows_are_kept_and_used(
        stream in select(&[0, 1, 2, 1000, 20_000, 65_535, 200_000][..]),
        connection in select(&[65_535, 100_000, 500_000][..]),
        actions in actions(),
        last in any::<Index>(),
    ) {
        let mut client = Client::new(stream, connection);
        for action in &actions {
            client.act(action);
        }
        client.exceed(&last);
    }
}
