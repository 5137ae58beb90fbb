//! Tests clients that end their own side behind their requests: every request that was complete is
//! answered in full (RFC 9293 section 3.6). What needs more from the client ends at once.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Builder, Error, Limits, service_fn};
use corelane_test_support::{
    Backend, Drivers, Pattern, TestServer,
    client::Tls,
    deadline, for_each_backend,
    frames::{setting::INITIAL_WINDOW_SIZE, *},
    hpack,
    peer::{Frame, Peer},
    running::{Run, Running},
};
use futures_util::{Stream, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};

for_each_backend!(
    requests_before_fin_are_answered,
    responses_after_fin_are_sent,
    upload_cut_off_by_fin_fails_at_once,
    echo_cut_off_by_fin_is_not_a_handler_error,
    response_without_window_ends_after_fin,
    handler_is_dropped_when_its_client_closes,
    waiting_handlers_are_not_polled_for_another_response,
);

/// How a client ends its side.
#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    CloseNotify,
}

const ENDS: [End; 2] = [End::Fin, End::CloseNotify];

/// Of a handler, long enough for the server to read what follows the request.
const PAUSE: Duration = Duration::from_millis(50);

const WIDE: u32 = 1 << 24;

/// Longer than any test, so that no time limit helps.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

type Data = Result<http_body::Frame<Bytes>, Error>;

type AnyBody = StreamBody<Pin<Box<dyn Stream<Item = Data>>>>;

fn body(frames: impl Stream<Item = Data> + 'static) -> AnyBody {
    StreamBody::new(Box::pin(frames))
}

fn pattern(length: u64) -> AnyBody {
    let blocks = Pattern::of(length).map(|block| Ok(http_body::Frame::data(block)));
    body(futures_util::stream::iter(blocks))
}

fn patient(builder: Builder) -> Builder {
    builder.limits(Limits::default().body(NEVER).write(NEVER).idle(NEVER))
}

/// The preface with windows that hold any response here.
fn hello() -> Vec<u8> {
    [
        PREFACE,
        &settings(&[(INITIAL_WINDOW_SIZE, WIDE)]),
        &settings_ack(),
        &window_update(0, WIDE),
    ]
    .concat()
}

async fn end(peer: &mut Peer, end: End) {
    let ended = match end {
        End::Fin => peer.end_socket(),
        End::CloseNotify => peer.end().await,
    };
    ended.expect("ended");
}

/// Bytes of DATA on a stream, and whether it has ended.
fn received(frames: &[Frame], stream: u32) -> (usize, bool) {
    let data = frames.iter().filter(|frame| frame.is(kind::DATA, stream));
    let length = data.map(|frame| frame.payload.len()).sum();
    (length, frames.iter().any(|frame| frame.ends(stream)))
}

/// `/N` answers N bytes. `/later/N` answers them after some time, in two steps.
async fn answer(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    let path = request.uri().path();
    let (later, length) = match path.strip_prefix("/later/") {
        Some(length) => (true, length),
        None => (false, &path[1..]),
    };
    let length = length.parse().expect("a number");
    if later {
        monoio::time::sleep(PAUSE).await;
    }
    let blocks = pattern(length).then(move |block| async move {
        if later {
            monoio::time::sleep(PAUSE).await;
        }
        block
    });
    Ok(Response::new(body(blocks)))
}

/// Sends requests with these paths and ends the client's side in every way.
fn all_is_answered(backend: Backend, rounds: usize, paths: &[(&str, usize)]) {
    for &driver in Drivers::all() {
        let server = TestServer::with(backend.acceptor(), driver, patient, |_| service_fn(answer));
        let mut clients = 0;
        for &tls in Tls::of(backend) {
            for how in ENDS {
                for with_goaway in [false, true] {
                    for _ in 0..rounds {
                        deadline(ask_and_end(backend, &server, tls, how, with_goaway, paths));
                        clients += 1;
                    }
                }
            }
        }
        server.wait_for("closed", |c| c.connections_closed == clients);
        let counters = server.counters()[0];
        let requests = clients * paths.len() as u64;
        assert_eq!(counters.requests_answered, requests, "{counters:?}");
        assert_eq!(counters.connections_failed, 0, "{counters:?}");
    }
}

async fn ask_and_end(
    backend: Backend,
    server: &TestServer,
    tls: Tls,
    how: End,
    with_goaway: bool,
    paths: &[(&str, usize)],
) {
    let mut peer = Peer::with(backend, server, tls, &[b"h2"]).await;
    let mut bytes = hello();
    let streams = (1..).step_by(2).zip(paths);
    for (stream, (path, _)) in streams.clone() {
        bytes.extend(headers(stream, WHOLE, &hpack::get(path)));
    }
    if with_goaway {
        bytes.extend(goaway(0, 0, b""));
    }
    peer.send(&bytes).await.expect("sent");
    end(&mut peer, how).await;
    let frames = peer.until_closed().await;
    for (stream, &(path, length)) in streams {
        let complete = received(&frames, stream);
        assert_eq!(complete, (length, true), "{path}, {tls:?}, {how:?}");
    }
    assert_eq!(peer.end, Some(Ok(())), "{tls:?}, {how:?}");
}

fn requests_before_fin_are_answered(backend: Backend) {
    for size in [10, 200_000, 3_000_000] {
        all_is_answered(backend, 3, &[(&format!("/{size}"), size)]);
    }
    let many: Vec<_> = (0..20)
        .map(|i| (format!("/{}", i * 7_000), i * 7_000))
        .collect();
    let many: Vec<_> = many.iter().map(|(path, size)| (&path[..], *size)).collect();
    all_is_answered(backend, 2, &many);
}

/// The server reads the end long before the response is there.
fn responses_after_fin_are_sent(backend: Backend) {
    all_is_answered(backend, 1, &[("/later/200000", 200_000), ("/10", 10)]);
}

/// Where the body of an upload is read.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Handler,
    OtherTask,
    /// The handler drops the body and answers.
    None,
}

async fn read(body: Body) -> Result<(), Error> {
    body.collect().await.map(drop)
}

fn upload_cut_off_by_fin_fails_at_once(backend: Backend) {
    for &driver in Drivers::all() {
        for reader in [Reader::Handler, Reader::OtherTask, Reader::None] {
            let errors = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&errors);
            let server = TestServer::with(backend.acceptor(), driver, patient, move |_| {
                let seen = Arc::clone(&seen);
                service_fn(move |request: Request<Body>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        if request.uri().path() != "/upload" {
                            return answer(request).await;
                        }
                        let body = request.into_body();
                        let error = match reader {
                            Reader::Handler => read(body).await.err(),
                            Reader::OtherTask => monoio::spawn(read(body)).await.err(),
                            Reader::None => None,
                        };
                        let status = match &error {
                            Some(_) => StatusCode::BAD_REQUEST,
                            None => StatusCode::OK,
                        };
                        seen.lock().expect("no panic").extend(error);
                        let mut response = Response::new(pattern(10));
                        *response.status_mut() = status;
                        Ok(response)
                    }
                })
            });
            for (clients, how) in (1..).zip(ENDS) {
                deadline(async {
                    let mut peer = Peer::with(backend, &server, Tls::Any, &[b"h2"]).await;
                    let bytes = [
                        &hello()[..],
                        &headers(1, END_HEADERS, &hpack::post("/upload")),
                        &data(1, 0, b"the beginning"),
                        &headers(3, WHOLE, &hpack::get("/200000")),
                    ];
                    peer.send(&bytes.concat()).await.expect("sent");
                    end(&mut peer, how).await;
                    let frames = peer.until_closed().await;
                    assert_eq!(received(&frames, 3), (200_000, true));
                    assert_eq!(received(&frames, 1), (10, true), "{reader:?}, {how:?}");
                    assert_eq!(peer.end, Some(Ok(())), "{reader:?}, {how:?}");
                });
                server.wait_for("closed", |c| c.connections_closed == clients);
            }
            let errors = errors.lock().expect("no panic");
            let expected = match reader {
                Reader::None => 0,
                _ => ENDS.len(),
            };
            assert_eq!(errors.len(), expected, "{errors:?}");
            for error in &*errors {
                assert!(error.is_io(), "{error}");
                assert!(error.to_string().contains("request body"), "{error}");
            }
            assert_eq!(server.counters()[0].handler_errors, 0);
        }
    }
}

fn echo_cut_off_by_fin_is_not_a_handler_error(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::with(backend.acceptor(), driver, patient, |_| {
            service_fn(async |request: Request<Body>| {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            })
        });
        deadline(async {
            let mut peer = Peer::connect(backend, &server).await;
            let bytes = [
                &hello()[..],
                &headers(1, END_HEADERS, &hpack::post("/")),
                &data(1, 0, b"the beginning"),
            ];
            peer.send(&bytes.concat()).await.expect("sent");
            end(&mut peer, End::Fin).await;
            let frames = peer.until_closed().await;
            assert!(!frames.iter().any(|frame| frame.ends(1)), "{frames:?}");
            assert!(frames.iter().any(|frame| frame.is(kind::RST_STREAM, 1)));
        });
        server.wait_for("closed", |c| c.connections_closed == 1);
        let counters = server.counters()[0];
        assert_eq!(counters.handler_errors, 0);
        assert_eq!(counters.requests_abandoned, 1);
    }
}

/// The client can grant no more window.
fn response_without_window_ends_after_fin(backend: Backend) {
    const WINDOW: usize = 65_535;
    for &driver in Drivers::all() {
        let server = TestServer::with(backend.acceptor(), driver, patient, |_| service_fn(answer));
        deadline(async {
            let mut peer = Peer::connect(backend, &server).await;
            let bytes = [
                PREFACE,
                &settings(&[]),
                &headers(1, WHOLE, &hpack::get("/200000")),
            ];
            peer.send(&bytes.concat()).await.expect("sent");
            end(&mut peer, End::Fin).await;
            let frames = peer.until_closed().await;
            assert_eq!(received(&frames, 1), (WINDOW, false));
            assert!(frames.iter().any(|frame| frame.is(kind::RST_STREAM, 1)));
        });
        server.wait_for("closed", |c| c.connections_closed == 1);
        assert_eq!(server.counters()[0].streams_stalled, 1);
    }
}

/// Until something is sent, a closed socket looks like one that is half closed. `/body` waits in
/// the response's body, `/handler` before its head.
fn handler_is_dropped_when_its_client_closes(backend: Backend) {
    for &driver in Drivers::all() {
        let running = Arc::new(Running::default());
        let begun = Arc::new(AtomicUsize::new(0));
        let (runs, begins) = (Arc::clone(&running), Arc::clone(&begun));
        let server = TestServer::with(backend.acceptor(), driver, patient, move |_| {
            let (runs, begins) = (Arc::clone(&runs), Arc::clone(&begins));
            service_fn(move |request: Request<Body>| {
                let run = Run::begin(&runs);
                begins.fetch_add(1, SeqCst);
                async move {
                    if request.uri().path() == "/handler" {
                        std::future::pending::<()>().await;
                    }
                    let waits = futures_util::stream::once(async move {
                        let _run = run;
                        std::future::pending().await
                    });
                    Ok::<_, Infallible>(Response::new(body(waits)))
                }
            })
        });
        deadline(async {
            let mut peer = Peer::open(backend, &server, &[]).await;
            let asks = [
                headers(1, WHOLE, &hpack::get("/handler")),
                headers(3, WHOLE, &hpack::get("/body")),
            ];
            peer.send(&asks.concat()).await.expect("sent");
            peer.until(|frame| frame.is(kind::HEADERS, 3)).await;
            // Nothing is unread, so that the socket ends by FIN and not by a reset.
            drop(peer);
        });
        assert_eq!(begun.load(SeqCst), 2);
        server.wait_for("closed", |c| c.connections_closed == 1);
        assert_eq!(running.now(), 0);
    }
}

/// A client cannot cause work in every handler by one response that is sent in many pieces.
fn waiting_handlers_are_not_polled_for_another_response(backend: Backend) {
    const WAITING: usize = 20;
    for &driver in Drivers::all() {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let server = TestServer::with(backend.acceptor(), driver, patient, move |_| {
            let counted = Arc::clone(&counted);
            service_fn(move |request: Request<Body>| {
                let counted = Arc::clone(&counted);
                async move {
                    if request.uri().path() == "/wait" {
                        std::future::poll_fn(|_| {
                            counted.fetch_add(1, SeqCst);
                            Poll::<()>::Pending
                        })
                        .await;
                    }
                    answer(request).await
                }
            })
        });
        deadline(async {
            let mut peer = Peer::with(backend, &server, Tls::Any, &[b"h2"]).await;
            let mut bytes = hello();
            bytes.extend(headers(1, WHOLE, &hpack::get("/later/600000")));
            for i in 1..=WAITING {
                let stream = 2 * u32::try_from(i).expect("few") + 1;
                bytes.extend(headers(stream, WHOLE, &hpack::get("/wait")));
            }
            peer.send(&bytes).await.expect("sent");
            end(&mut peer, End::Fin).await;
            let frames = peer.until(|frame| frame.ends(1)).await;
            assert_eq!(received(&frames, 1), (600_000, true));
        });
        let polls = polls.load(SeqCst);
        // At first, and when the client has ended its side.
        assert!((WAITING..=2 * WAITING).contains(&polls), "{polls} polls");
        server.wait_for("closed", |c| c.connections_closed == 1);
    }
}
