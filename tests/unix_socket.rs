//! Tests Unix sockets: served as TCP is, on every backend and driver, with their files.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream as StdStream},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use corelane::{
    Affinity, Body, Builder, ConnectionOptions, Driver, Handle, Limits, Server, serve_connection,
    service_fn, tls::Cleartext,
};
use corelane_test_support::{
    Backend, Drivers, H2Client, block_on,
    client::{Stream, over, send},
    deadline, for_each_backend,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::UnixStream};

for_each_backend!(
    requests_on_a_unix_socket_are_served_as_on_tcp,
    all_workers_accept_from_one_socket,
    proxy_header_on_a_unix_socket_sets_peer_address,
    a_server_takes_a_unix_socket_over,
    serve_connection_serves_a_unix_stream,
);

/// Answers with the client, the proxy and the local address, and the length of the request's body.
async fn answer(request: Request<Body>) -> Result<Response<String>, corelane::Error> {
    let connection = request.body().connection();
    let (proxy, local) = (connection.proxy_addr, connection.local_addr);
    let who = format!("{} {proxy:?} {local:?}", connection.peer());
    let length = request.into_body().collect().await?.to_bytes().len();
    Ok(Response::new(format!("{who} {length}")))
}

const DIRECT: &str = "unix: None None";

struct Socket {
    _directory: TempDir,
    path: PathBuf,
}

impl Socket {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("http.sock");
        Self {
            _directory: directory,
            path,
        }
    }
}

fn builder(backend: Backend, driver: Driver, workers: usize) -> Builder {
    Server::builder(backend.acceptor())
        .workers(workers)
        .affinity(Affinity::None)
        .driver(driver)
}

fn serve(builder: Builder) -> Handle {
    let server = builder.bind().expect("a socket");
    server.serve(|_| service_fn(answer)).expect("workers")
}

fn stop(handle: Handle) {
    handle.shutdown(Duration::from_secs(10));
    handle.wait().expect("no worker panicked");
}

/// Uploads this many bytes.
async fn ask(backend: Backend, stream: impl Stream + 'static, length: usize) -> String {
    let stream = over(backend, stream).await;
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let client = H2Client::new(requests, connection);
    let request = Request::post("https://localhost/").body(vec![7; length].into());
    let request = request.expect("a request");
    let answer = client
        .run(|requests| async move { send(&requests, request, None).await })
        .await;
    String::from_utf8(answer.expect("answered").body).expect("text")
}

async fn connect(path: &Path) -> UnixStream {
    UnixStream::connect(path).await.expect("connects")
}

fn requests_on_a_unix_socket_are_served_as_on_tcp(backend: Backend) {
    for &driver in Drivers::all() {
        let socket = Socket::new();
        let handle = serve(builder(backend, driver, 1).listen_unix(&socket.path));
        assert_eq!(handle.unix_paths(), [&*socket.path]);
        assert!(handle.local_addrs().is_empty());
        let mode = fs::metadata(&socket.path)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o660);
        deadline(async {
            let received = ask(backend, connect(&socket.path).await, 0).await;
            assert_eq!(received, format!("{DIRECT} 0"));
            // More than the socket's buffers hold.
            let received = ask(backend, connect(&socket.path).await, 3 << 20).await;
            assert_eq!(received, format!("{DIRECT} {}", 3 << 20));
        });
        let counters = handle.workers()[0].counters;
        assert_eq!(counters.connections_accepted, 2);
        assert_eq!(counters.handshakes_completed, 2);
        stop(handle);
        assert!(!socket.path.exists(), "removed at the end");
    }
}

fn all_workers_accept_from_one_socket(backend: Backend) {
    const CONNECTIONS: u64 = 200;
    for &driver in Drivers::all() {
        let socket = Socket::new();
        let handle = serve(builder(backend, driver, 2).listen_unix(&socket.path));
        let accepted = || -> Vec<_> {
            let workers = handle.workers().into_iter();
            workers.map(|it| it.counters.connections_accepted).collect()
        };
        let mut open = 0;
        deadline(async {
            // Both in the end, however the threads are scheduled.
            while open < CONNECTIONS || accepted().contains(&0) {
                drop(connect(&socket.path).await);
                open += 1;
                while accepted().iter().sum::<u64>() < open {
                    tokio::task::yield_now().await;
                }
            }
            ask(backend, connect(&socket.path).await, 0).await;
        });
        println!("{driver:?}: {:?}", accepted());
        stop(handle);
    }
}

fn proxy_header_on_a_unix_socket_sets_peer_address(backend: Backend) {
    for &driver in Drivers::all() {
        let socket = Socket::new();
        let limits = Limits::default().handshake(Duration::from_secs(20));
        let proxied = builder(backend, driver, 1)
            .listen_unix(&socket.path)
            .limits(limits)
            .unix_proxy_protocol(true);
        let handle = serve(proxied);
        deadline(async {
            let mut stream = connect(&socket.path).await;
            let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n";
            stream.write_all(header).await.expect("sent");
            let received = ask(backend, stream, 0).await;
            assert_eq!(received, "192.0.2.7:12345 None None 0");
            // The proxy speaks for itself.
            let mut stream = connect(&socket.path).await;
            stream.write_all(b"PROXY UNKNOWN\r\n").await.expect("sent");
            assert_eq!(ask(backend, stream, 0).await, format!("{DIRECT} 0"));
            let mut stream = connect(&socket.path).await;
            let beginning = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            stream.write_all(beginning).await.expect("sent");
            while handle.workers()[0].counters.proxy_headers_refused == 0 {
                tokio::task::yield_now().await;
            }
        });
        stop(handle);
    }
}

fn a_server_takes_a_unix_socket_over(backend: Backend) {
    for &driver in Drivers::all() {
        let socket = Socket::new();
        let first = serve(builder(backend, driver, 1).listen_unix(&socket.path));
        let listeners = first.unix_listeners().expect("clones");
        assert_eq!(listeners.len(), 1);
        let second = builder(backend, driver, 1).listen_unix(&socket.path);
        let second = listeners.into_iter().fold(second, Builder::unix_listener);
        let server = second.bind().expect("the given socket");
        drop(server);
        assert!(
            socket.path.exists(),
            "a server that does not start leaves the file"
        );
        let second = builder(backend, driver, 1).listen_unix(&socket.path);
        let listeners = first.unix_listeners().expect("clones");
        let second = serve(listeners.into_iter().fold(second, Builder::unix_listener));
        first.hand_over(Duration::from_secs(10));
        first.wait().expect("no worker panicked");
        deadline(async {
            let received = ask(backend, connect(&socket.path).await, 0).await;
            assert_eq!(received, format!("{DIRECT} 0"));
        });
        assert_eq!(second.workers()[0].counters.connections_accepted, 1);
        stop(second);
        assert!(!socket.path.exists(), "the second server owns the file");
    }
}

fn serve_connection_serves_a_unix_stream(backend: Backend) {
    for &driver in Drivers::all() {
        let (ours, theirs) = StdStream::pair().expect("a pair");
        let serving = thread::spawn(move || {
            let serve = async {
                if driver == Driver::Epoll {
                    theirs.set_nonblocking(true).expect("a socket");
                }
                let stream = monoio::net::UnixStream::from_std(theirs).expect("a socket");
                let options = ConnectionOptions::default();
                let acceptor = backend.acceptor();
                serve_connection(stream, &*acceptor, service_fn(answer), &options).await
            };
            block_on(driver, serve)
        });
        deadline(async {
            ours.set_nonblocking(true).expect("a socket");
            let ours = UnixStream::from_std(ours).expect("a socket");
            assert_eq!(ask(backend, ours, 0).await, format!("{DIRECT} 0"));
        });
        // How the client closed does not matter here.
        let _ = serving.join().expect("no panic");
    }
}

fn on(path: &Path) -> Builder {
    Server::builder(Cleartext).workers(1).listen_unix(path)
}

#[test]
fn a_socket_on_which_nobody_listens_is_replaced() {
    let socket = Socket::new();
    drop(UnixListener::bind(&socket.path).expect("a socket"));
    let stale = fs::metadata(&socket.path).expect("left behind").ino();
    let server = on(&socket.path).unix_mode(0o606).bind().expect("replaced");
    let metadata = fs::metadata(&socket.path).expect("a socket");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o606);
    assert_eq!(server.unix_paths(), [&*socket.path]);
    StdStream::connect(&socket.path).expect("listens");
    drop(server);
    assert!(!socket.path.exists(), "removed, inode {stale} too");
}

#[test]
fn a_socket_in_use_and_another_file_are_errors_and_stay() {
    let socket = Socket::new();
    let listener = UnixListener::bind(&socket.path).expect("a socket");
    let error = on(&socket.path).bind().expect_err("in use");
    assert!(error.is_bind());
    assert!(
        error.to_string().contains("a server listens there"),
        "{error}"
    );
    StdStream::connect(&socket.path).expect("listens");
    drop(listener);
    fs::remove_file(&socket.path).expect("a file");

    fs::write(&socket.path, "data").expect("written");
    let error = on(&socket.path).bind().expect_err("a file");
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read(&socket.path).expect("stays"), b"data");
    fs::remove_file(&socket.path).expect("a file");

    let nowhere = socket.path.join("http.sock");
    let error = on(&nowhere).bind().expect_err("no directory");
    assert!(error.to_string().contains("does not exist"), "{error}");
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(108)));
    let error = on(&long).check().expect_err("too long");
    assert!(error.is_config(), "{error}");
    let error = on(&socket.path)
        .unix_mode(0o1777)
        .check()
        .expect_err("a mode");
    assert!(error.is_config(), "{error}");
}

#[test]
fn the_file_of_another_socket_is_not_removed() {
    let socket = Socket::new();
    let given = UnixListener::bind(&socket.path).expect("a socket");
    let server = Server::builder(Cleartext)
        .workers(1)
        .unix_listener(given.try_clone().expect("a clone"))
        .bind()
        .expect("given");
    drop(server);
    assert!(socket.path.exists(), "the file of the caller");

    drop(given);
    let server = on(&socket.path).bind().expect("replaced");
    fs::remove_file(&socket.path).expect("a file");
    let _other = UnixListener::bind(&socket.path).expect("another server");
    drop(server);
    assert!(socket.path.exists(), "the file of the other server");
}
