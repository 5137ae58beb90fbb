//! Tests responses to uploads that the handler does not read: the response ends behind an upload that
//! goes on, within bounds, and at once otherwise.
//!
//! curl 7.88 waits for window that it no longer notices once its response is complete. A client that
//! watches for the end of its response must not wait for it.

use std::{
    convert::Infallible,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use corelane::{Body, Builder, Error, Http2Config, service_fn};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    client::Tls,
    deadline, for_each_backend,
    frames::*,
    hpack,
    peer::{Frame, Peer},
};
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

for_each_backend!(
    response_ends_behind_upload,
    response_to_silent_upload_ends,
    response_that_does_not_end_behind_its_length_is_complete,
    response_ends_at_once_if_client_may_wait_for_it,
    rejection_reaches_client_that_sends,
    curl_uploads_to_handler_that_does_not_read,
);

/// Names and values of header fields.
type Fields<'a> = &'a [(&'a str, &'a [u8])];

type AnyBody = UnsyncBoxBody<Bytes, Error>;

/// More than the windows of the server.
const UPLOAD: usize = 3_000_000;

const BLOCK: usize = 16 * 1024;

/// A body whose length the server does not know.
fn stream(frames: Vec<http_body::Frame<Bytes>>) -> AnyBody {
    let frames = frames.into_iter().map(Ok);
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

fn full(text: &'static str) -> AnyBody {
    Full::new(Bytes::from_static(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Reads nothing.
async fn answer(request: Request<Body>) -> Result<Response<AnyBody>, Infallible> {
    let text = || http_body::Frame::data(Bytes::from_static(b"text"));
    let mut response = Response::new(match request.uri().path() {
        "/bodiless" => full(""),
        "/stream" => stream(vec![text(), text()]),
        "/declared-stream" => stream(vec![text(), text()]),
        "/endless" => {
            let text = futures_util::stream::iter([Ok(text()), Ok(text())]);
            StreamBody::new(text.chain(futures_util::stream::pending())).boxed_unsync()
        }
        "/trailers" => stream(vec![
            text(),
            http_body::Frame::trailers(HeaderMap::from_iter([(
                http::HeaderName::from_static("x-last"),
                http::HeaderValue::from_static("one"),
            )])),
        ]),
        _ => full("texttext"),
    });
    match request.uri().path() {
        "/declared-stream" | "/endless" => {
            response.headers_mut().insert("content-length", 8.into());
        }
        "/error" => *response.status_mut() = http::StatusCode::NOT_FOUND,
        _ => {}
    }
    Ok(response)
}

fn post(path: &str, more: Fields<'_>) -> Vec<u8> {
    headers(1, END_HEADERS, &hpack::request("POST", path, more))
}

/// Uploads within the server's windows, whatever the server answers. Returns what arrived before the
/// last byte was sent, and the rest up to the response's end.
async fn upload(peer: &mut Peer, head: Vec<u8>) -> (Vec<Frame>, Vec<Frame>) {
    // With data: without any, the server waits for 50 ms only.
    let first = [head, data(1, 0, &[0; BLOCK])].concat();
    peer.send(&first).await.expect("sent");
    let (mut connection, mut stream) = (65_535 - BLOCK, (1 << 20) - BLOCK);
    let mut meanwhile = Vec::new();
    let mut left = UPLOAD - BLOCK;
    while left > 0 {
        let n = left.min(BLOCK);
        if n > connection.min(stream) {
            let frame = peer.next().await.expect("the connection goes on");
            if frame.kind == kind::WINDOW_UPDATE {
                let window = match frame.stream {
                    0 => &mut connection,
                    _ => &mut stream,
                };
                *window += frame.number(0).expect("an increment") as usize;
            } else {
                meanwhile.push(frame);
            }
            continue;
        }
        left -= n;
        connection -= n;
        stream -= n;
        let flags = if left == 0 { END_STREAM } else { 0 };
        peer.send(&data(1, flags, &[0; BLOCK][..n]))
            .await
            .expect("sent");
    }
    if meanwhile.iter().any(|frame| frame.ends(1)) {
        return (meanwhile, Vec::new());
    }
    let rest = peer.until(|frame| frame.ends(1) || frame.kind == kind::RST_STREAM);
    (meanwhile, rest.await)
}

fn length(frames: &[Frame]) -> usize {
    let data = frames.iter().filter(|frame| frame.is(kind::DATA, 1));
    data.map(|frame| frame.payload.len()).sum()
}

fn response_ends_behind_upload(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        for (path, expected) in [
            ("/", 8),
            ("/bodiless", 0),
            ("/stream", 8),
            ("/declared-stream", 8),
            ("/trailers", 4),
        ] {
            for declared in [true, false] {
                let value = UPLOAD.to_string();
                let more: Fields<'_> = match declared {
                    true => &[("content-length", value.as_bytes())],
                    false => &[],
                };
                let begun = Instant::now();
                let (meanwhile, rest) = deadline(async {
                    let mut peer = peer_of(backend, &server).await;
                    upload(&mut peer, post(path, more)).await
                });
                // The server waits for a second of silence only, which a busy machine may cause.
                let is_fast = begun.elapsed() < Duration::from_secs(1);
                let ends = meanwhile.iter().any(|frame| frame.ends(1));
                assert!(!ends || !is_fast, "{path}: {meanwhile:?}");
                let is_reset = |frame: &Frame| frame.kind == kind::RST_STREAM;
                let reset = meanwhile.iter().chain(&rest).any(is_reset);
                assert!(!reset, "{path}: {rest:?}");
                // With the declared length a client would take the response for complete.
                let early = length(&meanwhile);
                assert!(
                    early < expected || path != "/" || !is_fast,
                    "{early} of {expected} bytes"
                );
                assert_eq!(early + length(&rest), expected, "{path}");
            }
        }
        server.wait_for("drained", |c| c.connections_closed == 10);
        assert_eq!(server.counters()[0].requests_answered, 10);
    }
}

async fn peer_of(backend: Backend, server: &TestServer) -> Peer {
    let mut peer = Peer::with(backend, server, Tls::Any, &[b"h2"]).await;
    let hello = [PREFACE, &settings(&[]), &settings_ack()].concat();
    peer.send(&hello).await.expect("sent");
    peer
}

/// The server waits for a second, not for the rest.
fn response_to_silent_upload_ends(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        deadline(async {
            let mut peer = peer_of(backend, &server).await;
            let head = post("/", &[("content-length", b"100")]);
            let part = [head, data(1, 0, b"a part")].concat();
            peer.send(&part).await.expect("sent");
            let frames = peer.until(|frame| frame.ends(1)).await;
            assert_eq!(length(&frames), 8);
        });
    }
}

/// The handler keeps its body open. The server holds the last byte for a second, not for as long.
fn response_that_does_not_end_behind_its_length_is_complete(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        deadline(async {
            let mut peer = peer_of(backend, &server).await;
            let head = post("/endless", &[("content-length", b"100")]);
            let part = [head, data(1, 0, b"a part")].concat();
            peer.send(&part).await.expect("sent");
            let mut received = 0;
            while received < 8 {
                let frame = peer.next().await.expect("the connection goes on");
                assert!(
                    !frame.ends(1) && frame.kind != kind::RST_STREAM,
                    "{frame:?}"
                );
                received += length(&[frame]);
            }
            assert_eq!(received, 8);
        });
    }
}

/// The response is complete before the answer to a PING that is sent behind its head.
fn response_ends_at_once_if_client_may_wait_for_it(backend: Backend) {
    let large = (1_u64 << 40).to_string();
    let requests: [(&str, Fields<'_>); 4] = [
        // A stream of gRPC.
        ("/", &[("te", b"trailers")]),
        (
            "/",
            &[("content-length", b"100"), ("expect", b"100-continue")],
        ),
        // Too large to be drained.
        ("/", &[("content-length", large.as_bytes())]),
        ("/error", &[("content-length", b"100")]),
    ];
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        for (path, more) in requests {
            deadline(async {
                let mut peer = peer_of(backend, &server).await;
                peer.send(&post(path, more)).await.expect("sent");
                peer.until(|frame| frame.is(kind::HEADERS, 1)).await;
                peer.send(&ping(b"is there")).await.expect("sent");
                let frames = peer.until(|frame| frame.is_ack(kind::PING)).await;
                assert!(frames.iter().any(|frame| frame.ends(1)), "{more:?}");
            });
        }
    }
}

/// `Http2Config::max_request_body_size`: the status reaches a client that goes on sending.
fn rejection_reaches_client_that_sends(backend: Backend) {
    let http2 = Http2Config::default().max_request_body_size(1_000_000);
    for &driver in Drivers::all() {
        let options = |builder: Builder| builder.http2(http2.clone());
        let server = TestServer::with(backend.acceptor(), driver, options, |_| {
            service_fn(async |request: Request<Body>| {
                request
                    .into_body()
                    .collect()
                    .await
                    .map(|_| Response::new(full("read")))
            })
        });
        for declared in [true, false] {
            let value = UPLOAD.to_string();
            let more: Fields<'_> = match declared {
                true => &[("content-length", value.as_bytes())],
                false => &[],
            };
            deadline(async {
                let mut peer = peer_of(backend, &server).await;
                let head = post("/", more);
                let (mut frames, rest) = upload(&mut peer, head).await;
                frames.extend(rest);
                peer.send(&ping(b"all read")).await.expect("sent");
                frames.extend(peer.until(|frame| frame.is_ack(kind::PING)).await);
                assert!(frames.iter().any(|frame| frame.ends(1)), "{frames:?}");
                assert!(!frames.iter().any(|frame| frame.kind == kind::RST_STREAM));
            });
        }
        assert_eq!(server.counters()[0].request_bodies_too_large, 2);
    }
}

/// The version of curl that Debian 12 has hangs if the response ends first.
fn curl_uploads_to_handler_that_does_not_read(backend: Backend) {
    if let Err(error) = Command::new("curl").arg("--version").output() {
        eprintln!("NOT TESTED with curl: {error}");
        return;
    }
    let file = std::env::temp_dir().join(format!(
        "corelane-upload-{}-{}",
        backend.name,
        std::process::id()
    ));
    std::fs::write(&file, vec![b'x'; UPLOAD]).expect("a file");
    let [from, scheme] = match backend.tls {
        true => ["--http2", "https"],
        false => ["--http2-prior-knowledge", "http"],
    };
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        for path in [
            "/",
            "/bodiless",
            "/stream",
            "/declared-stream",
            "/trailers",
            "/error",
        ] {
            let output = Command::new("curl")
                .args([
                    "-sk",
                    "--max-time",
                    "30",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    from,
                ])
                .arg("--data-binary")
                .arg(format!("@{}", file.display()))
                .arg(format!("{scheme}://{}{path}", server.addr))
                .output()
                .expect("curl runs");
            assert!(output.status.success(), "{path}: {output:?}");
            let expected = if path == "/error" { "404" } else { "200" };
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{path}");
        }
    }
    let _ = std::fs::remove_file(file);
}
