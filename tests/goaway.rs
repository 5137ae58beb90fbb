//! Tests GOAWAY (RFC 9113 section 6.8) from either side: earlier requests still get their
//! responses.

use std::convert::Infallible;

use corelane::{Body, config::SHUTDOWN_DEADLINE, service_fn};
use corelane_test_support::{
    Backend, Drivers, Pattern, TestServer,
    client::{connect, get, never, send},
    deadline, for_each_backend,
};
use futures_util::future::join;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

for_each_backend!(
    responses_complete_after_client_goaway,
    goaway_then_close_is_not_a_failure,
    requests_sent_before_goaway_arrives_are_answered,
    shutdown_waits_for_first_request,
);

const LENGTH: u64 = 2 * 1024 * 1024;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Field block of HEADERS, with END_STREAM and END_HEADERS: GET, https, /.
const REQUEST: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'l'];

async fn answer(_: Request<Body>) -> Result<Response<Pattern>, Infallible> {
    Ok(Response::new(Pattern::of(LENGTH)))
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    let header = [0, 0, length, kind, flags, 0, 0, 0, stream];
    [&header[..], payload].concat()
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Frame> {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await?;
    let [a, b, c, kind, flags, ..] = header;
    let length = u32::from_be_bytes([0, a, b, c]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    Ok(Frame {
        kind,
        flags,
        payload,
    })
}

fn responses_complete_after_client_goaway(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        deadline(async {
            let mut stream = connect(backend, server.addr).await;
            let opening = [
                PREFACE.to_vec(),
                // SETTINGS_INITIAL_WINDOW_SIZE and WINDOW_UPDATE: 2^31-1.
                frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]),
                frame(8, 0, 0, &[0x7f, 0xff, 0, 0]),
                frame(HEADERS, 5, 1, REQUEST),
                // GOAWAY, NO_ERROR.
                frame(7, 0, 0, &[0; 8]),
            ];
            stream.write_all(&opening.concat()).await.expect("sent");
            stream.flush().await.expect("sent");
            let mut received = 0;
            loop {
                let next = next_frame(&mut stream).await.expect("a frame");
                if next.kind == DATA {
                    received += next.payload.len() as u64;
                    if next.flags & END_STREAM != 0 {
                        break;
                    }
                    // The client continues to grant window. If the server closed now, it would
                    // answer with a reset, and data in transit would be lost.
                    let _ = stream.write_all(&frame(8, 0, 0, &[0, 0, 0, 1])).await;
                    let _ = stream.flush().await;
                }
            }
            assert_eq!(received, LENGTH);
        });
        server.wait_for("closed", |counters| counters.connections_closed == 1);
    }
}

/// The socket is closed in both directions: a reset answers what the server still sends, and the
/// server cannot close its side.
fn goaway_then_close_is_not_a_failure(backend: Backend) {
    const CLIENTS: u64 = 20;
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        deadline(async {
            for _ in 0..CLIENTS {
                let stream = connect(backend, server.addr).await;
                let handshake = h2::client::handshake(stream).await;
                let (requests, connection) = handshake.expect("HTTP/2");
                let ask = async {
                    let answer = send(&requests, get("/"), None).await;
                    drop(requests);
                    answer
                };
                let (answer, ended) = join(ask, connection).await;
                answer.expect("an answer");
                ended.expect("a clean end");
            }
        });
        server.wait_for("closed", |counters| counters.connections_closed == CLIENTS);
        assert_eq!(server.counters()[0].connections_failed, 0);
    }
}

/// A client that has not received GOAWAY yet continues to send requests. The first GOAWAY names no
/// last stream, so all of these count. The answer to PING shows that no more are in transit, and
/// the second GOAWAY names the last stream.
fn requests_sent_before_goaway_arrives_are_answered(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        deadline(async {
            let mut stream = connect(backend, server.addr).await;
            let opening = [
                PREFACE,
                &frame(4, 0, 0, &[]),
                &frame(HEADERS, 5, 1, REQUEST),
            ];
            stream.write_all(&opening.concat()).await.expect("sent");
            stream.flush().await.expect("sent");
            while next_frame(&mut stream).await.expect("a frame").kind != HEADERS {}
            server.handle().shutdown(SHUTDOWN_DEADLINE);
            let first = loop {
                let next = next_frame(&mut stream).await.expect("a frame");
                if next.kind == GOAWAY {
                    break next;
                }
            };
            assert_eq!(first.payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
            let ping = next_frame(&mut stream).await.expect("a frame");
            assert_eq!((ping.kind, ping.flags & ACK), (PING, 0));
            let late = [
                frame(HEADERS, 5, 3, REQUEST),
                frame(PING, ACK, 0, &ping.payload),
            ];
            stream.write_all(&late.concat()).await.expect("sent");
            stream.flush().await.expect("sent");
            let (mut answered, mut last) = (false, None);
            while let Ok(next) = next_frame(&mut stream).await {
                answered |= next.kind == HEADERS && next.payload.first() == Some(&0x88);
                if next.kind == GOAWAY {
                    last = Some(next.payload);
                }
            }
            assert!(answered, "200");
            assert_eq!(last, Some(vec![0, 0, 0, 3, 0, 0, 0, 0]));
        });
    }
}

/// A busy client may answer PING before it sends its first request. If GOAWAY arrived by then, the
/// request would not count.
fn shutdown_waits_for_first_request(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        deadline(async {
            let mut stream = connect(backend, server.addr).await;
            let opening = [PREFACE, &frame(4, 0, 0, &[])].concat();
            stream.write_all(&opening).await.expect("sent");
            // Two round trips: in the second one the worker knows about the shutdown.
            for round in 0..2 {
                let ping = frame(PING, 0, 0, &[round; 8]);
                stream.write_all(&ping).await.expect("sent");
                stream.flush().await.expect("sent");
                loop {
                    let next = next_frame(&mut stream).await.expect("a frame");
                    if next.kind == PING && next.flags & ACK != 0 {
                        break;
                    }
                    if next.kind == PING {
                        let ack = frame(PING, ACK, 0, &next.payload);
                        stream.write_all(&ack).await.expect("sent");
                    }
                }
                if round == 0 {
                    server.handle().shutdown(SHUTDOWN_DEADLINE);
                    let refused = || std::net::TcpStream::connect(server.addr).is_err();
                    while !refused() {}
                }
            }
            stream
                .write_all(&frame(HEADERS, 5, 1, REQUEST))
                .await
                .expect("sent");
            stream.flush().await.expect("sent");
            let (mut answered, mut goaways) = (false, 0);
            while let Ok(next) = next_frame(&mut stream).await {
                answered |= next.kind == HEADERS && next.payload.first() == Some(&0x88);
                goaways += u32::from(next.kind == GOAWAY);
                if next.kind == PING {
                    let ack = frame(PING, ACK, 0, &next.payload);
                    stream.write_all(&ack).await.expect("sent");
                    stream.flush().await.expect("sent");
                }
            }
            assert!(answered, "200");
            assert_eq!(goaways, 2, "GOAWAY without a last stream, then with it");
        });
    }
}
