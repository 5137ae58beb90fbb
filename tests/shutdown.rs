//! Tests shutdown: accepted requests get their responses, and the deadline ends everything else.

use std::{
    cell::Cell,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use corelane::{Body, Builder, Driver, Error, config::SHUTDOWN_DEADLINE, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, Pattern, TestServer,
    client::{
        Answer, DEADLINE, Stream, Tls, connect, get, never, post, rustls_config, send, server_name,
    },
    deadline, for_each_backend,
};
use futures_util::future::{Either, join, join_all, select};
use h2::Reason;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc as tokio_mpsc},
};

for_each_backend!(
    no_accepted_request_is_lost_under_load,
    pending_connections_are_served_at_shutdown,
    pending_connections_stay_for_next_server,
    draining_server_refuses_new_connections,
    endless_stream_is_dropped_at_deadline,
    shorter_of_two_deadlines_applies,
    connections_without_streams_close_at_once,
    shutdown_may_start_during_poll,
    listeners_are_closed_after_shutdown,
);

const TWO: usize = 2;

/// Longer than any test, so a server that ends did not wait for it.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Long enough for the server to start draining, short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

/// Shuts the server down, and fails if that hangs.
fn stop(server: TestServer, deadline: Duration) {
    let (ended, ends) = mpsc::channel();
    thread::spawn(move || {
        server.stop(deadline);
        let _ = ended.send(());
    });
    ends.recv_timeout(DEADLINE).expect("the server ends");
}

/// The server rejected the request without processing it, so the client may retry on another
/// server.
fn assert_refused(error: &h2::Error) {
    let refused = match error.reason() {
        Some(Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        Some(Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
        _ => false,
    };
    assert!(refused, "not refused, but lost: {error:?}");
}

fn no_accepted_request_is_lost_under_load(backend: Backend) {
    const CONNECTIONS: usize = 8;
    const STREAMS: usize = 8;
    const BEFORE_SHUTDOWN: u64 = 200;
    let body = vec![b'x'; 50_000];
    for &driver in Drivers::all() {
        let invoked = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&invoked);
        let server = TestServer::with(
            backend.acceptor(),
            driver,
            |builder| builder.workers(TWO),
            move |_| {
                let invoked = Arc::clone(&counting);
                service_fn(move |request: Request<Body>| {
                    invoked.fetch_add(1, Relaxed);
                    async {
                        let body = request.into_body().collect().await?.to_bytes();
                        monoio::time::sleep(Duration::from_millis(2)).await;
                        Ok::<_, Error>(Response::new(http_body_util::Full::new(body)))
                    }
                })
            },
        );
        let answered = Cell::new(0);
        let ask_until_refused = async |requests: &_| loop {
            match send(requests, post("/", body.clone()), None).await {
                Ok(answer) => assert_eq!(answer.body.len(), body.len()),
                Err(error) => return assert_refused(&error),
            }
            answered.set(answered.get() + 1);
            if answered.get() == BEFORE_SHUTDOWN {
                server.handle().shutdown(SHUTDOWN_DEADLINE);
            }
        };
        deadline(async {
            let connect = || H2Client::connect(backend, server.addr);
            let clients = join_all((0..CONNECTIONS).map(|_| connect())).await;
            let clients = clients.into_iter().map(|client| {
                client.run(|requests| {
                    let ask = &ask_until_refused;
                    async move { join_all((0..STREAMS).map(|_| ask(&requests))).await }
                })
            });
            join_all(clients).await;
        });
        stop(server, SHUTDOWN_DEADLINE);
        assert!(answered.get() >= BEFORE_SHUTDOWN);
        assert_eq!(answered.get(), invoked.load(Relaxed), "answered of invoked");
    }
}

async fn http2_over(backend: Backend, tcp: TcpStream) -> H2Client {
    let stream: Box<dyn Stream> = if backend.tls {
        let connector = tokio_rustls::TlsConnector::from(rustls_config(Tls::Any, &[b"h2"]));
        let tls = connector.connect(server_name(), tcp).await;
        Box::new(tls.expect("a TLS handshake"))
    } else {
        Box::new(tcp)
    };
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    H2Client::new(requests, connection)
}

fn pending_connections_are_served_at_shutdown(backend: Backend) {
    const WAITING: usize = 20;
    for &driver in Drivers::all() {
        // The first handler blocks its whole worker until the test releases it.
        let (begun, mut begins) = tokio_mpsc::unbounded_channel();
        let (release, released) = mpsc::channel();
        let released = std::sync::Mutex::new(Some(released));
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let begun = begun.clone();
            let released = released.lock().expect("one worker").take();
            let released = std::rc::Rc::new(released.expect("one worker"));
            service_fn(move |request: Request<Body>| {
                if request.uri().path() == "/hold-up" {
                    begun.send(()).expect("the test waits");
                    released.recv_timeout(DEADLINE).expect("released");
                }
                std::future::ready(Ok::<_, Infallible>(Response::new(String::from("answer"))))
            })
        });
        deadline(async {
            let first = H2Client::connect(backend, server.addr).await;
            let first =
                first.run(|requests| async move { send(&requests, get("/hold-up"), None).await });
            let others = async {
                begins.recv().await.expect("the worker is held up");
                let connect = || TcpStream::connect(server.addr);
                let waiting = join_all((0..WAITING).map(|_| connect())).await;
                server.handle().shutdown(SHUTDOWN_DEADLINE);
                release.send(()).expect("the worker waits");
                let ask = async |tcp| {
                    let client = http2_over(backend, tcp).await;
                    let answer =
                        client.run(|requests| async move { send(&requests, get("/"), None).await });
                    if let Err(error) = answer.await {
                        assert_refused(&error);
                    }
                };
                let waiting = waiting.into_iter().map(|tcp| tcp.expect("connects"));
                join_all(waiting.map(ask)).await;
            };
            let (answer, ()) = join(first, others).await;
            assert_eq!(answer.expect("answered").body, b"answer");
        });
        assert_eq!(
            server.counters()[0].connections_accepted,
            1 + WAITING as u64
        );
        stop(server, SHUTDOWN_DEADLINE);
    }
}

fn pending_connections_stay_for_next_server(backend: Backend) {
    const WAITING: usize = 20;
    for &driver in Drivers::all() {
        // The handler blocks its worker, which accepts nothing until the test releases it.
        let (begun, mut begins) = tokio_mpsc::unbounded_channel();
        let (release, released) = mpsc::channel();
        let released = std::sync::Mutex::new(Some(released));
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let begun = begun.clone();
            let released = released.lock().expect("one worker").take();
            let released = std::rc::Rc::new(released.expect("one worker"));
            service_fn(move |_: Request<Body>| {
                begun.send(()).expect("the test waits");
                released.recv_timeout(DEADLINE).expect("released");
                std::future::ready(Ok::<_, Infallible>(Response::new(String::from("answer"))))
            })
        });
        deadline(async move {
            let first = H2Client::connect(backend, server.addr).await;
            let first = first.run(|requests| async move { send(&requests, get("/"), None).await });
            let others = async {
                begins.recv().await.expect("the worker is held up");
                let connect = || TcpStream::connect(server.addr);
                let waiting = join_all((0..WAITING).map(|_| connect())).await;
                let sockets = server.handle().listeners().expect("further handles");
                server.handle().hand_over(SHUTDOWN_DEADLINE);
                release.send(()).expect("the worker waits");
                (waiting, sockets)
            };
            let (answer, (waiting, sockets)) = join(first, others).await;
            assert_eq!(answer.expect("answered").body, b"answer");
            server.wait_for("closed", |counters| counters.connections_closed == 1);
            assert_eq!(server.counters()[0].connections_accepted, 1);
            stop(server, SHUTDOWN_DEADLINE);
            let given = |builder| sockets.into_iter().fold(builder, Builder::listener);
            let next = TestServer::with(backend.acceptor(), driver, given, |_| service_fn(never));
            let ask = async |tcp| {
                let client = http2_over(backend, tcp).await;
                let answer =
                    client.run(|requests| async move { send(&requests, get("/"), None).await });
                answer.await.expect("answered by the next one");
            };
            let waiting = waiting.into_iter().map(|tcp| tcp.expect("connects"));
            join_all(waiting.map(ask)).await;
            assert_eq!(next.counters()[0].connections_accepted, WAITING as u64);
        });
    }
}

/// Sends a request to a new server and calls `work` while its handler runs. Returns the request's
/// outcome. The handler answers when it has a permit.
fn during_a_request<T>(
    backend: Backend,
    driver: Driver,
    path: &str,
    work: impl AsyncFnOnce(TestServer, &Semaphore) -> T,
) -> (Result<Answer, h2::Error>, T) {
    let (begun, mut begins) = tokio_mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(0));
    let waited_for = Arc::clone(&permits);
    let server = TestServer::start(backend.acceptor(), driver, move |_| {
        let (begun, permits) = (begun.clone(), Arc::clone(&waited_for));
        service_fn(move |request: Request<Body>| {
            begun.send(()).expect("the test waits");
            let permits = Arc::clone(&permits);
            async move {
                let length = match request.uri().path() {
                    "/endless" => u64::MAX,
                    _ => permits.acquire().await.map(|_permit| 1).expect("open"),
                };
                Ok::<_, Infallible>(Response::new(Pattern::of(length)))
            }
        })
    });
    deadline(async {
        let client = H2Client::connect(backend, server.addr).await;
        let request = client.run(|requests| async move { send(&requests, get(path), None).await });
        let work = async {
            begins.recv().await.expect("the handler runs");
            work(server, &permits).await
        };
        join(request, work).await
    })
}

/// Connects until the port is closed. (While a listener closes, the kernel sends resets.)
async fn until_refused(addr: SocketAddr) {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    while !TcpStream::connect(addr).await.is_err_and(refused) {
        tokio::task::yield_now().await;
    }
}

fn draining_server_refuses_new_connections(backend: Backend) {
    for &driver in Drivers::all() {
        let drain = async |server: TestServer, permits: &Semaphore| {
            server.handle().shutdown(SHUTDOWN_DEADLINE);
            until_refused(server.addr).await;
            permits.add_permits(1);
            server
        };
        let (answer, server) = during_a_request(backend, driver, "/", drain);
        assert_eq!(answer.expect("it was asked before").body.len(), 1);
        stop(server, SHUTDOWN_DEADLINE);
    }
}

fn endless_stream_is_dropped_at_deadline(backend: Backend) {
    for &driver in Drivers::all() {
        for path in ["/", "/endless"] {
            for deadline in [Duration::ZERO, SHORT] {
                let end = async |server: TestServer, _: &Semaphore| {
                    stop(server, deadline);
                };
                let (answer, ()) = during_a_request(backend, driver, path, end);
                answer.expect_err("it never ends");
            }
        }
    }
}

fn shorter_of_two_deadlines_applies(backend: Backend) {
    for &driver in Drivers::all() {
        for (first, second) in [(NEVER, SHORT), (SHORT, NEVER), (NEVER, Duration::ZERO)] {
            let end = async |server: TestServer, _: &Semaphore| {
                server.handle().shutdown(first);
                stop(server, second);
            };
            let (answer, ()) = during_a_request(backend, driver, "/", end);
            answer.expect_err("it never ends");
        }
    }
}

fn connections_without_streams_close_at_once(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        deadline(async {
            let stream = connect(backend, server.addr).await;
            let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            let mut connection = Box::pin(connection);
            let first = send(&requests, get("/"), None);
            match select(Box::pin(first), &mut connection).await {
                Either::Left((answer, _)) => answer.expect("an answer"),
                Either::Right((ended, _)) => panic!("it ended: {ended:?}"),
            };
            server.handle().shutdown(NEVER);
            // The client could still send requests, but sends none.
            let _end = connection.await;
            assert_refused(&requests.ready().await.expect_err("no more requests"));
        });
        stop(server, NEVER);
    }
}

/// If a poll of the connection checked everything except the shutdown, the connection would sleep
/// until its peer sends more.
fn shutdown_may_start_during_poll(backend: Backend) {
    for &driver in Drivers::all() {
        let (asked, asks) = mpsc::channel();
        let server = TestServer::start(backend.acceptor(), driver, move |_| {
            let asked = asked.clone();
            service_fn(move |request: Request<Body>| {
                if request.uri().path() == "/end" {
                    let (begun, begins) = mpsc::channel();
                    asked.send(begun).expect("the test waits");
                    begins.recv().expect("the end begins");
                }
                never(request)
            })
        });
        let (handle, addr) = (server.handle(), server.addr);
        thread::scope(|scope| {
            scope.spawn(move || {
                let begun: mpsc::Sender<()> =
                    asks.recv_timeout(DEADLINE).expect("the handler runs");
                handle.shutdown(NEVER);
                begun.send(()).expect("the handler waits");
            });
            deadline(async {
                let stream = connect(backend, addr).await;
                let handshake = h2::client::handshake(stream).await;
                let (requests, connection) = handshake.expect("HTTP/2");
                // After its first response the client sends nothing unasked.
                let ask = async {
                    for path in ["/", "/end"] {
                        let answer = send(&requests, get(path), None).await;
                        answer.expect("an answer");
                    }
                };
                let ((), _end) = join(ask, connection).await;
            });
        });
        stop(server, NEVER);
    }
}

/// A socket that outlives its server would take connections from the next server.
fn listeners_are_closed_after_shutdown(backend: Backend) {
    for &driver in Drivers::all() {
        for _ in 0..10 {
            let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
            let addr = server.addr;
            stop(server, Duration::ZERO);
            let error = std::net::TcpStream::connect(addr).expect_err("the listener is closed");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}
