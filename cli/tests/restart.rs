//! Restarts: by upgrade, by sockets of the service manager, by takeover. Nothing is lost, and what
//! goes wrong leaves the old server as it was.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::symlink, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use command_fds::{CommandFdExt, FdMapping};
use h2::{Reason, client::SendRequest};
use http::{Request, StatusCode};
use tokio::task::JoinSet;

use support::{Corelane, DEADLINE, command, trusting};

/// The backends that are compiled in.
const BACKENDS: &[&str] = &[
    "none",
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    "rustls",
    #[cfg(feature = "native-tls")]
    "native-tls",
];

/// A directory with the program beneath a name of its own, so that it can be replaced; and with the
/// pid file. Whoever is named there is ended with it.
struct Place {
    directory: PathBuf,
}

impl Place {
    fn make(name: &str) -> Self {
        let id = std::process::id();
        let directory = std::env::temp_dir().join(format!("corelane-restart-{id}-{name}"));
        fs::create_dir_all(directory.join("run")).expect("a directory");
        symlink(env!("CARGO_BIN_EXE_corelane"), directory.join("corelane")).expect("a link");
        Self { directory }
    }

    fn program(&self) -> PathBuf {
        self.directory.join("corelane")
    }

    fn pid_file(&self) -> PathBuf {
        self.directory.join("run/pid")
    }

    fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.pid_file())
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(["--listen", "127.0.0.1:0", "--workers", "2"]);
        command.arg("--pid-file").arg(self.pid_file()).args(args);
        command
    }

    /// By the program itself, whatever lies at its place.
    fn upgrade(&self, server: u32) -> Output {
        let args = ["upgrade", "--pid", &server.to_string()];
        command(&args).output().expect("the command runs")
    }

    fn replace_program(&self, script: Option<&str>) {
        use std::os::unix::fs::PermissionsExt;
        fs::remove_file(self.program()).expect("it was there");
        if let Some(script) = script {
            fs::write(self.program(), format!("#!/bin/sh\n{script}\n")).expect("written");
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.program(), executable).expect("executable");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            signal(pid, "-KILL");
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn signal(pid: u32, signal: &str) {
    let _ = Command::new("kill")
        .args([signal, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Whether that process has not ended yet.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is one that nobody has waited for.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until it is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < DEADLINE, "never: {what}");
        std::thread::yield_now();
    }
}

/// What was said of a request by who did not answer it: that it was not processed.
#[derive(Debug)]
struct Unprocessed;

fn unless_unprocessed(error: h2::Error) -> Unprocessed {
    let so = error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
    assert!(so, "lost: {error:?}");
    Unprocessed
}

async fn connect(addr: SocketAddr, backend: &str) -> SendRequest<Bytes> {
    let tcp = tokio::net::TcpStream::connect(addr).await.expect("lost");
    if backend == "none" {
        let (requests, connection) = h2::client::handshake(tcp).await.expect("lost");
        tokio::spawn(connection);
        return requests;
    }
    let tls = trusting::connect(tcp, b"h2").await.expect("lost");
    let (requests, connection) = h2::client::handshake(tls).await.expect("lost");
    tokio::spawn(connection);
    requests
}

async fn get(
    requests: &SendRequest<Bytes>,
    path: &str,
) -> Result<(StatusCode, Vec<u8>), Unprocessed> {
    let mut requests = requests.clone().ready().await.map_err(unless_unprocessed)?;
    let request = Request::get(format!("http://localhost{path}"));
    let request = request.body(()).expect("a request");
    let sent = requests.send_request(request, true);
    let (response, _) = sent.map_err(unless_unprocessed)?;
    let (head, mut body) = response.await.map_err(unless_unprocessed)?.into_parts();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data.expect("lost"));
    }
    Ok((head.status, received))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let result = tokio::time::timeout(DEADLINE, work).await;
            result.expect("the test hangs")
        })
}

fn asked(addr: SocketAddr, path: &str) -> StatusCode {
    run(async {
        let requests = connect(addr, "none").await;
        get(&requests, path).await.expect("answered").0
    })
}

/// Asks on a new connection each time, until it is to end.
async fn ask_on_new_connections(
    addr: SocketAddr,
    backend: &'static str,
    answers: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
) {
    while !end.load(Relaxed) {
        let requests = connect(addr, backend).await;
        if let Ok((status, body)) = get(&requests, "/bytes/1000").await {
            assert_eq!((status, body.len()), (StatusCode::OK, 1000));
            answers.fetch_add(1, Relaxed);
        }
    }
}

#[test]
fn an_upgrade_loses_nothing() {
    const CLIENTS: usize = 8;
    const ANSWERS: u64 = 100;
    for &backend in BACKENDS {
        let place = Place::make(backend);
        let mut old = Corelane::start_by(place.command(&["--tls", backend]));
        let (addr, old_id) = (old.addr(), place.pid().expect("a pid file"));
        run(async {
            let (answers, end) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                let (answers, end) = (Arc::clone(&answers), Arc::clone(&end));
                clients.spawn(ask_on_new_connections(addr, backend, answers, end));
            }
            // A stream that the upgrade finds in flight.
            let mut requests = connect(addr, backend).await.ready().await.expect("ready");
            let request = Request::post("http://localhost/echo").body(());
            let sent = requests.send_request(request.expect("a request"), false);
            let (response, mut echo) = sent.expect("sent");
            let mut echoed = response.await.expect("answered").into_body();

            let more = async |wanted: u64| {
                let wanted = answers.load(Relaxed) + wanted;
                while answers.load(Relaxed) < wanted {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            more(ANSWERS).await;
            let mut upgrade = tokio::process::Command::new(env!("CARGO_BIN_EXE_corelane"));
            let upgrade = upgrade
                .arg("upgrade")
                .arg("--pid-file")
                .arg(place.pid_file());
            let upgraded = upgrade.output().await.expect("the command runs");
            assert!(upgraded.status.success(), "{upgraded:?}");
            assert_ne!(place.pid(), Some(old_id));
            // Told to go elsewhere with what is not yet under way.
            while let Ok(ready) = requests.clone().ready().await {
                drop(ready);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            more(ANSWERS).await;
            echo.send_data("to the end".into(), true).expect("sent");
            let mut received = Vec::new();
            while let Some(data) = echoed.data().await {
                received.extend_from_slice(&data.expect("lost"));
            }
            assert_eq!(received, b"to the end");
            drop((requests, echo));
            // The old one has ended, and there are still answers.
            let ended = tokio::task::spawn_blocking(move || old.wait());
            assert!(ended.await.expect("waited").success());
            more(ANSWERS).await;
            end.store(true, Relaxed);
            while let Some(client) = clients.join_next().await {
                client.expect("nothing is lost");
            }
        });
        let new_id = place.pid().expect("a pid file");
        signal(new_id, "-TERM");
        until("the pid file is gone", || place.pid().is_none());
    }
}

#[test]
fn a_new_process_that_fails_leaves_the_old_one_as_it_was() {
    let place = Place::make("broken");
    let args = ["--tls", "none", "--upgrade-timeout", "1"];
    let server = Corelane::start_by(place.command(&args));
    let id = place.pid().expect("a pid file");
    let fails = |advice: &str| {
        let output = place.upgrade(id);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains(advice), "{said}");
        assert!(said.contains(&format!("process {id} goes on")), "{said}");
        assert_eq!(asked(server.addr(), "/readyz"), StatusCode::OK);
    };
    // It says itself why it does not serve.
    fs::rename(place.directory.join("run"), place.directory.join("away")).expect("renamed");
    fails("cannot write the pid file");
    fs::rename(place.directory.join("away"), place.directory.join("run")).expect("renamed");
    place.replace_program(Some("exit 3"));
    fails("exit status: 3");
    place.replace_program(Some("exec sleep 1000"));
    fails("does not serve after 1s");
    place.replace_program(None);
    fails("No such file");
    assert_eq!(place.pid(), Some(id));
    // And when it is mended.
    symlink(env!("CARGO_BIN_EXE_corelane"), place.program()).expect("a link");
    // Perhaps not within the second that it has here, at once.
    until("an upgrade", || place.upgrade(id).status.success());
    assert_ne!(place.pid(), Some(id));
    assert_eq!(asked(server.addr(), "/readyz"), StatusCode::OK);
}

#[test]
fn who_is_no_server_is_not_ended_by_an_upgrade() {
    let place = Place::make("no-server");
    let output = place.upgrade(std::process::id());
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("does not take SIGUSR2"), "{said}");
}

/// As systemd passes it, and stays open whoever serves.
fn first_socket(socket: &TcpListener) -> FdMapping {
    FdMapping {
        parent_fd: socket.try_clone().expect("a handle").into(),
        child_fd: 3,
    }
}

/// Started as systemd does.
fn on_socket(socket: &TcpListener, args: &[&str]) -> Corelane {
    let mut command = command(args);
    command
        .fd_mappings(vec![first_socket(socket)])
        .expect("one");
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    Corelane::start_by(command)
}

#[test]
fn on_a_socket_of_the_service_manager_clients_wait_between_two_servers() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("bound");
    for args in [
        &["--tls", "none", "--workers", "3"][..],
        // Named once more, it is the same.
        &["--tls", "none", "--listen", &addr.to_string()],
    ] {
        run(async {
            let waiting = tokio::net::TcpStream::connect(addr).await.expect("a queue");
            let mut server = on_socket(&socket, args);
            assert_eq!(server.addr(), addr);
            let (requests, connection) = h2::client::handshake(waiting).await.expect("HTTP/2");
            tokio::spawn(connection);
            assert_eq!(
                get(&requests, "/").await.expect("answered").0,
                StatusCode::OK
            );
            drop(requests);
            server.signal("-TERM");
            let ended = tokio::task::spawn_blocking(move || server.wait());
            assert!(ended.await.expect("waited").success());
        });
        TcpStream::connect(addr).expect("nobody serves, and clients wait");
    }
    let udp = of_udp();
    let refused = Command::new(env!("CARGO_BIN_EXE_corelane"))
        .args(["--tls", "none"])
        .env("LISTEN_FDS", "1")
        .fd_mappings(vec![FdMapping {
            parent_fd: udp.into(),
            child_fd: 3,
        }])
        .expect("one")
        .output()
        .expect("the command runs");
    let said = String::from_utf8(refused.stderr).expect("text");
    assert!(said.contains("the inherited socket 0"), "{said}");
}

/// A free port of 127.0.0.1.
fn free_addr() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("bound")
}

#[test]
fn sockets_of_the_service_manager_are_served_after_upgrades_whatever_is_listened_on() {
    let place = Place::make("given");
    let socket = TcpListener::bind("127.0.0.2:0").expect("a port");
    // Beside port 0 of the same host, which must not take its socket.
    let own = free_addr().to_string();
    let mut command = place.command(&["--tls", "none", "--listen", &own]);
    command
        .fd_mappings(vec![first_socket(&socket)])
        .expect("one");
    command.env("LISTEN_FDS", "1");
    let mut server = Corelane::start_by(command);
    let addrs = server.listens_on();
    assert_eq!(addrs.len(), 3, "{addrs:?}");
    // Handed over twice: the one that was given it by a server gives it on.
    for _ in 0..2 {
        let id = place.pid().expect("a pid file");
        let output = place.upgrade(id);
        assert!(output.status.success(), "{output:?}");
        until("the old one has ended", || !runs(id) || id == server.id());
        if id == server.id() {
            assert!(server.wait().success());
        }
        for addr in &addrs {
            assert_eq!(asked(*addr, "/"), StatusCode::OK);
        }
    }
}

/// No TCP.
fn of_udp() -> std::net::UdpSocket {
    std::net::UdpSocket::bind("127.0.0.1:0").expect("a port")
}

/// What a service manager hears next.
fn heard(manager: &UnixDatagram) -> String {
    let mut text = [0; 4096];
    let length = manager.recv(&mut text).expect("a notification");
    String::from_utf8_lossy(&text[..length]).into_owned()
}

#[test]
fn systemd_is_told() {
    let place = Place::make("notify");
    let path: &Path = &place.directory.join("notify");
    let manager = UnixDatagram::bind(path).expect("a socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("set");
    let hears = |all: &[&str]| {
        let text = heard(&manager);
        for wanted in all {
            assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
        }
    };
    let mut command = place.command(&["--tls", "none"]);
    let mut old = Corelane::start_by({
        command.env("NOTIFY_SOCKET", path);
        command
    });
    let id = place.pid().expect("a pid file");
    hears(&["READY=1", "STATUS=serving"]);
    place.replace_program(Some("exit 3"));
    assert!(!place.upgrade(id).status.success());
    hears(&["RELOADING=1", "MONOTONIC_USEC="]);
    hears(&["READY=1", "STATUS=serving; the upgrade failed"]);
    place.replace_program(None);
    symlink(env!("CARGO_BIN_EXE_corelane"), place.program()).expect("a link");
    assert!(place.upgrade(id).status.success());
    let new = place.pid().expect("a pid file");
    hears(&["RELOADING=1", "MONOTONIC_USEC="]);
    hears(&["READY=1", &format!("MAINPID={new}\n")]);
    assert!(old.wait().success());
    signal(new, "-TERM");
    hears(&["STOPPING=1", "STATUS=draining"]);
}

#[test]
fn a_second_server_is_refused_unless_it_is_to_take_over() {
    let place = Place::make("takeover");
    let mut first = Corelane::start_by(place.command(&["--tls", "none"]));
    let (addr, id) = (first.addr(), place.pid().expect("a pid file"));
    let listen = addr.to_string();
    let args = ["--tls", "none", "--listen", &listen];
    let refused = command(&args).output().expect("the command runs");
    let said = String::from_utf8(refused.stderr).expect("text");
    for wanted in [
        &format!("in use by process {id} (corelane)"),
        "corelane upgrade",
        "--takeover",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
    let mut second = command(&[&args[..], &["--takeover"]].concat());
    let log = place.directory.join("log");
    second.stderr(fs::File::create(&log).expect("a file"));
    let second = Corelane::start_by(second);
    let kernel = fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap_or_default();
    let advice = "sysctl net.ipv4.tcp_migrate_req=1";
    let said = fs::read_to_string(log).expect("a log");
    assert_eq!(said.contains(advice), kernel.trim() == "0", "{said}");
    first.signal("-TERM");
    assert!(first.wait().success());
    assert_eq!(asked(second.addr(), "/"), StatusCode::OK);
}

#[test]
fn before_it_ends_it_is_not_ready_for_as_long_as_was_asked() {
    let place = Place::make("delay");
    let args = ["--tls", "none", "--shutdown-delay", "86400"];
    let mut server = Corelane::start_by(place.command(&args));
    let addr = server.addr();
    assert_eq!(asked(addr, "/readyz"), StatusCode::OK);
    server.signal("-TERM");
    until("/readyz tells it", || {
        asked(addr, "/readyz") == StatusCode::SERVICE_UNAVAILABLE
    });
    for path in ["/healthz", "/"] {
        assert_eq!(asked(addr, path), StatusCode::OK);
    }
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(128 + 15));
}

/// A program that writes its process id to `started`, then does this.
fn started_then(started: &Path, then: &str) -> String {
    let started = started.display();
    format!("echo $$ > {started}.new; mv {started}.new {started}; {then}")
}

fn number_in(file: &Path) -> u32 {
    let text = fs::read_to_string(file).expect("a file");
    text.trim().parse().expect("a process id")
}

#[test]
fn who_ends_at_once_leaves_no_server_behind() {
    let real = env!("CARGO_BIN_EXE_corelane");
    for (name, then, signals) in [
        ("twice", "exec sleep 1000".into(), &["-TERM", "-INT"][..]),
        (
            // It is told by nobody, and finds it out when it would serve.
            "killed",
            format!("while kill -0 $PPID; do sleep 0.01; done; exec {real} \"$@\""),
            &["-KILL"],
        ),
    ] {
        let place = Place::make(name);
        let mut server = Corelane::start_by(place.command(&["--tls", "none"]));
        let id = place.pid().expect("a pid file");
        let started = place.directory.join("started");
        place.replace_program(Some(&started_then(&started, &then)));
        server.signal("-USR2");
        until("the new process runs", || started.exists());
        let new = number_in(&started);
        // It gets them all at once, and has no time to do what the first one asks for.
        server.signal("-STOP");
        for signal in signals {
            server.signal(signal);
        }
        server.signal("-CONT");
        assert!(!server.wait().success());
        until("the new one has ended", || !runs(new));
        assert_eq!(place.pid(), Some(id), "{name}: it has not served");
        fs::remove_file(place.pid_file()).expect("a pid file");
    }
}

#[test]
fn what_nobody_reads_does_not_hold_up_an_upgrade() {
    let place = Place::make("unread");
    let (out, mut full) = std::io::pipe().expect("a pipe");
    let mut command = place.command(&["--tls", "none", "--upgrade-timeout", "20"]);
    command.stdout(full.try_clone().expect("a handle"));
    let mut old = command.spawn().expect("the command starts");
    drop(command);
    let mut lines = BufReader::new(&out).lines();
    lines.find(|line| line.as_ref().expect("text").starts_with("try: "));
    // All that a pipe holds, but where it was made larger.
    full.write_all(&[b'.'; 64 << 10]).expect("room");
    let upgraded = place.upgrade(old.id());
    assert!(upgraded.status.success(), "{upgraded:?}");
    assert!(old.wait().expect("a child").success());
    let new = place.pid().expect("a pid file");
    signal(new, "-TERM");
    until("the new one has ended", || !runs(new));
    assert_eq!(place.pid(), None);
}

#[test]
fn a_signal_to_reopen_the_log_does_not_end_a_start() {
    let place = Place::make("early");
    let log = place.directory.join("log");
    let made = Command::new("mkfifo").arg(&log).status();
    assert!(made.expect("mkfifo").success());
    let mut command = place.command(&["--tls", "none", "--access-log"]);
    command.arg(&log).stdout(Stdio::piped());
    let mut server = command.spawn().expect("the command starts");
    // It waits for somebody to read the log.
    let status = format!("/proc/{}/status", server.id());
    until("it takes SIGUSR2", || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap_or_default().trim(), 16);
        caught.is_ok_and(|mask| mask & (1 << 11) != 0)
    });
    signal(server.id(), "-USR1");
    let _reader = fs::File::options().read(true).write(true).open(&log);
    let out = server.stdout.take().expect("piped");
    let said = BufReader::new(out).lines().next();
    signal(server.id(), "-TERM");
    assert!(said.is_some(), "it has ended");
    assert!(server.wait().expect("a child").success());
}

#[test]
fn who_is_to_end_gives_an_upgrade_up() {
    let place = Place::make("given-up");
    let mut server = Corelane::start_by(place.command(&["--tls", "none"]));
    let id = place.pid().expect("a pid file");
    let started = place.directory.join("started");
    place.replace_program(Some(&started_then(&started, "exec sleep 1000")));
    let upgrade = command(&["upgrade", "--pid", &id.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    until("the new process runs", || started.exists());
    server.signal("-TERM");
    assert!(server.wait().success());
    let new = fs::read_to_string(&started).expect("a process id");
    assert!(
        !Path::new("/proc").join(new.trim()).exists(),
        "it has ended before"
    );
    let said = upgrade.wait_with_output().expect("it ends").stderr;
    let said = String::from_utf8(said).expect("text");
    assert!(said.contains("the server is to end"), "{said}");
}
