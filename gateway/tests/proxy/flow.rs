//! Back-pressure in both directions, and requests that end before their time.

use std::{future::poll_fn, io::Read, time::Duration};

use bytes::Bytes;
use corelane_gateway::ProxyOptions;
use corelane_test_support::{H2Client, backends::NONE, deadline};
use http::Request;

use crate::upstream::{Raw, on_both_drivers, proxy};

/// What the upstream tells next, while the client's connection goes on.
async fn told(upstream: &Raw) -> String {
    loop {
        match upstream.seen.try_recv() {
            Ok(seen) => return seen,
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Sends data until the stream has no window for 300 ms, and returns how much it sent.
async fn flood(stream: &mut h2::SendStream<Bytes>) -> usize {
    const MOST: usize = 64 << 20;
    let mut sent = 0;
    while sent < MOST {
        stream.reserve_capacity(16 * 1024);
        let capacity = poll_fn(|cx| stream.poll_capacity(cx));
        let Ok(capacity) = tokio::time::timeout(Duration::from_millis(300), capacity).await else {
            break;
        };
        let capacity = capacity.expect("a stream").expect("capacity");
        let piece = Bytes::from(vec![0; capacity]);
        stream.send_data(piece, false).expect("sent");
        sent += capacity;
    }
    assert!(sent < MOST, "the upload is not held back");
    sent
}

/// An upstream that does not read holds the client back, and it holds nothing for long: the kernel's
/// buffers and a few hundred KiB.
#[test]
fn upload_is_held_back_by_the_upstream() {
    on_both_drivers(|driver| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
        let upstream = Raw::start(move |connection| {
            connection.head()?;
            let _ = wait.lock().expect("once").recv();
            let mut all = Vec::new();
            let begun = connection.stream.read_to_end(&mut all);
            (connection.tell)(format!("{:?}", begun.is_ok()));
            Ok(())
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        deadline(async {
            let client = H2Client::connect(NONE, server.addr).await;
            client
                .run(|requests| async move {
                    let mut requests = requests.ready().await.expect("ready");
                    let request = Request::post("http://localhost/").body(());
                    let (response, mut stream) = requests
                        .send_request(request.expect("a request"), false)
                        .expect("sent");
                    let sent = flood(&mut stream).await;
                    assert!(sent > 0);
                    stream.send_reset(h2::Reason::CANCEL);
                    drop(response);
                    go.send(()).expect("the upstream waits");
                    // Lets the connection send the reset.
                    tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>())
                        .await
                        .ok();
                })
                .await;
        });
        // The proxy closes the connection of a request that was cancelled.
        assert!(["true", "false"].contains(&upstream.next().as_str()));
    });
}

/// A client that does not read holds the upstream back.
#[test]
fn download_is_held_back_by_the_client() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let stream = connection.stream.get_mut();
            stream.set_write_timeout(Some(Duration::from_millis(500)))?;
            let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
            let mut sent = 0;
            while sent < 256 << 20 {
                use std::io::Write;
                if stream.write_all(&chunk).is_err() {
                    break;
                }
                sent += chunk.len();
            }
            (connection.tell)(sent.to_string());
            let _ = connection.closed();
            (connection.tell)("closed".into());
            Ok(())
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        let sent: usize = deadline(async {
            let client = H2Client::connect(NONE, server.addr).await;
            client
                .run(|requests| async {
                    let mut requests = requests.ready().await.expect("ready");
                    let request = Request::get("http://localhost/").body(());
                    let (response, _) = requests
                        .send_request(request.expect("a request"), true)
                        .expect("sent");
                    let response = response.await.expect("a response");
                    let sent = told(&upstream).await;
                    drop(response);
                    assert_eq!(told(&upstream).await, "closed");
                    sent
                })
                .await
        })
        .parse()
        .expect("a number");
        assert!(sent < 64 << 20, "the upstream sent {sent} bytes");
    });
}

/// A request that the client cancels ends on the upstream too, before and after the response's head.
#[test]
fn cancelled_request_closes_the_upstreams_connection() {
    on_both_drivers(|driver| {
        for answers in [false, true] {
            let upstream = Raw::start(move |connection| {
                connection.head()?;
                if answers {
                    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")?;
                }
                (connection.tell)("asked".into());
                let _ = connection.closed();
                (connection.tell)("closed".into());
                Ok(())
            });
            let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
            deadline(async {
                let client = H2Client::connect(NONE, server.addr).await;
                client
                    .run(|requests| async {
                        let mut requests = requests.ready().await.expect("ready");
                        let request = Request::get("http://localhost/").body(());
                        let (response, _) = requests
                            .send_request(request.expect("a request"), true)
                            .expect("sent");
                        if answers {
                            let body = response.await.expect("a response").into_body();
                            assert_eq!(told(&upstream).await, "asked");
                            drop(body);
                        } else {
                            assert_eq!(told(&upstream).await, "asked");
                            drop(response);
                        }
                        assert_eq!(told(&upstream).await, "closed");
                    })
                    .await;
            });
        }
    });
}

/// RFC 9112 section 9.3: a response before the end of the request. The client has its answer, and the
/// connection is not used again.
#[test]
fn early_response_ends_the_upload() {
    on_both_drivers(|driver| {
        let upstream = Raw::start(|connection| {
            connection.head()?;
            connection.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")?;
            let mut rest = Vec::new();
            let _ = connection.stream.read_to_end(&mut rest);
            (connection.tell)(connection.number.to_string());
            Ok(())
        });
        let server = proxy(NONE, driver, vec![upstream.http()], ProxyOptions::default());
        deadline(async {
            let client = H2Client::connect(NONE, server.addr).await;
            client
                .run(|requests| async move {
                    for _ in 0..2 {
                        let mut requests = requests.clone().ready().await.expect("ready");
                        let request = Request::post("http://localhost/").body(());
                        let (response, mut stream) = requests
                            .send_request(request.expect("a request"), false)
                            .expect("sent");
                        stream.send_data("some".into(), false).expect("sent");
                        let (head, mut body) = response.await.expect("a response").into_parts();
                        assert_eq!(head.status, 413);
                        let data = body.data().await.expect("data").expect("a body");
                        assert!(b"big".starts_with(&data), "{data:?}");
                        stream.send_data("more".into(), true).expect("sent");
                    }
                })
                .await;
        });
        let mut numbers = [upstream.next(), upstream.next()];
        numbers.sort();
        assert_eq!(numbers, ["0", "1"]);
    });
}
