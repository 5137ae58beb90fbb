//! Upgrades: sockets, the process that drains, and the program that is started.

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
};

use http::{Request, StatusCode};

use support::{
    BACKENDS, Corelane,
    alpn::free_port,
    client::{asked, connect, run},
    command,
    program_dir::{ProgramDir, runs, until},
};

/// Starts the program of `dir` with a configuration file.
fn start_by_file(dir: &ProgramDir, flags: &[&str], configuration: &str) -> Corelane {
    write_configuration(dir, configuration);
    let mut command = Command::new(dir.program());
    command.arg("--pid-file").arg(dir.pid_file());
    command.arg("--config").arg(dir.directory.join("toml"));
    command.stderr(fs::File::create(dir.directory.join("log")).expect("a file"));
    command.args(flags);
    Corelane::start_by(command)
}

fn write_configuration(dir: &ProgramDir, configuration: &str) {
    fs::write(dir.directory.join("toml"), configuration).expect("written");
}

fn upgrade(dir: &ProgramDir) -> u32 {
    let old = dir.pid().expect("a pid file");
    let output = dir.upgrade(old);
    assert!(output.status.success(), "{output:?}");
    dir.pid().expect("a pid file")
}

/// The error message of `corelane COMMAND --pid PID`.
fn refused(name: &str, server: u32) -> String {
    let output = command(&[name, "--pid", &server.to_string()]).output();
    let output = output.expect("the command runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// The body of a response of the admin port.
fn metrics(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).expect("connects");
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

/// The values of a metric, one for each worker.
fn values(metrics: &str, name: &str) -> Vec<u64> {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok());
    values.collect()
}

#[test]
fn more_workers_after_an_upgrade_get_sockets_of_their_own() {
    const CONNECTIONS: u64 = 400;
    for driver in ["auto", "epoll"] {
        let dir = ProgramDir::make(&format!("workers-{driver}"));
        let port = free_port().port();
        let admin = free_port();
        let configuration = |workers: usize| {
            format!(
                "tls = \"none\"\ndriver = {driver:?}\nadmin = \"{admin}\"\n\
                 listen = [\"127.0.0.1:{port}\"]\nworkers = {workers}\n"
            )
        };
        let mut old = start_by_file(&dir, &[], &configuration(1));
        write_configuration(&dir, &configuration(2));
        upgrade(&dir);
        assert!(old.wait().success());
        let addr = old.addr();
        run(async {
            for _ in 0..CONNECTIONS {
                tokio::net::TcpStream::connect(addr).await.expect("served");
            }
        });
        let accepted = || {
            let metrics = metrics(admin);
            values(&metrics, "corelane_connections_accepted_total{")
        };
        until("all are accepted", || {
            accepted().iter().sum::<u64>() == CONNECTIONS
        });
        // By a hash of the addresses: each worker gets 200, with a standard deviation of 10.
        let accepted = accepted();
        assert_eq!(accepted.len(), 2);
        assert!(accepted.iter().all(|it| *it > 130), "{accepted:?}");
    }
}

#[test]
fn a_process_that_drains_is_in_the_metrics_and_refuses_signals() {
    for &backend in BACKENDS {
        let dir = ProgramDir::make(&format!("drains-{backend}"));
        let admin = free_port();
        let flags = ["--tls", backend, "--admin", &admin.to_string()];
        let flags = [&flags[..], &["--listen", "127.0.0.1:0"]].concat();
        let mut old = start_by_file(&dir, &flags, "");
        let (addr, old_id) = (old.addr(), old.id());
        let draining = move || {
            let metrics = metrics(admin);
            let names = [
                "corelane_draining_processes ",
                "corelane_draining_connections ",
            ];
            names.map(|name| values(&metrics, name)[0])
        };
        assert_eq!(draining(), [0, 0]);
        run(async {
            let mut requests = connect(addr, backend).await.ready().await.expect("ready");
            let request = Request::post("http://localhost/echo").body(());
            let sent = requests.send_request(request.expect("a request"), false);
            let (response, mut echo) = sent.expect("sent");
            let mut echoed = response.await.expect("answered").into_body();
            let signals = tokio::task::spawn_blocking(move || {
                let new_id = upgrade(&dir);
                until("it drains", || draining() == [1, 1]);
                let message = refused("upgrade", old_id);
                assert!(
                    message.contains(&format!("it drains, process {new_id} has replaced it")),
                    "{message}"
                );
                until("the log says so", || {
                    let log = fs::read_to_string(dir.directory.join("log"));
                    log.expect("a log").contains("SIGUSR2 is refused")
                });
                let message = refused("reload", old_id);
                assert!(message.contains("it drains"), "{message}");
                // The next process takes over the report.
                upgrade(&dir);
                until("one drains, one has ended", || draining() == [1, 1]);
                (dir, draining)
            });
            let (_dir, draining) = signals.await.expect("no panic");
            echo.send_data("to the end".into(), true).expect("sent");
            while let Some(data) = echoed.data().await {
                data.expect("not lost");
            }
            drop((requests, echo, echoed));
            let ended = tokio::task::spawn_blocking(move || {
                assert!(old.wait().success());
                until("no process drains", || draining() == [0, 0]);
            });
            ended.await.expect("no panic");
        });
    }
}

#[test]
fn a_damaged_program_is_not_run_as_a_script() {
    let dir = ProgramDir::make("damaged");
    let server = Corelane::start_by(dir.command(&["--tls", "none"]));
    let id = server.id();
    let marker = dir.directory.join("marker");
    let script = format!("touch {}\n", marker.display());
    let real = fs::read(env!("CARGO_BIN_EXE_corelane")).expect("a program");
    for (damaged, what) in [
        (script.into_bytes(), "a script without its first line"),
        (real[..40].to_vec(), "the begin of a program"),
        (Vec::new(), "an empty file"),
    ] {
        dir.replace_program(Some(""));
        fs::write(dir.program(), damaged).expect("written");
        let message = refused("upgrade", id);
        assert!(message.contains("it is damaged"), "{what}: {message}");
        assert!(!marker.exists(), "{what}");
    }
    assert_eq!(asked(server.addr(), "/"), StatusCode::OK);
}

#[test]
fn a_program_started_from_a_directory_since_deleted_is_found() {
    let dir = ProgramDir::make("deleted");
    let (bin, work) = (dir.directory.join("bin"), dir.directory.join("work"));
    for new in [&bin, &work] {
        fs::create_dir(new).expect("a directory");
    }
    // A copy, so that the name of the process's file is the one that is replaced.
    let program = bin.join("corelane");
    fs::copy(env!("CARGO_BIN_EXE_corelane"), &program).expect("copied");
    let mut command = Command::new("../bin/corelane");
    command
        .current_dir(&work)
        .args(["--tls", "none", "--listen", "127.0.0.1:0", "--pid-file"])
        .arg(dir.pid_file());
    let mut old = Corelane::start_by(command);
    fs::remove_dir(&work).expect("removed");
    let replaced = bin.join("new");
    fs::copy(env!("CARGO_BIN_EXE_corelane"), &replaced).expect("copied");
    fs::rename(&replaced, &program).expect("replaced");
    let new = upgrade(&dir);
    assert!(old.wait().success());
    let runs = fs::read_link(format!("/proc/{new}/exe")).expect("a process");
    assert_eq!(runs, program.canonicalize().expect("there"), "the new file");
    assert_eq!(asked(old.addr(), "/"), StatusCode::OK);
}

#[test]
fn an_upgrade_can_widen_and_narrow_an_address() {
    for (specific, wildcard) in [("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")] {
        let dir = ProgramDir::make(&format!("wide-{}", wildcard.len()));
        let port = free_port().port();
        let listen = |ip: &str| format!("tls = \"none\"\nlisten = [\"{ip}:{port}\"]\n");
        let mut old = start_by_file(&dir, &[], &listen(specific));
        let addr = old.addr();
        for ip in [wildcard, specific] {
            write_configuration(&dir, &listen(ip));
            let before = dir.pid().expect("a pid file");
            upgrade(&dir);
            match before == old.id() {
                true => assert!(old.wait().success()),
                false => until("the old one has ended", || !runs(before)),
            }
            assert_eq!(asked(addr, "/"), StatusCode::OK, "{ip}");
            if specific == "127.0.0.1" {
                let other = SocketAddr::from(([127, 0, 0, 2], port));
                let wide = TcpStream::connect(other).is_ok();
                assert_eq!(wide, ip == wildcard, "{ip}");
            }
        }
    }
}

#[test]
fn an_upgrade_loses_no_request_to_the_admin_port() {
    let dir = ProgramDir::make("scraped");
    let admin = free_port();
    let flags = ["-v", "--tls", "none", "--workers", "1", "--admin"];
    let rest = [&admin.to_string(), "--listen", "127.0.0.1:0"];
    let mut old = start_by_file(&dir, &[&flags[..], &rest].concat(), "");
    let mut stream = TcpStream::connect(admin).expect("connects");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\n")
        .expect("sent");
    upgrade(&dir);
    until("the old process has nothing else to do", || {
        let log = fs::read_to_string(dir.directory.join("log")).expect("a log");
        log.contains("worker ended")
    });
    // Time enough to end.
    for _ in 0..20 {
        metrics(admin);
    }
    stream.write_all(b"host: localhost\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response");
    assert!(text.contains("corelane_build_info{"), "{text}");
    assert!(old.wait().success());
}
