//! Restarts by upgrade and by takeover: no connection is lost, and a failure leaves the old server
//! as it was.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::symlink,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use tokio::task::JoinSet;

use support::{
    BACKENDS, Corelane,
    alpn::free_port,
    client::{ask_on_new_connections, asked, connect, run},
    command,
    program_dir::{ProgramDir, runs, signal, until},
};

#[test]
fn an_upgrade_loses_no_connection() {
    const CLIENTS: usize = 8;
    const ANSWERS: u64 = 100;
    for &backend in BACKENDS {
        let dir = ProgramDir::make(backend);
        let mut old = Corelane::start_by(dir.command(&["--tls", backend]));
        let (addr, old_id) = (old.addr(), dir.pid().expect("a pid file"));
        run(async {
            let (answers, end) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                let (answers, end) = (Arc::clone(&answers), Arc::clone(&end));
                clients.spawn(ask_on_new_connections(addr, backend, answers, end));
            }
            // A stream in flight during the upgrade.
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
            let upgrade = upgrade.arg("upgrade").arg("--pid-file").arg(dir.pid_file());
            let upgraded = upgrade.output().await.expect("the command runs");
            assert!(upgraded.status.success(), "{upgraded:?}");
            assert_ne!(dir.pid(), Some(old_id));
            // GOAWAY: new requests go elsewhere.
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
            // The old process has ended, and requests are still answered.
            let ended = tokio::task::spawn_blocking(move || old.wait());
            assert!(ended.await.expect("waited").success());
            more(ANSWERS).await;
            end.store(true, Relaxed);
            while let Some(client) = clients.join_next().await {
                client.expect("nothing is lost");
            }
        });
        let new_id = dir.pid().expect("a pid file");
        signal(new_id, "-TERM");
        until("the pid file is gone", || dir.pid().is_none());
    }
}

#[test]
fn a_failed_upgrade_leaves_the_old_process_as_it_was() {
    let dir = ProgramDir::make("broken");
    let args = ["--tls", "none", "--upgrade-timeout", "1"];
    let server = Corelane::start_by(dir.command(&args));
    let id = dir.pid().expect("a pid file");
    let fails = |advice: &str| {
        let output = dir.upgrade(id);
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8(output.stderr).expect("text");
        assert!(message.contains(advice), "{message}");
        assert!(
            message.contains(&format!("process {id} goes on")),
            "{message}"
        );
        assert_eq!(asked(server.addr(), "/readyz"), StatusCode::OK);
    };
    // The new process reports why it does not serve.
    fs::rename(dir.directory.join("run"), dir.directory.join("away")).expect("renamed");
    fails("cannot write the pid file");
    fs::rename(dir.directory.join("away"), dir.directory.join("run")).expect("renamed");
    dir.replace_program(Some("exit 3"));
    fails("exit status: 3");
    dir.replace_program(Some("exec sleep 1000"));
    fails("does not serve after 1s");
    dir.replace_program(None);
    fails("No such file");
    assert_eq!(dir.pid(), Some(id));
    // A good program again.
    symlink(env!("CARGO_BIN_EXE_corelane"), dir.program()).expect("a link");
    // The first attempt may take longer than the second that this server allows.
    until("an upgrade", || dir.upgrade(id).status.success());
    assert_ne!(dir.pid(), Some(id));
    assert_eq!(asked(server.addr(), "/readyz"), StatusCode::OK);
}

#[test]
fn upgrade_does_not_end_other_programs() {
    let dir = ProgramDir::make("no-server");
    let output = dir.upgrade(std::process::id());
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(message.contains("does not handle SIGUSR2"), "{message}");
}

#[test]
fn a_second_server_needs_takeover() {
    let dir = ProgramDir::make("takeover");
    let mut first = Corelane::start_by(dir.command(&["--tls", "none"]));
    let (addr, id) = (first.addr(), dir.pid().expect("a pid file"));
    let listen = addr.to_string();
    let args = ["--tls", "none", "--listen", &listen];
    let refused = command(&args).output().expect("the command runs");
    let message = String::from_utf8(refused.stderr).expect("text");
    for wanted in [
        &format!("in use by process {id} (corelane)"),
        "corelane upgrade",
        "--takeover",
    ] {
        assert!(message.contains(wanted), "{message}");
    }
    // On another port, with the pid file of the first server.
    let refused = dir.command(&["--tls", "none"]).output();
    let message = String::from_utf8(refused.expect("the command runs").stderr).expect("text");
    assert!(
        message.contains(&format!("belongs to the running process {id} (corelane)")),
        "{message}"
    );
    assert_eq!(dir.pid(), Some(id));
    let mut second = command(&[&args[..], &["--takeover"]].concat());
    let log = dir.directory.join("log");
    second.stderr(fs::File::create(&log).expect("a file"));
    let mut second = Corelane::start_by(second);
    first.signal("-TERM");
    assert!(first.wait().success());
    assert_eq!(asked(second.addr(), "/"), StatusCode::OK);
    // At its end the whole log is written.
    second.signal("-TERM");
    assert!(second.wait().success());
    let kernel = fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap_or_default();
    let advice = "sysctl net.ipv4.tcp_migrate_req=1";
    let message = fs::read_to_string(log).expect("a log");
    assert_eq!(message.contains(advice), kernel.trim() == "0", "{message}");
}

#[test]
fn readyz_fails_for_the_shutdown_delay() {
    let dir = ProgramDir::make("delay");
    let args = ["--tls", "none", "--shutdown-delay", "86400"];
    let mut server = Corelane::start_by(dir.command(&args));
    let addr = server.addr();
    assert_eq!(asked(addr, "/readyz"), StatusCode::OK);
    server.signal("-TERM");
    until("/readyz answers 503", || {
        asked(addr, "/readyz") == StatusCode::SERVICE_UNAVAILABLE
    });
    for path in ["/healthz", "/"] {
        assert_eq!(asked(addr, path), StatusCode::OK);
    }
    let upgrade = dir.upgrade(server.id());
    assert_eq!(upgrade.status.code(), Some(1));
    let message = String::from_utf8(upgrade.stderr).expect("text");
    assert!(message.contains("it shuts down"), "{message}");
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(128 + 15));
}

#[test]
fn takeover_with_the_admin_port_of_the_other_server_is_explained() {
    let dir = ProgramDir::make("admins");
    let admin = free_port().to_string();
    let first = Corelane::start_by(dir.command(&["--tls", "none", "--admin", &admin]));
    let listen = first.addr().to_string();
    let args = ["--tls", "none", "--takeover", "--listen", &listen];
    let refused = command(&[&args[..], &["--admin", &admin]].concat()).output();
    let message = String::from_utf8(refused.expect("it runs").stderr).expect("text");
    for wanted in [
        &admin[..],
        "does not share the admin port",
        "another --admin",
    ] {
        assert!(message.contains(wanted), "{message}");
    }
    assert_eq!(asked(first.addr(), "/"), StatusCode::OK);
}

#[test]
fn sigquit_lets_requests_finish() {
    for &backend in BACKENDS {
        let dir = ProgramDir::make(&format!("quit-{backend}"));
        let mut server = Corelane::start_by(dir.command(&["--tls", backend]));
        run(async {
            let requests = connect(server.addr(), backend).await;
            let mut requests = requests.ready().await.expect("ready");
            let request = Request::post("http://localhost/echo").body(());
            let sent = requests.send_request(request.expect("a request"), false);
            let (response, mut echo) = sent.expect("sent");
            let mut echoed = response.await.expect("answered").into_body();
            server.signal("-QUIT");
            // GOAWAY: new requests go elsewhere.
            while let Ok(ready) = requests.clone().ready().await {
                drop(ready);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            echo.send_data("to the end".into(), true).expect("sent");
            let data = echoed.data().await.expect("data").expect("not lost");
            assert_eq!(data, "to the end");
        });
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// A script that writes its process id to `started` and then runs `then`.
fn started_then(started: &Path, then: &str) -> String {
    let started = started.display();
    format!("echo $$ > {started}.new; mv {started}.new {started}; {then}")
}

fn number_in(file: &Path) -> u32 {
    let text = fs::read_to_string(file).expect("a file");
    text.trim().parse().expect("a process id")
}

#[test]
fn a_killed_server_leaves_no_new_process() {
    let real = env!("CARGO_BIN_EXE_corelane");
    for (name, then, signals) in [
        ("twice", "exec sleep 1000".into(), &["-TERM", "-INT"][..]),
        (
            // This process gets no signal: it notices the failure when it reports that it serves.
            "killed",
            format!("while kill -0 $PPID; do sleep 0.01; done; exec {real} \"$@\""),
            &["-KILL"],
        ),
    ] {
        let dir = ProgramDir::make(name);
        let mut server = Corelane::start_by(dir.command(&["--tls", "none"]));
        let id = dir.pid().expect("a pid file");
        let started = dir.directory.join("started");
        dir.replace_program(Some(&started_then(&started, &then)));
        server.signal("-USR2");
        until("the new process runs", || started.exists());
        let new = number_in(&started);
        // All signals arrive at once: there is no time to handle the first one.
        server.signal("-STOP");
        for signal in signals {
            server.signal(signal);
        }
        server.signal("-CONT");
        assert!(!server.wait().success());
        until("the new one has ended", || !runs(new));
        assert_eq!(dir.pid(), Some(id), "{name}: the new process did not serve");
        fs::remove_file(dir.pid_file()).expect("a pid file");
    }
}

#[test]
fn a_full_pipe_does_not_block_an_upgrade() {
    let dir = ProgramDir::make("unread");
    let (out, mut full) = std::io::pipe().expect("a pipe");
    let mut command = dir.command(&["--tls", "none", "--upgrade-timeout", "20"]);
    command.stdout(full.try_clone().expect("a handle"));
    let mut old = command.spawn().expect("the command starts");
    drop(command);
    let mut lines = BufReader::new(&out).lines();
    lines.find(|line| line.as_ref().expect("text").starts_with("try: "));
    // The default size of a pipe.
    full.write_all(&[b'.'; 64 << 10]).expect("room");
    let upgraded = dir.upgrade(old.id());
    assert!(upgraded.status.success(), "{upgraded:?}");
    assert!(old.wait().expect("a child").success());
    let new = dir.pid().expect("a pid file");
    signal(new, "-TERM");
    until("the new one has ended", || !runs(new));
    assert_eq!(dir.pid(), None);
}

#[cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]
#[test]
fn sigusr1_during_the_start_does_not_end_the_process() {
    use support::certificates::{Files, certificate};

    let dir = ProgramDir::make("early");
    let made = certificate("localhost");
    let files = Files::of(&dir.directory.join("files"), &made);
    fs::remove_file(&files.key).expect("removed");
    let fifo = std::process::Command::new("mkfifo")
        .arg(&files.key)
        .status();
    assert!(fifo.expect("mkfifo").success());
    let mut key = fs::File::options();
    let mut key = key.read(true).write(true).open(&files.key).expect("a FIFO");
    let mut server = dir
        .command(&files.args())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // It waits for the key.
    let descriptors = format!("/proc/{}/fd", server.id());
    until("it reads the key", || {
        let descriptors = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        let mut targets = descriptors.map(|it| fs::read_link(it.path()).unwrap_or_default());
        targets.any(|target| target == files.key)
    });
    signal(server.id(), "-USR1");
    key.write_all(made.key.as_bytes()).expect("written");
    drop(key);
    let out = server.stdout.take().expect("piped");
    let message = BufReader::new(out).lines().next();
    signal(server.id(), "-TERM");
    assert!(message.is_some(), "it has ended");
    assert!(server.wait().expect("a child").success());
}

#[test]
fn sigterm_cancels_an_upgrade() {
    let dir = ProgramDir::make("given-up");
    let mut server = Corelane::start_by(dir.command(&["--tls", "none"]));
    let id = dir.pid().expect("a pid file");
    let started = dir.directory.join("started");
    dir.replace_program(Some(&started_then(&started, "exec sleep 1000")));
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
    let message = upgrade.wait_with_output().expect("it ends").stderr;
    let message = String::from_utf8(message).expect("text");
    assert!(message.contains("the server shuts down"), "{message}");
}
