//! Clients that panic when a request is lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use http::{Request, StatusCode};

use super::{DEADLINE, trusting};

/// The server sent GOAWAY and did not process the request.
#[derive(Debug)]
pub(crate) struct Unprocessed;

pub(crate) fn unless_unprocessed(error: h2::Error) -> Unprocessed {
    let so = error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
    assert!(so, "lost: {error:?}");
    Unprocessed
}

pub(crate) async fn connect(addr: SocketAddr, backend: &str) -> SendRequest<Bytes> {
    let tcp = tokio::net::TcpStream::connect(addr).await.expect("lost");
    if backend == "none" {
        let (requests, connection) = h2::client::handshake(tcp).await.expect("lost");
        tokio::spawn(connection);
        return requests;
    }
    let tls = trusting::connect(tcp, b"h2").await.expect("lost");
    let (requests, connection) = h2::client::handshake(tls).await.expect("lost");
    tokio::spawn(connection);
    requests
}

pub(crate) async fn get(
    requests: &SendRequest<Bytes>,
    path: &str,
) -> Result<(StatusCode, Vec<u8>), Unprocessed> {
    let mut requests = requests.clone().ready().await.map_err(unless_unprocessed)?;
    let request = Request::get(format!("http://localhost{path}"));
    let request = request.body(()).expect("a request");
    let sent = requests.send_request(request, true);
    let (response, _) = sent.map_err(unless_unprocessed)?;
    let (head, mut body) = response.await.map_err(unless_unprocessed)?.into_parts();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data.expect("lost"));
    }
    Ok((head.status, received))
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let result = tokio::time::timeout(DEADLINE, work).await;
            result.expect("the test hangs")
        })
}

pub(crate) fn asked(addr: SocketAddr, path: &str) -> StatusCode {
    run(async {
        let requests = connect(addr, "none").await;
        get(&requests, path).await.expect("answered").0
    })
}

/// Asks on a new connection each time, until `end` is set.
pub(crate) async fn ask_on_new_connections(
    addr: SocketAddr,
    backend: &'static str,
    answers: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
) {
    while !end.load(Relaxed) {
        let requests = connect(addr, backend).await;
        if let Ok((status, body)) = get(&requests, "/bytes/1000").await {
            assert_eq!((status, body.len()), (StatusCode::OK, 1000));
            answers.fetch_add(1, Relaxed);
        }
    }
}
