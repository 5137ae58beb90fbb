//! What the two ends of an upgraded stream see of each other.

use corelane_test_support::{
    Backend, Drivers, TestServer,
    client::deadline,
    for_each_backend,
    upgrade::{Upgrading, Version, upgrade},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::service::{echo, runtime, start};

for_each_backend!(bytes_go_both_ways, large_data_goes_both_ways_at_once,);

async fn ask(version: Version, backend: Backend, server: &TestServer) -> Upgrading {
    upgrade(version, backend, server.addr, "/", "echo", &[]).await
}

fn bytes_go_both_ways(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    for &driver in Drivers::all() {
        let server = start(backend, driver, |builder| builder, echo);
        for version in Version::ALL {
            deadline(async {
                let mut stream = ask(version, backend, &server).await.accepted();
                for text in ["one", "two"] {
                    stream.write_all(text.as_bytes()).await.expect("sent");
                    stream.flush().await.expect("sent");
                    let mut answer = [0; 3];
                    stream.read_exact(&mut answer).await.expect("echoed");
                    assert_eq!(answer, text.as_bytes());
                }
                stream.write_all(b"end").await.expect("sent");
                stream.shutdown().await.expect("ended");
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("a clean end");
                assert_eq!(rest, b"end");
            });
        }
        server.wait_for("both are counted", |counters| {
            let ended = (counters.upgrades, counters.upgrades_ended) == (2, 2);
            ended && (counters.requests_answered, counters.requests_in_flight()) == (2, 0)
        });
    }
}

fn large_data_goes_both_ways_at_once(backend: Backend) {
    const LENGTH: usize = 3_000_000;
    let runtime = runtime();
    let _entered = runtime.enter();
    let driver = Drivers::all()[0];
    let server = start(backend, driver, |builder| builder, echo);
    for version in Version::ALL {
        deadline(async {
            let stream = ask(version, backend, &server).await.accepted();
            let (mut reader, mut writer) = tokio::io::split(stream);
            let sent: Vec<u8> = (0..LENGTH).map(|at| (at / 7) as u8).collect();
            let send = async {
                writer.write_all(&sent).await.expect("sent");
                writer.shutdown().await.expect("ended");
            };
            let mut received = Vec::new();
            let receive = reader.read_to_end(&mut received);
            let ((), received_all) = tokio::join!(send, receive);
            received_all.expect("a clean end");
            assert!(received == sent, "{version:?}: {} bytes", received.len());
        });
    }
}
