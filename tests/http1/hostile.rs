//! Clients that mean harm: floods, and what must not grow because of them.

use corelane_test_support::{Backend, Drivers, Http1Client, deadline, for_each_backend};

use crate::service::{get, post, start};

for_each_backend!(
    pipelined_flood_waits_for_its_responses,
    small_chunks_and_extensions_are_bounded,
);

/// Requests whose responses nobody reads are not answered without end.
fn pipelined_flood_waits_for_its_responses(backend: Backend) {
    const REQUESTS: usize = 1_000;
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            client.send(get("/large").repeat(REQUESTS)).await;
            let mut other = Http1Client::connect(backend, &server).await;
            for _ in 0..10 {
                assert_eq!(other.ask(get("/a")).await.status, 200);
            }
            let begun = server.counters()[0].requests;
            assert!(
                begun < 30,
                "{begun} requests are answered ahead of the client"
            );
        });
    }
}

fn small_chunks_and_extensions_are_bounded(backend: Backend) {
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder);
        deadline(async {
            let mut client = Http1Client::connect(backend, &server).await;
            let body = "1\r\nx\r\n".repeat(100_000) + "0\r\n\r\n";
            let answer = client
                .ask(post("/", "transfer-encoding: chunked", &body))
                .await;
            assert_eq!(answer.text(), "POST / HTTP/1.1 100000 0");
            client
                .send(post("/", "transfer-encoding: chunked", "5;"))
                .await;
            let extension = [b'a'; 4096];
            while client.try_send(&extension).await.is_ok() {
                if server.counters()[0].requests_malformed == 1 {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let mut client = Http1Client::connect(backend, &server).await;
            assert_eq!(client.ask(get("/a")).await.status, 200);
        });
    }
}
