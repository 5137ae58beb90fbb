//! Tests handlers that use tokio, and the ways to wait for a server and to stop it.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use corelane::{Body, Driver, Server, Shutdown, WorkerInfo, service_fn, tls::Cleartext};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    backends::NONE,
    client::{Answer, deadline, get, post, send},
    for_each_backend,
};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Collected};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{self, Handle, Runtime},
    time::{Sleep, sleep},
};
use tower_http::{body::Limited, limit::RequestBodyLimitLayer, timeout::TimeoutLayer};
use tower_layer::Layer;

for_each_backend!(handlers_and_bodies_use_tokio);

fn runtime() -> Runtime {
    let mut builder = runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}

/// A body of one piece after a timer, which needs the runtime to be dropped, too.
struct Later {
    timer: Pin<Box<Sleep>>,
    piece: Option<Bytes>,
    dropped: mpsc::Sender<bool>,
}

impl http_body::Body for Later {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(self.piece.take().map(|piece| Ok(Frame::data(piece))))
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        let _ = self.dropped.send(Handle::try_current().is_ok());
    }
}

/// Echoes the request's body by way of a socket, a task, a blocking thread and timers of tokio.
async fn by_way_of_tokio(request: Request<Body>, dropped: mpsc::Sender<bool>) -> Response<Later> {
    let body = request.into_body().collect().await.expect("a body");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let addr = listener.local_addr().expect("one");
    let echo = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let (mut reader, mut writer) = socket.split();
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let mut socket = TcpStream::connect(addr).await.expect("loopback");
    socket.write_all(&body.to_bytes()).await.expect("sent");
    socket.shutdown().await.expect("sent");
    let mut received = Vec::new();
    socket.read_to_end(&mut received).await.expect("received");
    echo.await.expect("no panic").expect("echoed");
    let piece = tokio::task::spawn_blocking(move || Bytes::from(received)).await;
    let late = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>());
    late.await.expect_err("no time");
    Response::new(Later {
        timer: Box::pin(sleep(Duration::from_millis(1))),
        piece: Some(piece.expect("no panic")),
        dropped,
    })
}

fn handlers_and_bodies_use_tokio(backend: Backend) {
    let runtime = runtime();
    for &driver in Drivers::all() {
        let (sender, dropped) = mpsc::channel();
        let sender = Mutex::new(sender);
        let options = |builder: corelane::Builder| builder.tokio(runtime.handle().clone());
        let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
            let sender = sender.lock().expect("whole").clone();
            service_fn(move |request| {
                let response = by_way_of_tokio(request, sender.clone());
                async { Ok::<_, Infallible>(response.await) }
            })
        });
        let answer = deadline(async {
            let client = H2Client::connect(backend, server.addr).await;
            let answer = client.run(|requests| async move {
                send(&requests, post("/", "through tokio"), None).await
            });
            answer.await.expect("answered")
        });
        assert_eq!(answer.body, b"through tokio");
        assert!(dropped.recv().expect("dropped"), "outside of the runtime");
    }
}

/// What [`corelane::Builder::tokio`] says about these calls.
async fn calls_that_stall_or_panic(_: Request<Body>) -> Result<Response<String>, Infallible> {
    let panicked = std::panic::catch_unwind(|| drop(tokio::task::spawn_local(async {})));
    let panic = panicked.expect_err("no LocalSet");
    let message = panic.downcast_ref::<&str>().expect("text");
    let one = tokio::task::block_in_place(|| 1);
    let two = Handle::current().block_on(async { 2 });
    Ok(Response::new(format!("{one} {two} {message}")))
}

#[test]
fn blocking_calls_work_and_spawn_local_panics() {
    let runtime = runtime();
    for &driver in Drivers::all() {
        let builder = server(driver).tokio(runtime.handle().clone());
        let handle = builder.bind().expect("loopback");
        let handle = handle.serve(|_| service_fn(calls_that_stall_or_panic));
        let handle = handle.expect("workers");
        let text = ask(handle.local_addrs()[0]);
        let expected = "1 2 `spawn_local` called from outside of a `task::LocalSet`";
        assert!(text.starts_with(expected), "{text}");
        handle.shutdown(Duration::from_secs(10));
        handle.wait().expect("no panic");
    }
}

async fn is_in_runtime(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    let inside = Handle::try_current().is_ok();
    Ok(Response::new(inside.to_string()))
}

fn ask(addr: SocketAddr) -> String {
    String::from_utf8(answer(addr, get("/")).body).expect("text")
}

/// Layers of tower-http that change the type of the body, or need timers.
#[test]
fn layers_of_tower_http_work() {
    async fn slow(request: Request<Limited<Body>>) -> Result<Response<String>, Infallible> {
        match request.into_body().collect().await.map(Collected::to_bytes) {
            Ok(body) if body.is_empty() => std::future::pending().await,
            Ok(_) => Ok(Response::new("small".into())),
            Err(_) => Ok(Response::new("large".into())),
        }
    }
    let runtime = runtime();
    for &driver in Drivers::all() {
        let timeout = TimeoutLayer::with_status_code(
            http::StatusCode::GATEWAY_TIMEOUT,
            Duration::from_millis(50),
        );
        let service = RequestBodyLimitLayer::new(5).layer(timeout.layer(service_fn(slow)));
        let server = server(driver).tokio(runtime.handle().clone()).bind();
        let handle = server.expect("loopback").serve(move |_| service);
        let handle = handle.expect("workers");
        let addr = handle.local_addrs()[0];
        let small = answer(addr, post("/", "small"));
        assert_eq!(small.body, b"small");
        assert_eq!(answer(addr, post("/", "larger")).body, b"large");
        assert_eq!(answer(addr, get("/")).head.status, 504);
        handle.shutdown(Duration::ZERO);
        handle.wait().expect("no panic");
    }
}

fn answer(addr: SocketAddr, request: Request<Bytes>) -> Answer {
    deadline(async {
        let client = H2Client::connect(NONE, addr).await;
        let answer = client.run(|requests| async move { send(&requests, request, None).await });
        answer.await.expect("answered")
    })
}

fn server(driver: Driver) -> corelane::Builder {
    Server::builder(Cleartext)
        .listen("127.0.0.1:0")
        .workers(2)
        .affinity(corelane::Affinity::None)
        .driver(driver)
}

fn serve(builder: corelane::Builder) -> corelane::Handle {
    let server = builder.bind().expect("loopback");
    server
        .serve(|_| service_fn(is_in_runtime))
        .expect("workers")
}

#[test]
fn runtime_of_the_caller_is_the_default() {
    let runtime = runtime();
    for &driver in Drivers::all() {
        let inside = runtime.block_on(async { serve(server(driver)) });
        let outside = serve(server(driver));
        for (handle, expected) in [(inside, "true"), (outside, "false")] {
            assert_eq!(ask(handle.local_addrs()[0]), expected);
            handle.shutdown(Duration::ZERO);
            handle.wait().expect("no panic");
        }
    }
}

/// Counts the errors that mention tokio's runtime.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn runtime_that_ends_first_is_an_error_once() {
    for (server_first, errors) in [(false, 1), (true, 0)] {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer({
            let log = log.clone();
            move || log.clone()
        });
        tracing::subscriber::with_default(subscriber.finish(), || {
            // A runtime that drops its tasks on this thread.
            let runtime = runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime");
            let builder = server(Driver::Epoll).tokio(runtime.handle().clone());
            let handle = serve(builder);
            let stop = |handle: corelane::Handle| {
                handle.shutdown(Duration::ZERO);
                handle.wait().expect("no panic");
            };
            if server_first {
                stop(handle);
                drop(runtime);
            } else {
                drop(runtime);
                stop(handle);
            }
        });
        let log = log.0.lock().expect("whole");
        let log = String::from_utf8_lossy(&log);
        let found = log.matches("the tokio runtime of the handlers has ended");
        assert_eq!(found.count(), errors, "{log}");
    }
}

#[test]
fn one_task_waits_for_the_server_and_for_a_signal() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for &driver in Drivers::all() {
        runtime.block_on(async {
            let handle = serve(server(driver));
            let (send_signal, signal) = tokio::sync::oneshot::channel();
            let shutdown: Shutdown = handle.shutdown_handle();
            std::thread::spawn(move || send_signal.send(()));
            tokio::select! {
                result = handle.stopped() => panic!("not yet: {result:?}"),
                _ = signal => shutdown.start(Duration::ZERO),
            }
            assert!(shutdown.is_started());
            handle.stopped().await.expect("no panic");
            handle.wait().expect("no panic");
        });
    }
}

#[test]
fn panic_of_one_worker_ends_the_server_with_its_message() {
    for &driver in Drivers::all() {
        let panics = Arc::new(tokio::sync::Notify::new());
        let handle = server(driver).bind().expect("loopback");
        let handle = handle.serve({
            let panics = Arc::clone(&panics);
            move |worker: WorkerInfo| {
                if worker.index == 1 {
                    let panics = Arc::clone(&panics);
                    monoio::spawn(async move {
                        panics.notified().await;
                        panic!("the test's panic");
                    });
                }
                service_fn(is_in_runtime)
            }
        });
        let handle = handle.expect("workers");
        let stopped = handle.stopped();
        panics.notify_one();
        let message = "worker 1 panicked: the test's panic";
        let error = deadline(stopped).expect_err("a worker panicked");
        assert!(error.is_worker());
        assert_eq!(error.to_string(), message);
        let error = handle.wait().expect_err("a worker panicked");
        assert_eq!(error.to_string(), message);
    }
}
