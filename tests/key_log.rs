//! Tests the key log of `SSLKEYLOGFILE`. It belongs to the process, so each test runs itself with the
//! variable set.
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use corelane::{Chain, Driver, tls::TlsConfig};
use corelane_test_support::{
    Backend, TestServer,
    certs::identity,
    client::Tls,
    for_each_tls_backend,
    visit::{register, returning, visit},
};
use rustls::{ClientConfig, KeyLog};

for_each_tls_backend!(
    secrets_are_those_of_the_client,
    nothing_is_written_without_option_and_variable,
    processes_and_workers_append_whole_lines,
    a_file_that_cannot_be_opened_is_an_error_when_built,
);

const VARIABLE: &str = "SSLKEYLOGFILE";

/// This test in a process of its own, with this file in the variable.
fn again(backend: Backend, test: &str, file: &Path) -> Child {
    let module = format!("on_{}", backend.name.replace('-', "_"));
    let mut command = Command::new(env::current_exe().expect("this test"));
    command
        .args(["--exact", "--nocapture", &format!("{module}::{test}")])
        .env(VARIABLE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("it runs")
}

fn passes(child: Child) {
    let output = child.wait_with_output().expect("it runs");
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn config() -> TlsConfig {
    TlsConfig::new(identity()).key_log(true)
}

/// Whether the backend has no key log and says so.
fn is_unsupported(backend: Backend) -> bool {
    if backend.name != "native-tls" {
        return false;
    }
    let error = (backend.make)(&config()).err().expect("it cannot");
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("key log"), "{error}");
    true
}

fn serve(backend: Backend, config: &TlsConfig) -> TestServer {
    let acceptor = (backend.make)(config).expect("an acceptor");
    let two = |builder: corelane::Builder| builder.workers(2);
    TestServer::with(acceptor, Driver::Epoll, two, register)
}

/// What a client would write to its own key log.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hexadecimal =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let (client_random, secret) = (hexadecimal(client_random), hexadecimal(secret));
        let line = format!("{label} {client_random} {secret}");
        self.0.lock().expect("whole").push(line);
    }
}

fn client(tls: Tls) -> (Arc<ClientConfig>, Arc<Lines>) {
    let lines = Arc::new(Lines::default());
    let mut config = returning(tls);
    config.key_log = lines.clone();
    (Arc::new(config), lines)
}

/// In both versions, in full and in resumed handshakes: each secret of the client is in the server's
/// log, under the same label and with the same client random, and no other.
fn secrets_are_those_of_the_client(backend: Backend) {
    if is_unsupported(backend) {
        return;
    }
    let Some(file) = env::var_os(VARIABLE) else {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("keys");
        return passes(again(backend, "secrets_are_those_of_the_client", &file));
    };
    let server = serve(backend, &config());
    for (tls, labels) in [
        (Tls::V1_2, &["CLIENT_RANDOM"][..]),
        (
            Tls::V1_3,
            &[
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_TRAFFIC_SECRET_0",
            ],
        ),
    ] {
        let (client, wanted) = client(tls);
        for resumed in [false, true] {
            assert_eq!(visit(server.addr, &client).resumed, resumed);
            let mut wanted: Vec<_> = wanted.0.lock().expect("whole").drain(..).collect();
            let mut found: Vec<String> = text(Path::new(&file)).lines().map(Into::into).collect();
            fs::write(&file, "").expect("emptied");
            wanted.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, wanted);
            let found = found
                .iter()
                .map(|line| line.split(' ').next().expect("one"));
            assert!(found.eq(labels.iter().copied()), "{labels:?}");
        }
    }
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("a key log")
}

fn nothing_is_written_without_option_and_variable(backend: Backend) {
    let Some(file) = env::var_os(VARIABLE) else {
        if !is_unsupported(backend) {
            // The option alone.
            let (client, _) = client(Tls::V1_2);
            visit(serve(backend, &config()).addr, &client);
        }
        let test = "nothing_is_written_without_option_and_variable";
        let dir = tempfile::tempdir().expect("a directory");
        return passes(again(backend, test, &dir.path().join("keys")));
    };
    let (client, _) = client(Tls::V1_2);
    visit(serve(backend, &TlsConfig::new(identity())).addr, &client);
    assert!(!Path::new(&file).exists());
}

fn processes_and_workers_append_whole_lines(backend: Backend) {
    const CLIENTS: usize = 8;
    const VISITS: usize = 8;
    if is_unsupported(backend) {
        return;
    }
    if env::var_os(VARIABLE).is_some() {
        // Two acceptors, as for two server names, two workers each.
        let servers = [(); 2].map(|()| serve(backend, &config()));
        return std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let addr = servers[number % 2].addr;
                scope.spawn(move || {
                    for _ in 0..VISITS {
                        visit(addr, &client(Tls::V1_3).0);
                    }
                });
            }
        });
    }
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keys");
    fs::write(&file, "# kept\n").expect("written");
    let test = "processes_and_workers_append_whole_lines";
    let both = [(); 2].map(|()| again(backend, test, &file));
    both.into_iter().for_each(passes);
    let text = text(&file);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "# kept");
    assert_eq!(lines.len(), 1 + 2 * CLIENTS * VISITS * 5);
    for line in &lines[1..] {
        let parts: Vec<_> = line.split(' ').collect();
        let [label, client_random, secret] = parts[..] else {
            panic!("{line}");
        };
        let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(label.contains("SECRET"), "{line}");
        assert!(
            client_random.len() == 64 && is_hexadecimal(client_random),
            "{line}"
        );
        assert!([64, 96].contains(&secret.len()) && is_hexadecimal(secret));
    }
}

fn a_file_that_cannot_be_opened_is_an_error_when_built(backend: Backend) {
    const MODE: u32 = 0o600;
    if is_unsupported(backend) {
        return;
    }
    let test = "a_file_that_cannot_be_opened_is_an_error_when_built";
    let Some(file) = env::var_os(VARIABLE) else {
        let dir = tempfile::tempdir().expect("a directory");
        for file in ["", "none/keys", "fifo", "keys"] {
            let file = dir.path().join(file);
            if file.ends_with("fifo") {
                nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
            }
            passes(again(backend, test, &file));
        }
        return;
    };
    let made = (backend.make)(&config());
    let file = Path::new(&file);
    if file.ends_with("keys") && file.parent().is_some_and(Path::exists) {
        made.expect("a file that can be created");
        let mode = fs::metadata(file).expect("created").permissions().mode();
        return assert_eq!(mode & 0o777, MODE);
    }
    let error = made.err().expect("no file to append to");
    assert!(error.is_config(), "{error}");
    let text = Chain(&error).to_string();
    let named = format!("cannot open the key log {} ({VARIABLE})", file.display());
    assert!(text.starts_with(&named), "{text}");
}
