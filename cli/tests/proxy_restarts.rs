//! A proxy that is upgraded under load, in front of an application that restarts under load: only the
//! requests that the application had in hand are lost, and their clients are told so by 502.

mod support;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use http::{Request, StatusCode};
use tokio::task::JoinSet;

use support::{
    Corelane,
    client::{Unprocessed, connect, run, unless_unprocessed},
    program_dir::{ProgramDir, until},
};

const REQUESTS: usize = 10_000;
const UPGRADES: usize = 6;
const RESTARTS: usize = 2;
const CLIENTS: usize = 16;

/// What a request takes the application, so that it has some in hand whenever it restarts.
const WORK: Duration = Duration::from_millis(1);

/// An application whose listening socket outlives it, as with a service manager's socket.
struct Application {
    addr: SocketAddr,
    open: Arc<Mutex<HashMap<usize, TcpStream>>>,
}

impl Application {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let open = Arc::new(Mutex::new(HashMap::new()));
        let application = Self {
            addr,
            open: Arc::clone(&open),
        };
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.expect("a connection");
                let kept = stream.try_clone().expect("a descriptor");
                open.lock().expect("no panic").insert(number, kept);
                let open = Arc::clone(&open);
                thread::spawn(move || {
                    // Its error: the proxy or a restart has closed the connection.
                    let _ = answer(&stream);
                    open.lock().expect("no panic").remove(&number);
                });
            }
        });
        application
    }

    /// Closes all connections, whatever they do. Returns how many there were: each has at most one
    /// request.
    fn restart(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().expect("no panic"));
        for stream in open.values() {
            // An error: the proxy has closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        open.len()
    }
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            thread::sleep(WORK);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?;
        }
    }
    Ok(())
}

/// How the requests of all clients ended.
#[derive(Default)]
struct Answers {
    good: AtomicUsize,
    bad_gateway: AtomicUsize,
}

impl Answers {
    fn count(&self) -> usize {
        self.good.load(Relaxed) + self.bad_gateway.load(Relaxed)
    }
}

/// Sends requests one after the other, on a new connection after each GOAWAY.
async fn send_requests(addr: SocketAddr, method: &'static str, answers: Arc<Answers>) {
    let mut requests = connect(addr, "none").await;
    let mut left = REQUESTS / CLIENTS;
    while left > 0 {
        match ask(&requests, method).await {
            Ok(StatusCode::OK) => answers.good.fetch_add(1, Relaxed),
            Ok(StatusCode::BAD_GATEWAY) => answers.bad_gateway.fetch_add(1, Relaxed),
            Ok(status) => panic!("lost: {status}"),
            Err(Unprocessed) => {
                requests = connect(addr, "none").await;
                continue;
            }
        };
        left -= 1;
    }
}

async fn ask(
    requests: &h2::client::SendRequest<bytes::Bytes>,
    method: &str,
) -> Result<StatusCode, Unprocessed> {
    let mut requests = requests.clone().ready().await.map_err(unless_unprocessed)?;
    let request = Request::builder().method(method).uri("http://localhost/");
    let sent = requests.send_request(request.body(()).expect("a request"), true);
    let (response, _) = sent.map_err(unless_unprocessed)?;
    let (head, mut body) = response.await.map_err(unless_unprocessed)?.into_parts();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data.expect("lost"));
    }
    if head.status == StatusCode::OK {
        assert_eq!(received, b"hello");
    }
    Ok(head.status)
}

#[test]
fn upgrades_lose_no_request_and_a_restarted_upstream_only_those_in_hand() {
    let application = Application::start();
    let dir = ProgramDir::make("proxy");
    let upstream = format!("http://{}", application.addr);
    let mut first = Corelane::start_by(dir.command(&["--tls", "none", "--upstream", &upstream]));
    let addr = first.addr();
    let answers = Arc::new(Answers::default());
    let sending = {
        let answers = Arc::clone(&answers);
        thread::spawn(move || {
            run(async {
                let mut clients = JoinSet::new();
                for client in 0..CLIENTS {
                    // A proxy repeats a GET on a connection that was closed, but no POST.
                    let method = if client % 2 == 0 { "GET" } else { "POST" };
                    clients.spawn(send_requests(addr, method, Arc::clone(&answers)));
                }
                while let Some(client) = clients.join_next().await {
                    client.expect("no request is lost");
                }
            });
        })
    };
    let mut in_hand = 0;
    for event in 1..=UPGRADES + RESTARTS {
        let due = REQUESTS * event / (UPGRADES + RESTARTS + 1);
        until("the requests go on", || {
            answers.count() >= due || sending.is_finished()
        });
        assert!(!sending.is_finished(), "the events come too late");
        if event % 4 == 0 {
            in_hand += application.restart();
        } else {
            let output = dir.upgrade(dir.pid().expect("a pid file"));
            assert!(output.status.success(), "{output:?}");
        }
    }
    sending.join().expect("no request is lost");
    assert!(first.wait().success());
    let (good, bad) = (
        answers.good.load(Relaxed),
        answers.bad_gateway.load(Relaxed),
    );
    println!("{good} answered, {bad} with 502, {in_hand} connections at the restarts");
    assert_eq!(good + bad, REQUESTS / CLIENTS * CLIENTS);
    assert!(in_hand > 0, "no restart met a connection");
    assert!(bad <= in_hand, "{bad} of {in_hand}");
}
