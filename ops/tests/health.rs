//! Health checks: whether the workers of a server run.

use std::{
    convert::Infallible,
    future::poll_fn,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use corelane::{Body, Driver, Handle, Server, service_fn, tls::Cleartext};
use corelane_ops::Admin;
use http::{Request, Response};

const DEADLINE: Duration = Duration::from_secs(60);

/// io_uring where it is allowed, and epoll.
const DRIVERS: [Driver; 2] = [Driver::Auto, Driver::Epoll];

/// Two workers. `/block` blocks a worker's thread until the sender is dropped; `/busy` keeps a worker
/// busy, without blocking it, until the flag is set. Both answer the number of the worker.
fn start(driver: Driver) -> (Handle, mpsc::Sender<()>, Arc<AtomicBool>) {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let idle = Arc::<AtomicBool>::default();
    let set = Arc::clone(&idle);
    let server = Server::builder(Cleartext)
        .listen("127.0.0.1:0")
        .workers(2)
        .driver(driver)
        .bind()
        .expect("loopback");
    let handle = server.serve(move |worker| {
        let (blocked, idle) = (Arc::clone(&blocked), Arc::clone(&idle));
        service_fn(move |request: Request<Body>| {
            let busy = request.uri().path() == "/busy";
            if request.uri().path() == "/block" {
                // An error: the sender is dropped.
                let _ = blocked.lock().expect("not poisoned").recv();
            }
            let idle = Arc::clone(&idle);
            async move {
                poll_fn(|cx| match busy && !idle.load(Ordering::Relaxed) {
                    true => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    false => Poll::Ready(()),
                })
                .await;
                Ok::<_, Infallible>(Response::new(worker.index.to_string()))
            }
        })
    });
    (handle.expect("workers"), release, set)
}

/// The body of the response.
fn get(addr: SocketAddr, path: &'static str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let get = async {
        let tcp = tokio::net::TcpStream::connect(addr).await;
        let handshake = h2::client::handshake(tcp.expect("connects")).await;
        let (mut requests, connection) = handshake.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let request = Request::get(format!("http://localhost{path}")).body(());
        let (response, _) = requests
            .send_request(request.expect("a request"), true)
            .expect("sent");
        let mut body = response.await.expect("a response").into_body();
        let data = body.data().await.expect("a body").expect("data");
        connection.abort();
        String::from_utf8(data.into()).expect("text")
    };
    runtime.block_on(async {
        let got = tokio::time::timeout(DEADLINE, get).await;
        got.expect("the test hangs")
    })
}

/// The status and the body of `/healthz`.
fn healthz(admin: SocketAddr) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < DEADLINE, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn healthz_names_the_worker_that_a_handler_blocks() {
    for driver in DRIVERS {
        let (handle, release, _) = start(driver);
        let addr = handle.local_addrs()[0];
        let admin = Admin::new(([127, 0, 0, 1], 0).into());
        let admin = admin.start(handle.observer()).expect("a port");
        let ok = (200, "ok\n".to_owned());
        assert_eq!(healthz(admin), ok);
        let blocked = thread::spawn(move || get(addr, "/block"));
        wait_for("503", || healthz(admin).0 == 503);
        let text = healthz(admin).1;
        assert_eq!(text.lines().count(), 1, "one worker of two: {text}");
        drop(release);
        let worker = blocked.join().expect("a response");
        let named = format!("worker {worker} has not run for ");
        assert!(text.starts_with(&named), "{named:?}: {text}");
        wait_for("200 again", || healthz(admin) == ok);
        handle.shutdown(Duration::ZERO);
        handle.wait().expect("no panic");
        assert_eq!(healthz(admin), ok, "a worker that has ended is not stalled");
    }
}

#[test]
fn a_busy_worker_has_a_heartbeat() {
    for driver in DRIVERS {
        let (handle, _release, idle) = start(driver);
        let addr = handle.local_addrs()[0];
        let busy = thread::spawn(move || get(addr, "/busy"));
        let in_flight = |worker: &corelane::WorkerStatus| worker.counters.requests_in_flight() > 0;
        let mut index = None;
        wait_for("the request is in flight", || {
            index = handle.workers().iter().position(in_flight);
            index.is_some()
        });
        let index = index.expect("found");
        let (mut last, mut beats) = (Duration::ZERO, 0);
        wait_for("two beats", || {
            let worker = handle.workers()[index];
            assert!(in_flight(&worker), "it is still busy");
            beats += usize::from(worker.since_heartbeat < last);
            last = worker.since_heartbeat;
            beats == 2
        });
        idle.store(true, Ordering::Relaxed);
        assert_eq!(busy.join().expect("a response"), index.to_string());
        handle.shutdown(Duration::ZERO);
        handle.wait().expect("no panic");
    }
}
