//! Transfers 100 MiB in each direction: every byte arrives, and memory stays bounded.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use corelane::{Body, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer, client, deadline, for_each_backend,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full};
use sha2::{Digest, Sha256};

for_each_backend!(
    download_of_100_mib_uses_bounded_memory,
    upload_of_100_mib_uses_bounded_memory
);

const BIG: u64 = 100 * 1024 * 1024;

async fn answer(
    request: Request<Body>,
) -> Result<Response<Either<Pattern, Full<Bytes>>>, Infallible> {
    if request.uri().path() == "/big" {
        return Ok(Response::new(Either::Left(Pattern::of(BIG))));
    }
    let mut sha256 = Sha256::new();
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            sha256.update(&data);
        }
    }
    let digest = Bytes::from(sha256.finalize().to_vec());
    Ok(Response::new(Either::Right(Full::new(digest))))
}

fn with_client<F: Future<Output = ()>>(backend: Backend, work: impl Fn(H2Client) -> F) {
    // One transfer at a time, because the test measures the memory of the whole process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(answer));
        deadline(async {
            work(H2Client::connect(backend, server.addr).await).await;
        });
    }
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages: u64 = status
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    pages * 4096
}

/// How much server and client together may grow while they transfer 100 MiB: windows and buffers.
const GROWTH: u64 = 16 * 1024 * 1024;

fn download_of_100_mib_uses_bounded_memory(backend: Backend) {
    with_client(backend, |client| {
        client.run(|requests| async move {
            let before = resident();
            let mut requests = requests.ready().await.expect("ready");
            let request = Request::get("https://localhost/big")
                .body(())
                .expect("a request");
            let (response, _) = requests.send_request(request, true).expect("sent");
            let mut body = response.await.expect("a response").into_body();
            let (mut length, mut sha256) = (0, Sha256::new());
            while let Some(data) = body.data().await {
                let data = data.expect("data");
                length += data.len() as u64;
                sha256.update(&data);
                body.flow_control()
                    .release_capacity(data.len())
                    .expect("released");
            }
            assert_eq!(length, BIG);
            assert_eq!(sha256.finalize().to_vec(), Pattern::of(BIG).sha256());
            let growth = resident().saturating_sub(before);
            assert!(growth < GROWTH, "grew by {growth} bytes");
        })
    });
}

fn upload_of_100_mib_uses_bounded_memory(backend: Backend) {
    with_client(backend, |client| {
        client.run(|requests| async move {
            let before = resident();
            let mut requests = requests.ready().await.expect("ready");
            let request = Request::post("https://localhost/sha256")
                .body(())
                .expect("a request");
            let (response, mut stream) = requests.send_request(request, false).expect("sent");
            for mut block in Pattern::of(BIG) {
                while !block.is_empty() {
                    stream.reserve_capacity(block.len());
                    while stream.capacity() == 0 {
                        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                        capacity.expect("open").expect("capacity");
                    }
                    let piece = block.split_to(stream.capacity().min(block.len()));
                    stream.send_data(piece, false).expect("sent");
                }
            }
            stream.send_data(Bytes::new(), true).expect("sent");
            let answer = client::receive(response).await.expect("answered");
            assert_eq!(answer.body, Pattern::of(BIG).sha256());
            let growth = resident().saturating_sub(before);
            assert!(growth < GROWTH, "grew by {growth} bytes");
        })
    });
}
