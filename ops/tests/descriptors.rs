//! The admin port when the program that embeds the server has used up its file descriptors. A process
//! of its own, because all of its descriptors are taken.

use std::{convert::Infallible, fs::File, future::ready, net::SocketAddr, time::Duration};

use corelane::{Body, Server, service_fn, tls::Cleartext};
use corelane_ops::Admin;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// The limit on open files.
const FILES: u64 = 100;

async fn ask(client: TcpSocket, admin: SocketAddr, path: &str) -> (TcpStream, String) {
    let mut stream = client.connect(admin).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    let read = timeout(DEADLINE, stream.read_to_string(&mut response)).await;
    read.expect("in time").expect("a response");
    (stream, response)
}

#[test]
fn admin_port_answers_when_the_program_has_no_descriptor_left() {
    rlimit::setrlimit(rlimit::Resource::NOFILE, FILES, FILES).expect("a limit");
    let server = Server::builder(Cleartext)
        .listen("127.0.0.1:0")
        .workers(1)
        .bind()
        .expect("loopback");
    let handle = server.serve(|_| {
        service_fn(|_: Request<Body>| ready(Ok::<_, Infallible>(Response::new(String::new()))))
    });
    let handle = handle.expect("a worker");
    let admin = Admin::new(([127, 0, 0, 1], 0).into());
    let admin = admin.start(handle.observer()).expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = || TcpSocket::new_v4().expect("a socket");
        // Answered when its thread has taken its own.
        drop(ask(client(), admin, "/healthz").await);
        let clients: Vec<_> = (0..30).map(|_| client()).collect();
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        assert!(!taken.is_empty());
        // They stay open, so that none of their descriptors becomes free.
        let mut asked = Vec::new();
        for (i, client) in clients.into_iter().enumerate() {
            let path = ["/metrics", "/healthz", "/readyz"][i % 3];
            let (stream, response) = ask(client, admin, path).await;
            let status = if path == "/readyz" { "503" } else { "200" };
            let beginning = format!("HTTP/1.1 {status} ");
            assert!(response.starts_with(&beginning), "{path}: {response}");
            if path == "/metrics" {
                let limit = format!("\nprocess_max_fds {FILES}\n");
                assert!(response.contains(&limit), "{response}");
            }
            asked.push(stream);
        }
    });
    handle.shutdown(Duration::ZERO);
    handle.wait().expect("no panic");
}
