use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture};
use http::{Method, Request};
use proptest::{collection::vec, prelude::*};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    config::{Http2Engine, Limits},
    fuzzing::{ENGINES, Step, connection, pieces},
    tls::Cleartext,
};

/// More than any client here sends or receives.
const ROOM: u32 = 4 * 1024 * 1024;

/// A client that sends all its requests at once, and later receives all responses at once.
struct Client {
    connection: Connection<DuplexStream, Bytes>,
    responses: Vec<ResponseFuture>,
    wire: DuplexStream,
    sent: Vec<u8>,
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn ready<F: Future>(future: F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

impl Client {
    /// Requests with these methods and bodies of these lengths.
    fn new(requests: &[(Method, usize)]) -> Self {
        let (near, mut wire) = tokio::io::duplex(ROOM as usize);
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(ROOM);
        builder.initial_connection_window_size(ROOM);
        let (mut send, mut connection) = ready(builder.handshake(near)).expect("a client");
        let responses = requests.iter().map(|(method, length)| {
            let request = Request::builder().method(method).uri("http://localhost/");
            let request = request.body(()).expect("a request");
            ready(poll_fn(|cx| send.poll_ready(cx))).expect("ready");
            let (response, mut stream) = send.send_request(request, false).expect("open");
            stream.send_data(body(*length), true).expect("open");
            response
        });
        let responses = responses.collect();
        assert!(poll(Pin::new(&mut connection)).is_pending());
        let mut sent = vec![0; ROOM as usize];
        let n = ready(wire.read(&mut sent)).expect("memory");
        sent.truncate(n);
        Self {
            connection,
            responses,
            wire,
            sent,
        }
    }

    /// The complete bodies of its responses. `ended` says that the answers end the connection.
    fn receive(mut self, ended: bool, answers: &[u8]) -> Vec<Vec<u8>> {
        ready(self.wire.write_all(answers)).expect("memory");
        let driven = poll(Pin::new(&mut self.connection));
        assert!(!matches!(driven, Poll::Ready(Err(_))), "{driven:?}");
        assert_eq!(driven.is_ready(), ended, "{driven:?}");
        let bodies = self.responses.into_iter().map(|response| {
            let mut stream = ready(response).expect("a response").into_body();
            let mut body = Vec::new();
            while let Some(data) = ready(poll_fn(|cx| stream.poll_data(cx))) {
                body.extend_from_slice(&data.expect("data"));
            }
            body
        });
        bodies.collect()
    }
}

fn body(length: usize) -> Bytes {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn method() -> impl Strategy<Value = Method> {
    let methods = [Method::POST, Method::GET, Method::PUT];
    proptest::sample::select(methods.to_vec())
}

fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[0, 0, length, kind, 0, 0, 0, 0, stream], payload].concat()
}

/// Frames that request nothing. The last ones belong to a body without an end.
fn useless_frames() -> [Vec<u8>; 7] {
    [
        frame(6, 0, &[0; 8]),
        frame(4, 0, &[]),
        frame(8, 0, &[0, 0, 0, 1]),
        frame(2, 3, &[0, 0, 0, 5, 9]),
        frame(0xfa, 0, &[]),
        frame(0, 1, b"x"),
        frame(0, 1, b""),
    ]
}

/// Whether the server sends GOAWAY when its client has closed the connection.
fn says_goodbye(engine: Http2Engine) -> bool {
    engine != Http2Engine::H2
}

fn engine() -> impl Strategy<Value = Http2Engine> {
    proptest::sample::select(ENGINES)
}

#[test]
fn requests_right_behind_the_preface_are_answered() {
    for engine in ENGINES {
        let client = Client::new(&[(Method::PUT, 3)]);
        let steps = [Step::Sends(client.sent.clone())];
        let received = connection(&Cleartext, *engine, &steps);
        assert_eq!(client.receive(false, &received[0]), [b"xxx"]);
    }
}

/// What was queued while the socket was full has lost its window when the socket takes more.
#[test]
fn a_response_that_lost_its_window_is_reset_in_time() {
    const INITIAL_WINDOW_SIZE: u8 = 4;
    const CANCEL: u8 = 8;
    let mut get = frame(1, 1, b"\x82\x86\x84\x01\x01a");
    get[4] = 5;
    let begin = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &frame(4, 0, &[])[..],
        &get,
    ];
    let steps = [
        Step::Takes(4_000),
        Step::Sends(begin.concat()),
        Step::Sends(frame(4, 0, &[0, INITIAL_WINDOW_SIZE, 0, 0, 0, 100])),
        Step::Takes(usize::MAX),
        Step::Advance(Limits::default().write),
    ];
    for engine in ENGINES {
        // Also if the client has ended, and nothing else happens.
        connection(&Cleartext, *engine, &steps[..4]);
        let sent = connection(&Cleartext, *engine, &steps).concat();
        let reset = frame(3, 1, &[0, 0, 0, CANCEL]);
        let is_reset = sent.windows(reset.len()).any(|bytes| bytes == reset);
        assert!(is_reset, "{engine:?}: {} bytes", sent.len());
    }
}

proptest! {
    #[test]
    fn the_answers_are_the_same_in_any_pieces(
        engine in engine(),
        requests in vec((method(), 0_usize..5000), 1..6),
        sizes in vec(1_usize..2000, 1..5),
        room in vec(0_usize..30_000, 1..5),
    ) {
        let client = Client::new(&requests);
        let mut steps = Vec::new();
        for (piece, room) in pieces(&client.sent, &sizes).into_iter().zip(room.iter().cycle()) {
            steps.extend([Step::Takes(*room), Step::Sends(piece.to_vec())]);
        }
        steps.push(Step::Takes(usize::MAX));
        let bodies = client.receive(says_goodbye(engine), &connection(&Cleartext, engine, &steps).concat());
        for ((method, length), received) in requests.into_iter().zip(bodies) {
            match method {
                Method::POST => prop_assert_eq!(received, body(length)),
                Method::GET => prop_assert_eq!(received.len(), 100_000),
                _ => prop_assert_eq!(received.len(), length),
            }
        }
    }

    /// Far more frames than a burst, but fewer than close the connection.
    #[test]
    fn a_throttled_client_gets_its_answers(
        engine in engine(),
        pings in 900_usize..9_000,
        sizes in vec(2_000_usize..20_000, 1..5),
        later in vec(0_u64..300, 1..5),
    ) {
        const BEGIN: usize = 24;
        let client = Client::new(&[(Method::POST, 5000)]);
        let settings = BEGIN + 9 + usize::from(client.sent[BEGIN + 2]);
        let (begin, requests) = client.sent.split_at(settings);
        let bytes = [begin, &frame(6, 0, &[0; 8]).repeat(pings), requests].concat();
        let mut steps = Vec::new();
        for (piece, later) in pieces(&bytes, &sizes).into_iter().zip(later.iter().cycle()) {
            steps.push(Step::Sends(piece.to_vec()));
            steps.push(Step::Advance(Duration::from_millis(*later)));
        }
        steps.extend(vec![Step::Advance(Duration::from_secs(1)); 12]);
        let bodies = client.receive(says_goodbye(engine), &connection(&Cleartext, engine, &steps).concat());
        prop_assert_eq!(&bodies[0], &body(5000));
    }

    #[test]
    fn a_connection_ends_with_its_client_after_any_flood(
        engine in engine(),
        floods in vec((0_usize..7, 0_usize..3_000, 0_u64..3_000), 1..6),
        room in proptest::option::of(0_usize..30_000),
        shutdown in any::<proptest::sample::Index>(),
    ) {
        let mut open = frame(1, 1, b"\x83\x86\x84\x01\x01a");
        open[4] = 4;
        let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, &[])[..], &open];
        let mut steps = vec![Step::Sends(begin.concat()), Step::Takes(room.unwrap_or(usize::MAX))];
        for (what, count, later) in floods {
            steps.push(Step::Sends(useless_frames()[what].repeat(count)));
            steps.push(Step::Advance(Duration::from_millis(later)));
        }
        steps.insert(shutdown.index(steps.len()), Step::Shutdown);
        connection(&Cleartext, engine, &steps);
    }

    #[test]
    fn a_connection_ends_with_its_client_after_any_bytes(
        engine in engine(),
        bytes in vec(any::<u8>(), 0..2000),
        sizes in vec(1_usize..300, 1..4),
        behind_preface in any::<bool>(),
    ) {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let bytes = match behind_preface {
            true => [PREFACE, &bytes].concat(),
            false => bytes,
        };
        let sent = pieces(&bytes, &sizes).into_iter();
        let steps: Vec<_> = sent.map(|piece| Step::Sends(piece.to_vec())).collect();
        connection(&Cleartext, engine, &steps);
    }

    #[test]
    fn a_connection_ends_with_its_client_after_any_change(
        engine in engine(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        sizes in vec(1_usize..300, 1..4),
        shutdown in any::<proptest::sample::Index>(),
    ) {
        let requests = [(Method::POST, 100), (Method::GET, 0), (Method::PUT, 1)];
        let mut bytes = Client::new(&requests).sent;
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let sent = pieces(&bytes, &sizes).into_iter();
        let mut steps: Vec<_> = sent.map(|piece| Step::Sends(piece.to_vec())).collect();
        steps.insert(shutdown.index(steps.len()), Step::Shutdown);
        connection(&Cleartext, engine, &steps);
    }
}
