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
use http::{HeaderMap, Request, StatusCode};

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

/// A response, and its body up to where it ends or is reset.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) reset: Option<Reason>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.reset, None);
        str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }
}

/// Sends a request without a body.
pub(crate) async fn ask(
    requests: &SendRequest<Bytes>,
    method: &str,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Answer {
    let mut requests = requests.clone().ready().await.expect("lost");
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let (response, _) = requests.send_request(request, true).expect("lost");
    let (head, mut body) = response.await.expect("lost").into_parts();
    let (mut received, mut reset) = (Vec::new(), None);
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                let _ = body.flow_control().release_capacity(data.len());
                received.extend_from_slice(&data);
            }
            Err(error) => {
                reset = Some(error.reason().expect("a reset"));
                break;
            }
        }
    }
    Answer {
        status: head.status,
        headers: head.headers,
        body: received,
        reset,
    }
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
