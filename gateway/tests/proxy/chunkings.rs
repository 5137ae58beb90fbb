//! Bodies in pieces of any size, through a server of hyper and one of corelane that send them back.

use std::{convert::Infallible, net::SocketAddr, thread};

use bytes::Bytes;
use corelane_gateway::{ProxyOptions, Upstream};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    backends::{FIRST, NONE},
    client::receive,
    deadline,
};
use http::{Request, Response, header::CONTENT_LENGTH};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::{
    collection::vec,
    test_runner::{Config, TestRunner},
};

use crate::{
    streams::{echo, http2},
    upstream::proxy,
};

/// A server of hyper that sends each request's body back as it comes.
fn hyper_echo() -> SocketAddr {
    let (tell, addr) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("loopback");
            tell.send(listener.local_addr().expect("an address"))
                .expect("the test waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let echo = service_fn(async |request: Request<Incoming>| {
                    Ok::<_, Infallible>(Response::new(request.into_body()))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), echo));
            }
        });
    });
    addr.recv().expect("an address")
}

/// Sends the pieces as DATA frames of these sizes, and returns the body of the response.
async fn exchange(
    backend: Backend,
    server: &TestServer,
    pieces: &[usize],
    declared: bool,
) -> Vec<u8> {
    let client = H2Client::connect(backend, server.addr).await;
    let answer = client.run(|requests| async move {
        let mut requests = requests.ready().await.expect("ready");
        let mut request = Request::post("http://localhost/").body(()).expect("valid");
        if declared {
            let length = pieces.iter().sum::<usize>().into();
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let (response, mut stream) = requests.send_request(request, false).expect("sent");
        let upload = async {
            for (i, piece) in pieces.iter().enumerate() {
                // h2 keeps what the peer's window does not take yet.
                let piece = Bytes::from(vec![i as u8; *piece]);
                stream.send_data(piece, false).expect("sent");
                tokio::task::yield_now().await;
            }
            stream.send_data(Bytes::new(), true).expect("sent");
        };
        tokio::join!(receive(response), upload).0
    });
    answer.await.expect("an answer").body
}

#[test]
fn bodies_pass_unchanged_in_pieces_of_any_size() {
    let http1: Upstream = format!("http://{}", hyper_echo()).parse().expect("valid");
    for &driver in Drivers::all() {
        let echo = echo(driver);
        let servers = [
            (NONE, http1.clone()),
            (FIRST, http1.clone()),
            (NONE, http2(&echo)),
        ];
        let servers = servers.map(|(backend, upstream)| {
            let server = proxy(backend, driver, vec![upstream], ProxyOptions::default());
            (backend, server)
        });
        let pieces = vec(
            proptest::prop_oneof![0..10_usize, 1..2_000_usize, 1..200_000_usize],
            0..8,
        );
        let mut runner = TestRunner::new(Config::with_cases(16));
        let ran = runner.run(&(pieces, proptest::bool::ANY), |(pieces, declared)| {
            let whole = pieces.iter().enumerate();
            let whole: Vec<u8> = whole.flat_map(|(i, piece)| vec![i as u8; *piece]).collect();
            for (backend, server) in &servers {
                let got = deadline(exchange(*backend, server, &pieces, declared));
                assert!(got == whole, "{} bytes of {}", got.len(), whole.len());
            }
            Ok(())
        });
        ran.expect("all pass");
    }
}
