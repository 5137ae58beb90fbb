//! Tests the counters of handshakes, bytes and responses on every backend.

use std::{
    convert::Infallible,
    io::{Read, Write},
    time::Duration,
};

use corelane::{Body, WorkerCounters, service_fn};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    client::{
        H2Client, Stream, Tls, get, never, rustls_config, rustls_config_with, send, server_name,
    },
    deadline, for_each_backend,
};
use futures_util::future::join;
use http::{Request, Response, StatusCode};
use rustls::crypto::{
    SupportedKxGroup,
    aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768},
};
use tokio::net::TcpStream;

mod with_tls {
    use super::{
        clients_that_speak_no_tls_are_counted, handshakes_are_counted_by_version_and_outcome,
        key_exchanges_are_counted_by_group,
    };

    corelane_test_support::for_each_tls_backend!(
        handshakes_are_counted_by_version_and_outcome,
        clients_that_speak_no_tls_are_counted,
        key_exchanges_are_counted_by_group,
    );
}

for_each_backend!(
    clients_that_send_nothing_are_counted,
    responses_are_counted_by_class,
    durations_of_answered_requests_are_counted,
);

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

fn clients_that_send_nothing_are_counted(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let connect = || std::net::TcpStream::connect(server.addr).expect("connects");
        // As health checks of TCP do: some close, some reset.
        drop(connect());
        let socket = socket2::Socket::from(connect());
        socket.set_linger(Some(Duration::ZERO)).expect("an option");
        drop(socket);
        server.wait_for("both are counted", |counters| {
            counters.handshakes_failed == 2 && counters.connections_closed == 2
        });
        assert_eq!(server.counters()[0].handshakes_not_begun, 2);
        // One that has sent something is another failure.
        let mut begun = connect();
        begun.write_all(&first_byte(backend)).expect("sent");
        drop(begun);
        server.wait_for("it is counted", |counters| {
            counters.handshakes_failed == 3 && counters.handshakes_not_begun == 2
        });
    }
}

/// Of a ClientHello, or of a request without TLS.
fn first_byte(backend: Backend) -> [u8; 1] {
    match backend.tls {
        true => [22],
        false => [b'P'],
    }
}

fn clients_that_speak_no_tls_are_counted(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        for garbage in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            &[22, 9, 9, 0, 1, 0],
            &[0; 100],
        ] {
            let mut client = std::net::TcpStream::connect(server.addr).expect("connects");
            client.write_all(garbage).expect("sent");
            let mut alert = Vec::new();
            client.read_to_end(&mut alert).expect("an alert");
            // A fatal unexpected_message.
            assert_eq!(alert, [21, 3, 3, 0, 2, 2, 10], "{garbage:?}");
        }
        server.wait_for("all are counted", |counters| {
            counters.handshakes_failed == 3 && counters.not_tls_refused == 3
        });
    }
}

/// Answers with the status that the path names.
async fn status(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let status: StatusCode = request.uri().path()[1..].parse().expect("a status");
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    Ok(response)
}

fn responses_are_counted_by_class(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(status));
        let statuses = [200, 204, 299, 304, 404, 431, 500, 503, 600, 999];
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    for status in statuses {
                        let answer = send(&requests, get(&format!("/{status}")), None).await;
                        assert_eq!(answer.expect("answered").head.status, status);
                    }
                })
                .await;
        });
        let counters = server.counters()[0];
        assert_eq!(
            [
                counters.responses_2xx,
                counters.responses_3xx,
                counters.responses_4xx,
                counters.responses_5xx,
                counters.responses_other,
            ],
            [3, 1, 2, 2, 2]
        );
    }
}

/// Answers after the time that the path names, milliseconds.
async fn late(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let millis = request.uri().path()[1..].parse().expect("a number");
    corelane::monoio::time::sleep(Duration::from_millis(millis)).await;
    Ok(Response::new("late".into()))
}

fn durations_of_answered_requests_are_counted(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(late));
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    let (early, late) = join(
                        send(&requests, get("/1"), None),
                        send(&requests, get("/300"), None),
                    )
                    .await;
                    early.and(late).expect("answered");
                })
                .await;
        });
        server.wait_for("both are over", |counters| counters.requests_answered == 2);
        let durations = server.counters()[0].request_durations;
        assert_eq!(durations.count(), 2);
        let sum = durations.sum();
        assert!(sum >= Duration::from_millis(301), "{sum:?}");
        let up_to = |millis| {
            let mut buckets = durations.cumulative();
            let bucket = buckets.find(|(bound, _)| *bound == Duration::from_millis(millis));
            bucket.expect("a bound").1
        };
        // No timer fires early.
        assert_eq!((up_to(1), up_to(10_000)), (0, 2), "{durations:?}");
        assert!(up_to(250) <= 1, "{durations:?}");
    }
}

/// Under TLS 1.3 a resumed session exchanges keys too, under TLS 1.2 it does not.
fn key_exchanges_are_counted_by_group(backend: Backend) {
    let groups = [X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    // OpenSSL has the first one since 3.5.
    let lacks_first = backend.name == "openssl" && openssl::version::number() < 0x3050_0000;
    let groups = &groups[usize::from(lacks_first)..];
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let visits: Vec<_> = match backend.tls_1_3 {
            true => groups.iter().map(|&group| (Tls::V1_3, group)).collect(),
            // The first one is for TLS 1.3 only.
            false => Vec::new(),
        };
        let visits: Vec<_> = visits.into_iter().chain([(Tls::V1_2, SECP256R1)]).collect();
        deadline(async {
            for &(version, group) in &visits {
                visit_twice(&server, version, group).await;
            }
        });
        let counters = server.counters()[0];
        let counted = [
            counters.key_exchanges_x25519mlkem768,
            counters.key_exchanges_x25519,
            counters.key_exchanges_secp256r1,
            counters.key_exchanges_secp384r1,
            counters.key_exchanges_other,
        ];
        let (resumed, completed) = (visits.len() as u64, 2 * visits.len() as u64);
        assert_eq!(counters.sessions_resumed, resumed);
        assert_eq!(counters.handshakes_completed, completed);
        match backend.tls_1_3 {
            true => assert_eq!(counted, [if lacks_first { 0 } else { 2 }, 2, 3, 2, 0]),
            // native-tls does not report it.
            false => assert_eq!(counted, [0; 5]),
        }
    }
}

/// Two connections with this group only, of which the second one resumes.
async fn visit_twice(server: &TestServer, version: Tls, group: &'static dyn SupportedKxGroup) {
    let client = rustls_config_with(version, &[b"h2"], vec![group]);
    let connector = tokio_rustls::TlsConnector::from(client);
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

#[cfg(feature = "rustls")]
#[test]
fn uncommon_key_exchanges_are_counted_as_other() {
    use rustls::crypto::{CryptoProvider, aws_lc_rs};

    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::SECP256R1MLKEM768],
        ..aws_lc_rs::default_provider()
    };
    let config = corelane::tls::TlsConfig::new(corelane_test_support::certs::identity());
    let acceptor = corelane::tls::RustlsAcceptor::with_provider(&config, provider.into());
    let acceptor = std::sync::Arc::new(acceptor.expect("an acceptor"));
    let server = TestServer::start(acceptor, corelane::Driver::Epoll, |_| service_fn(never));
    let group = aws_lc_rs::kx_group::SECP256R1MLKEM768;
    deadline(visit_twice(&server, Tls::V1_3, group));
    assert_eq!(server.counters()[0].key_exchanges_other, 2);
}
