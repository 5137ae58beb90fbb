//! Tests fairness: connections share a worker, and streams share a connection.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, poll_fn},
    io::Read,
    net::TcpStream,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use corelane::{Body, Http2Config, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer,
    client::{DEADLINE, connect, get, never, send},
    deadline, for_each_backend,
};
use futures_util::future::join;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;

for_each_backend!(
    flood_does_not_block_other_connections,
    yielding_handler_does_not_block_others,
    downloads_share_a_connection_fairly,
);

/// HTTP/2's preface, empty SETTINGS, and frames of an unknown type, which a peer has to ignore (RFC
/// 9113 section 4.1).
fn preface() -> Vec<u8> {
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()
}

fn unknown_frames() -> Vec<u8> {
    [0, 0, 0, 0xfa, 0, 0, 0, 0, 0].repeat(100_000)
}

fn flood_does_not_block_other_connections(backend: Backend) {
    const REQUESTS: usize = 50;
    // Enough for the client that asks, on a machine that has more to do than this test.
    let limits = Limits::default().handshake(Duration::from_secs(2));
    for &driver in Drivers::all() {
        // The limit would end the connection, see tests/floods.rs.
        let http2 = Http2Config::default().max_extra_frames(u32::MAX);
        let options =
            |builder: corelane::Builder| builder.limits(limits.clone()).http2(http2.clone());
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        let addr = server.addr;
        let enough = Arc::new(AtomicBool::new(false));
        let flood = std::thread::spawn({
            let enough = Arc::clone(&enough);
            move || {
                deadline(async move {
                    let mut stream = connect(backend, addr).await;
                    stream.write_all(&preface()).await.expect("sent");
                    let frames = unknown_frames();
                    while !enough.load(Ordering::Relaxed) {
                        if stream.write_all(&frames).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        server.wait_for("the flood has begun", |c| c.connections_accepted > 0);
        let mut silent = TcpStream::connect(addr).expect("connects");
        silent.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        deadline(async {
            let client = H2Client::connect(backend, addr).await;
            client
                .run(|requests| async move {
                    for _ in 0..REQUESTS {
                        let answer = send(&requests, get("/"), None).await;
                        answer.expect("answered within the flood");
                    }
                })
                .await;
        });
        silent
            .read_to_end(&mut Vec::new())
            .expect("closed: time limits hold within the flood");
        assert!(!flood.is_finished(), "the flood lasted as long");
        enough.store(true, Ordering::Relaxed);
        server.stop(Duration::ZERO);
        flood.join().expect("the flood");
    }
}

/// A handler that yields repeatedly, until an event on another connection and until a timer fires.
fn yielding_handler_does_not_block_others(backend: Backend) {
    for &driver in Drivers::all() {
        let asked = Arc::new(AtomicBool::new(false));
        let handler = move |request: Request<Body>| {
            let asked = Arc::clone(&asked);
            async move {
                match request.uri().path() {
                    "/yields" => {
                        let mut slept = pin!(monoio::time::sleep(Duration::from_millis(20)));
                        let mut sleeps = true;
                        poll_fn(|cx| {
                            sleeps = sleeps && slept.as_mut().poll(cx).is_pending();
                            if asked.load(Ordering::Relaxed) && !sleeps {
                                return Poll::Ready(());
                            }
                            cx.waker().wake_by_ref();
                            Poll::Pending
                        })
                        .await;
                    }
                    _ => asked.store(true, Ordering::Relaxed),
                }
                Ok::<_, Infallible>(Response::new(Pattern::of(0)))
            }
        };
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            service_fn(handler.clone())
        });
        deadline(async {
            let yields = H2Client::connect(backend, server.addr).await;
            let asks = H2Client::connect(backend, server.addr).await;
            yields
                .run(|requests| async move {
                    let yielding = send(&requests, get("/yields"), None);
                    let asking = asks.run(|requests| async move {
                        let answer = send(&requests, get("/"), None).await;
                        answer.expect("answered beside it");
                    });
                    join(yielding, asking).await.0.expect("answered in the end");
                })
                .await;
        });
    }
}

async fn endless(_: Request<Body>) -> Result<Response<Pattern>, Infallible> {
    Ok(Response::new(Pattern::of(u64::MAX)))
}

/// Two endless downloads with the largest windows.
fn downloads_share_a_connection_fairly(backend: Backend) {
    const TOTAL: usize = 32 * 1024 * 1024;
    for &driver in Drivers::all() {
        let http2 = Http2Config::default().max_send_buffer_size(128 * 1024);
        let options = |builder: corelane::Builder| builder.http2(http2);
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(endless));
        let sums = deadline(async {
            const ALL: u32 = (1 << 31) - 1;
            let mut builder = h2::client::Builder::new();
            builder
                .initial_window_size(ALL)
                .initial_connection_window_size(ALL);
            let client = H2Client::with(backend, server.addr, &mut builder).await;
            client
                .run(|requests| async move {
                    let received = [Cell::new(0), Cell::new(0)];
                    let download = async |of: &Cell<usize>| {
                        let mut requests = requests.clone().ready().await.expect("ready");
                        let request = Request::get("https://localhost/").body(()).expect("valid");
                        let (response, _) = requests.send_request(request, true).expect("sent");
                        let mut body = response.await.expect("a response").into_body();
                        while received[0].get() + received[1].get() < TOTAL {
                            let data = body.data().await.expect("no end").expect("no reset");
                            of.set(of.get() + data.len());
                        }
                    };
                    join(download(&received[0]), download(&received[1])).await;
                    received.map(Cell::into_inner)
                })
                .await
        });
        assert!(sums.iter().all(|&sum| sum > TOTAL / 4), "{sums:?}");
    }
}
