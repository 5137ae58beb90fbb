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
    fuzzing::{Step, connection, pieces},
    tls::Cleartext,
};

/// More than any client here says or is told.
const ROOM: u32 = 4 * 1024 * 1024;

/// A client that says all that it has to say at once, and hears all at once later.
struct Client {
    connection: Connection<DuplexStream, Bytes>,
    responses: Vec<ResponseFuture>,
    wire: DuplexStream,
    said: Vec<u8>,
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
    /// Asks by these methods with bodies of these lengths.
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
        let mut said = vec![0; ROOM as usize];
        let n = ready(wire.read(&mut said)).expect("memory");
        said.truncate(n);
        Self {
            connection,
            responses,
            wire,
            said,
        }
    }

    /// The bodies of the responses to it, whole.
    fn hears(mut self, answers: &[u8]) -> Vec<Vec<u8>> {
        ready(self.wire.write_all(answers)).expect("memory");
        let driven = poll(Pin::new(&mut self.connection));
        assert!(driven.is_pending(), "{driven:?}");
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

/// Each asks for nothing; the last ones are of a body that has no end.
fn idle_talk() -> [Vec<u8>; 7] {
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

#[test]
fn what_a_connection_begins_with_is_sent_at_once() {
    let client = Client::new(&[(Method::PUT, 3)]);
    let sent = connection(&Cleartext, &[Step::Sends(client.said.clone())]);
    assert_eq!(client.hears(&sent[0]), [b"xxx"]);
}

proptest! {
    #[test]
    fn the_answers_are_the_same_in_any_pieces(
        requests in vec((method(), 0_usize..5000), 1..6),
        sizes in vec(1_usize..2000, 1..5),
        room in vec(0_usize..30_000, 1..5),
    ) {
        let client = Client::new(&requests);
        let mut steps = Vec::new();
        for (piece, room) in pieces(&client.said, &sizes).into_iter().zip(room.iter().cycle()) {
            steps.extend([Step::Takes(*room), Step::Sends(piece.to_vec())]);
        }
        steps.push(Step::Takes(usize::MAX));
        let bodies = client.hears(&connection(&Cleartext, &steps).concat());
        for ((method, length), received) in requests.into_iter().zip(bodies) {
            match method {
                Method::POST => prop_assert_eq!(received, body(length)),
                Method::GET => prop_assert_eq!(received.len(), 100_000),
                _ => prop_assert_eq!(received.len(), length),
            }
        }
    }

    /// Far more than a burst, and less than would end the connection.
    #[test]
    fn who_is_held_back_is_answered_all_the_same(
        pings in 900_usize..9_000,
        sizes in vec(2_000_usize..20_000, 1..5),
        later in vec(0_u64..300, 1..5),
    ) {
        const BEGIN: usize = 24;
        let client = Client::new(&[(Method::POST, 5000)]);
        let settings = BEGIN + 9 + usize::from(client.said[BEGIN + 2]);
        let (begin, requests) = client.said.split_at(settings);
        let said = [begin, &frame(6, 0, &[0; 8]).repeat(pings), requests].concat();
        let mut steps = Vec::new();
        for (piece, later) in pieces(&said, &sizes).into_iter().zip(later.iter().cycle()) {
            steps.push(Step::Sends(piece.to_vec()));
            steps.push(Step::Later(Duration::from_millis(*later)));
        }
        steps.extend(vec![Step::Later(Duration::from_secs(1)); 12]);
        let bodies = client.hears(&connection(&Cleartext, &steps).concat());
        prop_assert_eq!(&bodies[0], &body(5000));
    }

    #[test]
    fn any_flood_ends_with_its_client(
        floods in vec((0_usize..7, 0_usize..3_000, 0_u64..3_000), 1..6),
        room in proptest::option::of(0_usize..30_000),
        shutdown in any::<proptest::sample::Index>(),
    ) {
        let mut open = frame(1, 1, b"\x83\x86\x84\x01\x01a");
        open[4] = 4;
        let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, &[])[..], &open];
        let mut steps = vec![Step::Sends(begin.concat()), Step::Takes(room.unwrap_or(usize::MAX))];
        for (what, count, later) in floods {
            steps.push(Step::Sends(idle_talk()[what].repeat(count)));
            steps.push(Step::Later(Duration::from_millis(later)));
        }
        steps.insert(shutdown.index(steps.len()), Step::Shutdown);
        connection(&Cleartext, &steps);
    }

    #[test]
    fn any_bytes_at_all_end_with_their_client(
        bytes in vec(any::<u8>(), 0..2000),
        sizes in vec(1_usize..300, 1..4),
        behind_preface in any::<bool>(),
    ) {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let said = match behind_preface {
            true => [PREFACE, &bytes].concat(),
            false => bytes,
        };
        let sent = pieces(&said, &sizes).into_iter();
        let steps: Vec<_> = sent.map(|piece| Step::Sends(piece.to_vec())).collect();
        connection(&Cleartext, &steps);
    }

    #[test]
    fn any_change_of_an_exchange_ends_with_its_client(
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        sizes in vec(1_usize..300, 1..4),
        shutdown in any::<proptest::sample::Index>(),
    ) {
        let requests = [(Method::POST, 100), (Method::GET, 0), (Method::PUT, 1)];
        let mut said = Client::new(&requests).said;
        for (at, value) in changes {
            let at = at.index(said.len());
            said[at] = value;
        }
        let sent = pieces(&said, &sizes).into_iter();
        let mut steps: Vec<_> = sent.map(|piece| Step::Sends(piece.to_vec())).collect();
        steps.insert(shutdown.index(steps.len()), Step::Shutdown);
        connection(&Cleartext, &steps);
    }
}
