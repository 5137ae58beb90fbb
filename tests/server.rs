//! Tests the server from its user's view: its addresses, its workers, its start errors, and its
//! limits.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    time::Duration,
};

use corelane::{
    Affinity, Builder, Chain, Error, Http2Config, Limits, ProtocolName, Server, WorkerCounters,
    WorkerInfo, service_fn,
    tls::{Cleartext, TlsConfig},
};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    certs::identity,
    client::{DEADLINE, connect, get, never, post, send},
    deadline, for_each_backend,
};
use futures_util::future::join_all;
use h2::Reason;
use http::StatusCode;
use socket2::{Domain, Socket, Type};

for_each_backend!(
    every_worker_serves,
    every_address_serves,
    acceptor_without_h2_is_rejected,
    ipv6_listener_accepts_ipv4_only_on_request,
    workers_share_one_given_listener,
    each_worker_gets_one_given_listener,
    every_given_listener_is_served,
    non_listening_socket_is_rejected,
    servers_on_different_drivers_share_one_listener,
    panicking_factory_fails_the_start,
    the_factory_runs_inside_the_runtime_of_its_worker,
    silent_clients_are_closed,
    idle_clients_get_goaway,
    axum_router_is_served,
    services_are_dropped_with_their_workers,
);

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const TWO: usize = 2;

/// Sends one request on a new connection.
async fn ask(backend: Backend, addr: SocketAddr) -> String {
    let client = H2Client::connect(backend, addr).await;
    let answer = client.run(|requests| async move { send(&requests, get("/"), None).await });
    String::from_utf8(answer.await.expect("answered").body).expect("text")
}

/// Sends this many requests, fifty at a time.
async fn ask_often(backend: Backend, addr: SocketAddr, times: usize) {
    for batch in vec![(); times].chunks(50) {
        join_all(batch.iter().map(|()| ask(backend, addr))).await;
    }
}

fn assert_every_worker_serves(server: &TestServer, connections: u64) {
    let counters = server.counters();
    for worker in &counters {
        assert!(worker.connections_accepted > 0, "{counters:?}");
    }
    let sum = |count: fn(&WorkerCounters) -> u64| counters.iter().map(count).sum::<u64>();
    let (accepted, requests) = (sum(|c| c.connections_accepted), sum(|c| c.requests));
    assert_eq!([accepted, requests], [connections; 2], "{counters:?}");
}

fn every_worker_serves(backend: Backend) {
    for &driver in Drivers::all() {
        let two = |builder: Builder| builder.workers(TWO);
        let server = TestServer::with(backend.acceptor(), driver, two, |_| service_fn(never));
        let addrs = server.handle().local_addrs();
        assert_eq!(addrs, [server.addr], "the workers share one port");
        assert_ne!(server.addr.port(), 0);
        deadline(ask_often(backend, server.addr, 400));
        assert_every_worker_serves(&server, 400);
    }
}

fn every_address_serves(backend: Backend) {
    for &driver in Drivers::all() {
        let also = |builder: Builder| builder.workers(TWO).listen(ANY_PORT);
        let server = TestServer::with(backend.acceptor(), driver, also, |_| service_fn(never));
        let addrs = server.handle().local_addrs();
        assert_eq!(addrs.iter().collect::<BTreeSet<_>>().len(), 2, "{addrs:?}");
        for &addr in addrs {
            deadline(ask(backend, addr));
        }
    }
}

fn ipv6_listener_accepts_ipv4_only_on_request(backend: Backend) {
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        return println!("NOT TESTED: no IPv6 here: {error}");
    }
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    for &driver in Drivers::all() {
        for both in [false, true] {
            let options = |builder: Builder| match both {
                false => builder.listen(any),
                true => builder.listen(any).only_v6(false),
            };
            let server =
                TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
            let port = server.handle().local_addrs()[1].port();
            let [v4, v6] = [
                SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            ];
            match both {
                // The call should fail. No other test listens on this address.
                false => drop(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 6), port))),
                true => drop(deadline(ask(backend, v4))),
            }
            // The kernel accepts connections in their order.
            deadline(ask(backend, v6));
            let accepted = server.counters()[0].connections_accepted;
            assert_eq!(accepted, 1 + u64::from(both));
        }
    }
}

/// The error that these options cause, and its text.
fn refused(options: impl FnOnce(Builder) -> Builder) -> (Error, String) {
    let error = options(Server::builder(Cleartext)).bind().err();
    let error = error.expect("not possible");
    let text = Chain(&error).to_string();
    (error, text)
}

#[test]
fn port_in_use_error_names_its_user() {
    let other = TcpListener::bind(ANY_PORT).expect("loopback");
    let addr = other.local_addr().expect("bound");
    let (error, text) = refused(|builder| builder.listen(addr));
    assert!(error.is_bind(), "{error:?}");
    assert!(text.contains(&addr.to_string()), "{text}");
    let this = format!("process {} (", std::process::id());
    assert!(!cfg!(target_os = "linux") || text.contains(&this), "{text}");
}

#[test]
fn port_is_shared_only_on_request() {
    let first = Server::builder(Cleartext).listen(ANY_PORT).bind();
    let first = first.expect("loopback");
    let addr = first.local_addrs()[0];
    let (error, text) = refused(|builder| builder.listen(addr));
    assert!(error.is_bind(), "{error:?}");
    let pid = format!("process {}", std::process::id());
    assert!(text.contains(&pid), "{text}");
    let second = Server::builder(Cleartext).listen(addr).share_port(true);
    assert_eq!(second.bind().expect("joined").local_addrs(), [addr]);
}

#[test]
fn address_of_another_host_is_an_error() {
    let (error, text) = refused(|builder| builder.listen("192.0.2.1:0"));
    assert!(error.is_bind(), "{error:?}");
    assert!(text.contains("no interface of this host has"), "{text}");
    assert!(text.contains("192.0.2.1"), "{text}");
}

#[test]
fn privileged_port_error_names_the_privilege() {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    match TcpListener::bind(addr).map_err(|error| error.kind()) {
        Err(std::io::ErrorKind::PermissionDenied) => {}
        _ => return println!("NOT TESTED: port 1 takes no privilege that is missing here"),
    }
    let (error, text) = refused(|builder| builder.listen(addr));
    assert!(error.is_bind(), "{error:?}");
    assert!(text.contains("CAP_NET_BIND_SERVICE"), "{text}");
}

#[test]
fn debug_output_is_short() {
    let builder = Server::builder(Cleartext).listen(ANY_PORT).workers(2);
    let text = format!("{builder:?}");
    assert!(text.starts_with("Builder") && text.len() < 200, "{text}");
    let server = builder.bind().expect("loopback");
    let text = format!("{server:?}");
    assert!(text.starts_with("Server") && text.len() < 200, "{text}");
    let handle = server.serve(|_| service_fn(never)).expect("workers");
    for text in [format!("{handle:?}"), format!("{:?}", handle.observer())] {
        assert!(text.contains("workers: 2") && text.len() < 200, "{text}");
    }
    handle.shutdown(Duration::ZERO);
    handle.wait().expect("no worker panicked");
}

#[test]
fn names_are_resolved_to_all_of_their_addresses() {
    let addrs = [
        ANY_PORT,
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0)),
        ANY_PORT,
    ];
    let server = Server::builder(Cleartext)
        .listen(&addrs[..])
        .workers(1)
        .bind();
    let server = server.expect("loopback");
    let mut ips: Vec<_> = server.local_addrs().iter().map(SocketAddr::ip).collect();
    ips.sort();
    assert_eq!(ips, [addrs[0].ip(), addrs[1].ip()], "each once");
}

#[test]
fn invalid_options_are_errors_that_name_them() {
    let limits = Limits::default().idle(Duration::ZERO);
    let http2 = Http2Config::default().max_frame_size(1);
    type Options = Box<dyn FnOnce(Builder) -> Builder>;
    let cases: [(&str, Options); 11] = [
        ("no address to listen on", Box::new(|b| b)),
        ("\"no address\"", Box::new(|b| b.listen("no address"))),
        (
            "(\"host.invalid\", 1)",
            Box::new(|b| b.listen(ANY_PORT).listen(("host.invalid", 1))),
        ),
        ("names no address", Box::new(|b| b.listen(&[][..]))),
        ("workers is 0", Box::new(|b| b.listen(ANY_PORT).workers(0))),
        (
            "max_connections is 0",
            Box::new(|b| b.listen(ANY_PORT).max_connections(0)),
        ),
        (
            "Limits::idle is 0",
            Box::new(|b| b.listen(ANY_PORT).limits(limits)),
        ),
        (
            "Http2Config::max_frame_size is 1",
            Box::new(|b| b.listen(ANY_PORT).http2(http2)),
        ),
        (
            "CPU 9999 ",
            Box::new(|b| b.listen(ANY_PORT).affinity(Affinity::Cpus(vec![9999]))),
        ),
        (
            "names no CPU",
            Box::new(|b| b.listen(ANY_PORT).affinity(Affinity::Cpus(Vec::new()))),
        ),
        (
            "CPU 9999 ",
            Box::new(|b| {
                b.listen(ANY_PORT)
                    .affinity(Affinity::Cpus(vec![0, 9999]))
                    .workers(1)
            }),
        ),
    ];
    for (expected, options) in cases {
        let (error, text) = refused(options);
        assert!(error.is_config(), "{error:?}");
        assert!(text.contains(expected), "{expected:?} is not in {text:?}");
    }
}

fn acceptor_without_h2_is_rejected(backend: Backend) {
    if !backend.tls {
        return;
    }
    for first in [
        ProtocolName::HTTP_1_1,
        ProtocolName::new("h2c").expect("short"),
    ] {
        for also in [None, Some(ProtocolName::H2)] {
            let config =
                TlsConfig::new(identity()).alpn_protocols([first.clone()].into_iter().chain(also));
            let acceptor = (backend.make)(&config).expect("an acceptor");
            let error = Server::builder(acceptor).listen(ANY_PORT).bind().err();
            let error = error.expect("HTTP/2 could not be negotiated");
            assert!(error.is_config(), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(&first.to_string()), "{text}");
            assert!(text.contains(backend.name), "{text}");
        }
    }
}

#[cfg(feature = "rustls")]
#[test]
fn early_data_is_rejected() {
    use corelane::tls::{RustlsAcceptor, ServerNameAcceptor};
    use corelane_test_support::certs::CERTIFICATE;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

    let acceptor = |max_early_data_size| {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(CERTIFICATE.key.as_bytes());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"))
            .expect("an identity");
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.max_early_data_size = max_early_data_size;
        RustlsAcceptor::from(Arc::new(config))
    };
    let assert_refused = |error: Option<Error>| {
        let error = error.expect("early data is on");
        assert!(error.is_unsupported(), "{error:?}");
        assert!(error.to_string().contains("max_early_data_size"), "{error}");
    };
    let by_name = ServerNameAcceptor::new(&identity(), acceptor(16_384)).expect("an acceptor");
    let builder = Server::builder(acceptor(16_384)).listen(ANY_PORT);
    assert_refused(builder.bind().err());
    assert_refused(Server::builder(by_name).listen(ANY_PORT).bind().err());
    let server = Server::builder(acceptor(0)).listen(ANY_PORT).bind();
    let handle = server.and_then(|server| server.serve(|_| service_fn(never)));
    let handle = handle.expect("starts");
    assert_refused(handle.reload(acceptor(16_384)).err());
    handle.shutdown(DEADLINE);
    handle.wait().expect("stops");
}

/// A listener of the test, which may share its address.
fn listener(addr: SocketAddr, reuse_port: bool) -> TcpListener {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(reuse_port).expect("an option");
    socket.bind(&addr.into()).expect("loopback");
    socket.listen(128).expect("listens");
    socket.into()
}

fn workers_share_one_given_listener(backend: Backend) {
    for &driver in Drivers::all() {
        let given = listener(ANY_PORT, false);
        let addr = given.local_addr().expect("bound");
        let options = |builder: Builder| builder.workers(TWO).listener(given);
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        assert!(server.handle().local_addrs().contains(&addr));
        // The faster worker takes the next connection, so not every worker is sure to get one.
        deadline(ask_often(backend, addr, 100));
        let counters = server.counters();
        let sum: u64 = counters.iter().map(|c| c.connections_accepted).sum();
        assert_eq!(sum, 100, "{counters:?}");
    }
}

fn each_worker_gets_one_given_listener(backend: Backend) {
    for &driver in Drivers::all() {
        let first = listener(ANY_PORT, true);
        let addr = first.local_addr().expect("bound");
        let second = listener(addr, true);
        let options = |builder: Builder| builder.workers(TWO).listener(first).listener(second);
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        deadline(ask_often(backend, addr, 100));
        assert_every_worker_serves(&server, 100);
    }
}

/// More listeners than workers: a connection in a listener that no worker accepts from would be
/// lost.
fn every_given_listener_is_served(backend: Backend) {
    for &driver in Drivers::all() {
        let first = listener(ANY_PORT, true);
        let addr = first.local_addr().expect("bound");
        let mut all: Vec<_> = (0..4).map(|_| listener(addr, true)).collect();
        all.push(first);
        let options = |builder: Builder| {
            all.into_iter()
                .fold(builder.workers(TWO), Builder::listener)
        };
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        let open = server.handle().listeners().expect("further handles");
        let given = open.iter().map(|open| open.local_addr().expect("bound"));
        assert_eq!(given.filter(|open| *open == addr).count(), 5, "each once");
        drop(open);
        deadline(ask_often(backend, addr, 100));
        assert_every_worker_serves(&server, 100);
    }
}

fn non_listening_socket_is_rejected(backend: Backend) {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let bound = bound.expect("a socket");
    bound.bind(&ANY_PORT.into()).expect("a port");
    let builder = Server::builder(backend.acceptor()).listener(bound.into());
    let error = builder.bind().expect_err("refused");
    assert!(
        error.is_bind() && error.to_string().contains("does not listen"),
        "{error}"
    );
}

/// All owners of a socket share its blocking mode.
fn servers_on_different_drivers_share_one_listener(backend: Backend) {
    let shared = listener(ANY_PORT, false);
    let addr = shared.local_addr().expect("bound");
    let servers: Vec<_> = Drivers::all()
        .iter()
        .map(|&driver| {
            let shared = shared.try_clone().expect("a handle");
            let options = |builder: Builder| builder.listener(shared);
            TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never))
        })
        .collect();
    deadline(ask_often(backend, addr, 100));
    let served: u64 = servers
        .iter()
        .map(|server| server.counters()[0].connections_accepted)
        .sum();
    assert_eq!(served, 100);
}

fn panicking_factory_fails_the_start(backend: Backend) {
    for &driver in Drivers::all() {
        let builder = Server::builder(backend.acceptor()).driver(driver);
        let server = builder.workers(TWO).listen(ANY_PORT).bind();
        let server = server.expect("loopback");
        let addr = server.local_addrs()[0];
        let error = server
            .serve(|worker: WorkerInfo| {
                assert_eq!(worker.index, 0, "a bug in the factory");
                service_fn(never)
            })
            .expect_err("one of the workers has no service");
        assert!(error.is_worker(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("a bug in the factory"), "{text}");
        TcpListener::bind(addr).expect("the port is free again");
    }
}

fn the_factory_runs_inside_the_runtime_of_its_worker(backend: Backend) {
    for &driver in Drivers::all() {
        let (ran, runs) = mpsc::channel();
        let two = |builder: Builder| builder.workers(TWO);
        let server = TestServer::with(backend.acceptor(), driver, two, move |worker| {
            let ran = ran.clone();
            monoio::spawn(async move {
                monoio::time::sleep(Duration::from_millis(1)).await;
                ran.send(worker.index).expect("the test waits");
            });
            service_fn(never)
        });
        let workers = [(); 2].map(|()| runs.recv_timeout(DEADLINE).expect("the task ran"));
        assert_eq!(BTreeSet::from(workers), BTreeSet::from([0, 1]));
        deadline(ask(backend, server.addr));
    }
}

/// The limits under test: short, because the test waits for them.
const SHORT: Duration = Duration::from_millis(100);

fn silent_clients_are_closed(backend: Backend) {
    let limits = Limits::default().handshake(SHORT);
    let openings: [&[u8]; 2] = match backend.tls {
        true => [b"", &[22, 3, 1]],
        false => [b"", b"PRI"],
    };
    for &driver in Drivers::all() {
        let options = |builder: Builder| builder.limits(limits.clone());
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        for (i, opening) in openings.into_iter().enumerate() {
            let mut silent = TcpStream::connect(server.addr).expect("connects");
            silent.write_all(opening).expect("sent");
            silent.set_read_timeout(Some(DEADLINE)).expect("a time-out");
            silent.read_to_end(&mut Vec::new()).expect("closed");
            drop(silent);
            server.wait_for("counted", |counters| {
                counters.handshakes_timed_out == i as u64 + 1
            });
        }
    }
}

fn idle_clients_get_goaway(backend: Backend) {
    let limits = Limits::default().idle(SHORT);
    for &driver in Drivers::all() {
        let options = |builder: Builder| builder.limits(limits.clone());
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
        let (error, end) = deadline(async {
            let stream = connect(backend, server.addr).await;
            let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            // Waits for the end of the connection while a handle for further requests exists.
            let end = connection.await;
            (requests.ready().await.err(), end)
        });
        end.expect("a close as it should be");
        let error = error.expect("no more requests");
        assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(Reason::NO_ERROR));
        server.wait_for("closed", |counters| counters.connections_closed == 1);
    }
}

fn axum_router_is_served(backend: Backend) {
    use axum::{Router, extract::Path, routing};

    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| {
            let greet = async |Path(name): Path<String>| format!("hello {name}");
            let echo = async |body: String| body;
            Router::new()
                .route("/greet/{name}", routing::get(greet))
                .route("/echo", routing::post(echo))
        });
        deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            client
                .run(|requests| async move {
                    for (request, expected) in [
                        (get("/greet/world"), "hello world"),
                        (post("/echo", "again"), "again"),
                    ] {
                        let answer = send(&requests, request, None).await;
                        assert_eq!(answer.expect("answered").body, expected.as_bytes());
                    }
                    let answer = send(&requests, get("/nowhere"), None).await;
                    assert_eq!(answer.expect("answered").head.status, StatusCode::NOT_FOUND);
                })
                .await;
        });
    }
}

fn services_are_dropped_with_their_workers(backend: Backend) {
    for &driver in Drivers::all() {
        let held = Arc::new(());
        let services = Arc::downgrade(&held);
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let held = Arc::clone(&held);
            service_fn(move |request| {
                let _held = &held;
                never(request)
            })
        });
        assert!(services.strong_count() > 1, "the factory and the services");
        // No connection is cut off, so only the end of the workers can drop the services.
        server.stop(DEADLINE);
        assert_eq!(services.strong_count(), 0);
    }
}
