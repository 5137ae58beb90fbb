//! The command as systemd starts it: with sockets and with a socket for notifications.

mod support;

use std::{
    ffi::OsStr,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::symlink,
            net::{SocketAddr as UnixAddr, UnixDatagram},
        },
    },
    path::Path,
    process::Command,
};

use command_fds::{CommandFdExt, FdMapping};
use http::StatusCode;

use support::{
    Corelane, DEADLINE,
    client::{asked, get, run},
    command,
    program_dir::{ProgramDir, runs, signal, until},
};

/// As systemd passes it. The test keeps it open, as systemd does.
fn first_socket(socket: &TcpListener) -> FdMapping {
    FdMapping {
        parent_fd: socket.try_clone().expect("a handle").into(),
        child_fd: 3,
    }
}

/// Starts the command as systemd does.
fn on_socket(socket: &TcpListener, args: &[&str]) -> Corelane {
    on_named_socket(socket, "web", args)
}

fn on_named_socket(socket: &TcpListener, name: &str, args: &[&str]) -> Corelane {
    let mut command = command(args);
    command
        .fd_mappings(vec![first_socket(socket)])
        .expect("one");
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
    Corelane::start_by(command)
}

#[test]
fn clients_of_a_systemd_socket_wait_between_two_servers() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("bound");
    for args in [
        &["--tls", "none", "--workers", "3"][..],
        // The same socket, named by --listen too.
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
        TcpStream::connect(addr).expect("the kernel queues the connection");
    }
    let udp = udp_socket();
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
    let message = String::from_utf8(refused.stderr).expect("text");
    assert!(message.contains("the inherited socket 0"), "{message}");
}

/// A free port of 127.0.0.1.
fn free_addr() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("bound")
}

#[test]
fn systemd_sockets_are_served_after_upgrades() {
    let dir = ProgramDir::make("given");
    let socket = TcpListener::bind("127.0.0.2:0").expect("a port");
    // Beside --listen 127.0.0.1:0, which must not take this socket.
    let own = free_addr().to_string();
    let mut command = dir.command(&["--tls", "none", "--listen", &own]);
    command
        .fd_mappings(vec![first_socket(&socket)])
        .expect("one");
    command.env("LISTEN_FDS", "1");
    let mut server = Corelane::start_by(command);
    let addrs = server.listens_on();
    assert_eq!(addrs.len(), 3, "{addrs:?}");
    // Two upgrades: the second process passes on the sockets from the first.
    for _ in 0..2 {
        let id = dir.pid().expect("a pid file");
        let output = dir.upgrade(id);
        assert!(output.status.success(), "{output:?}");
        until("the old process has ended", || {
            !runs(id) || id == server.id()
        });
        if id == server.id() {
            assert!(server.wait().success());
        }
        for addr in &addrs {
            assert_eq!(asked(*addr, "/"), StatusCode::OK);
        }
    }
}

#[test]
fn a_systemd_socket_for_the_admin_port_serves_nothing_else() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("bound");
    let listen = ["--tls", "none", "--listen", "127.0.0.1:0"];
    let server = on_named_socket(&socket, "corelane-admin", &listen);
    assert!(!server.listens_on().contains(&addr));
    drop(server);
    let addr = addr.to_string();
    let with_admin = [&listen[..], &["--admin", &addr]].concat();
    let server = on_named_socket(&socket, "corelane-admin", &with_admin);
    server.assert_printed(&format!("metrics: http://{addr}/metrics"));
    assert_eq!(server.listens_on().len(), 1);
}

/// A socket that is not TCP.
fn udp_socket() -> std::net::UdpSocket {
    std::net::UdpSocket::bind("127.0.0.1:0").expect("a port")
}

/// The next notification.
fn received(manager: &UnixDatagram) -> String {
    let mut text = [0; 4096];
    let length = manager.recv(&mut text).expect("a notification");
    String::from_utf8_lossy(&text[..length]).into_owned()
}

#[test]
fn systemd_is_notified() {
    let dir = ProgramDir::make("notify");
    let path: &Path = &dir.directory.join("notify");
    let manager = UnixDatagram::bind(path).expect("a socket");
    notifies(&dir, &manager, path.as_os_str());
}

/// As service managers in containers name it.
#[test]
fn a_service_manager_with_an_abstract_socket_is_notified() {
    let dir = ProgramDir::make("abstract");
    let name = format!("corelane-test-{}", std::process::id());
    let addr = UnixAddr::from_abstract_name(&name).expect("an address");
    let manager = UnixDatagram::bind_addr(&addr).expect("a socket");
    notifies(&dir, &manager, OsStr::new(&format!("@{name}")));
}

fn notifies(dir: &ProgramDir, manager: &UnixDatagram, path: &OsStr) {
    manager.set_read_timeout(Some(DEADLINE)).expect("set");
    let receives = |all: &[&str]| {
        let text = received(manager);
        for wanted in all {
            assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
        }
    };
    let configuration = dir.directory.join("toml");
    fs::write(&configuration, "").expect("written");
    let mut start = dir.command(&["--tls", "none", "--config"]);
    let mut old = Corelane::start_by({
        start.arg(&configuration).env("NOTIFY_SOCKET", path);
        start
    });
    let id = dir.pid().expect("a pid file");
    receives(&["READY=1", "STATUS=serving"]);
    let reload = |text: &str| {
        fs::write(&configuration, text).expect("written");
        let mut reload = command(&["reload", "--pid", &id.to_string()]);
        reload.output().expect("the command runs").status.code()
    };
    assert_eq!(reload("idle-timeout = 5"), Some(0));
    receives(&["RELOADING=1", "MONOTONIC_USEC=", "STATUS=reloading"]);
    receives(&["READY=1", "STATUS=serving, after a reload\n"]);
    assert_eq!(reload("driver = \"epoll\""), Some(0));
    receives(&["RELOADING=1", "MONOTONIC_USEC="]);
    receives(&["READY=1", "after a reload; --driver needs a restart"]);
    assert_eq!(reload("one = 1\ntwo = 2"), Some(1));
    receives(&["RELOADING=1", "MONOTONIC_USEC="]);
    receives(&[
        "READY=1",
        "the reload failed: ",
        "toml:1: ",
        "; ",
        "toml:2: ",
    ]);
    assert_eq!(reload(""), Some(0));
    receives(&["RELOADING=1", "MONOTONIC_USEC="]);
    receives(&["READY=1", "STATUS=serving, after a reload\n"]);
    dir.replace_program(Some("exit 3"));
    assert!(!dir.upgrade(id).status.success());
    receives(&["RELOADING=1", "MONOTONIC_USEC="]);
    receives(&["READY=1", "STATUS=serving; the upgrade failed"]);
    dir.replace_program(None);
    symlink(env!("CARGO_BIN_EXE_corelane"), dir.program()).expect("a link");
    assert!(dir.upgrade(id).status.success());
    let new = dir.pid().expect("a pid file");
    receives(&["RELOADING=1", "MONOTONIC_USEC="]);
    receives(&["READY=1", &format!("MAINPID={new}\n")]);
    assert!(old.wait().success());
    signal(new, "-TERM");
    receives(&["STOPPING=1", "STATUS=draining"]);
}
