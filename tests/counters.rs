//! Tests the counters of handshakes and bytes on every backend.

use corelane::{WorkerCounters, service_fn};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    client::{H2Client, Stream, Tls, get, never, rustls_config, send, server_name},
    deadline, for_each_tls_backend,
};
use tokio::net::TcpStream;

for_each_tls_backend!(handshakes_are_counted_by_version_and_outcome);

fn handshakes_are_counted_by_version_and_outcome(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let versions = match backend.tls_1_3 {
            true => &[Tls::V1_2, Tls::V1_3, Tls::V1_3][..],
            false => &[Tls::V1_2][..],
        };
        deadline(async {
            for version in versions {
                // Resumes its session on the second connection.
                let connector = tokio_rustls::TlsConnector::from(rustls_config(*version, &[b"h2"]));
                for _ in 0..2 {
                    let tcp = TcpStream::connect(server.addr).await.expect("connects");
                    let tls = connector.connect(server_name(), tcp).await;
                    let tls: Box<dyn Stream> = Box::new(tls.expect("TLS"));
                    let (requests, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
                    H2Client::new(requests, connection)
                        .run(|requests| async move {
                            send(&requests, get("/"), None).await.expect("answered");
                        })
                        .await;
                }
            }
            let connector = tokio_rustls::TlsConnector::from(rustls_config(Tls::Any, &[b"spdy"]));
            let tcp = TcpStream::connect(server.addr).await.expect("connects");
            assert!(connector.connect(server_name(), tcp).await.is_err());
        });
        let all = 2 * versions.len() as u64;
        server.wait_for("all are over", |counters| {
            counters.connections_closed == all + 1 && counters.requests_answered == all
        });
        let counters = server.counters()[0];
        let WorkerCounters {
            handshakes_completed,
            handshakes_tls_1_2,
            handshakes_tls_1_3,
            sessions_resumed,
            handshakes_failed,
            alpn_refused,
            bytes_received,
            bytes_sent,
            ..
        } = counters;
        assert_eq!(
            (handshakes_completed, handshakes_tls_1_2, handshakes_tls_1_3),
            (all, 2, all - 2)
        );
        assert_eq!(sessions_resumed, all / 2);
        assert_eq!((handshakes_failed, alpn_refused), (1, 1));
        assert_eq!(counters.connections_open(), 0);
        assert_eq!(counters.requests_in_flight(), 0);
        // At least a ClientHello, a preface and a request, and the answers to them.
        assert!(
            (200 * all..4000 * all).contains(&bytes_received),
            "{counters:?}"
        );
        assert!(
            (200 * all..4000 * all).contains(&bytes_sent),
            "{counters:?}"
        );
    }
}
