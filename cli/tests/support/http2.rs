//! A client of HTTP/2 without TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};

use super::DEADLINE;

/// Runs a client on an HTTP/2 connection with prior knowledge.
pub(crate) fn with_client<T, F: Future<Output = T>>(
    addr: SocketAddr,
    work: impl FnOnce(SendRequest<Bytes>) -> F,
) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let tcp = tokio::net::TcpStream::connect(addr).await;
            let (requests, connection) = h2::client::handshake(tcp.expect("connects"))
                .await
                .expect("HTTP/2");
            let connection = tokio::spawn(connection);
            let result = tokio::time::timeout(DEADLINE, work(requests)).await;
            connection.abort();
            result.expect("the test hangs")
        })
}

/// Sends a POST request. Returns status, body and trailers.
pub(crate) async fn ask(
    requests: &SendRequest<Bytes>,
    path: &str,
    body: Bytes,
    trailers: Option<HeaderMap>,
) -> (StatusCode, Vec<u8>, Option<HeaderMap>) {
    let mut requests = requests.clone().ready().await.expect("ready");
    let request = Request::post(format!("http://localhost{path}"));
    let request = request.body(()).expect("a request");
    let (response, mut stream) = requests.send_request(request, false).expect("sent");
    stream.send_data(body, trailers.is_none()).expect("sent");
    if let Some(trailers) = trailers {
        stream.send_trailers(trailers).expect("sent");
    }
    let (head, mut body) = response.await.expect("a response").into_parts();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        body.flow_control()
            .release_capacity(data.len())
            .expect("released");
        received.extend_from_slice(&data);
    }
    (
        head.status,
        received,
        body.trailers().await.expect("trailers"),
    )
}
