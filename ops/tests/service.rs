//! Runs the example `service` through its life: requests, reload, upgrade, shutdown.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer,
        pki_types::ServerName,
    },
};

const DEADLINE: Duration = Duration::from_secs(60);

/// `cargo test` builds it unless an option such as `--test` selects targets.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let target = test.ancestors().nth(2).expect("target/debug/deps/test");
    let example = target.join("examples/service");
    assert!(
        example.exists(),
        "{} is missing: run cargo test without options that select targets, or cargo build \
         --examples with the same features",
        example.display()
    );
    example
}

struct Service {
    child: Child,
    addr: SocketAddr,
    admin: SocketAddr,
    dir: PathBuf,
}

impl Service {
    fn start(dir: &Path) -> Self {
        let [addr, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [addr, admin] = [addr, admin].map(|free| free.local_addr().expect("bound"));
        let child = Command::new(example())
            .args([addr.to_string(), admin.to_string()])
            .arg(dir)
            .stderr(fs::File::create(dir.join("stderr")).expect("a file"))
            .spawn()
            .expect("the example starts");
        let dir = dir.to_owned();
        let service = Self {
            child,
            addr,
            admin,
            dir,
        };
        wait_for("the service is ready", || {
            service.is_ready() && service.pid().is_some()
        });
        service
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.admin) else {
            return false;
        };
        let mut response = String::new();
        let answered = stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .and_then(|()| stream.read_to_string(&mut response));
        answered.is_ok() && response.starts_with("HTTP/1.1 200 OK\r\n")
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("connects");
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).expect("sent");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        response
    }

    /// The body of `/`, and the certificate of the server.
    fn get(&self, trusted: &[CertificateDer<'static>]) -> (Vec<u8>, CertificateDer<'static>) {
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add(certificate.clone()).expect("a certificate");
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        let get = async {
            let tcp = tokio::net::TcpStream::connect(self.addr).await;
            let connector = TlsConnector::from(Arc::new(config));
            let tls = connector.connect(name, tcp.expect("connects")).await;
            let tls = tls.expect("a handshake");
            let certificates = tls.get_ref().1.peer_certificates().expect("sent");
            let certificate = certificates[0].clone().into_owned();
            let (mut requests, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
            let connection = tokio::spawn(connection);
            let request = http::Request::get("https://localhost/").body(());
            let (response, _) = requests
                .send_request(request.expect("a request"), true)
                .expect("sent");
            let mut body = response.await.expect("a response").into_body();
            let mut received = Vec::new();
            while let Some(data) = body.data().await {
                received.extend_from_slice(&data.expect("data"));
            }
            connection.abort();
            (received, certificate)
        };
        runtime.block_on(async {
            let got = tokio::time::timeout(DEADLINE, get).await;
            got.expect("the test hangs")
        })
    }

    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.dir.join("service.pid")).ok()?;
        text.trim().parse().ok()
    }

    fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the service does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            signal(pid, "-KILL");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

fn wait_for(what: &str, happened: impl Fn() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes a certificate for localhost and its key.
fn write_certificate(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    fs::write(dir.join("cert.pem"), made.cert.pem()).expect("written");
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    made.cert.der().clone()
}

#[test]
fn the_example_serves_reloads_upgrades_and_shuts_down() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let first = write_certificate(dir);
    let mut service = Service::start(dir);
    let pid = service.pid().expect("a pid file");
    assert_eq!(pid, service.child.id());
    assert_eq!(
        service.get(std::slice::from_ref(&first)),
        (b"hello\n".to_vec(), first.clone())
    );
    assert!(service.metrics().contains("corelane_requests_total{"));

    let both = [first, write_certificate(dir)];
    let left = corelane_ops::request_reload(pid, DEADLINE).expect("reloaded");
    assert_eq!(left, [""; 0]);
    assert_eq!(service.get(&both).1, both[1]);
    let successful = "corelane_config_last_reload_successful";
    assert!(service.metrics().contains(&format!("{successful} 1")));
    let certificate = fs::read(dir.join("cert.pem")).expect("a file");
    fs::write(dir.join("cert.pem"), "").expect("written");
    let failed = corelane_ops::request_reload(pid, DEADLINE).expect_err("broken");
    assert!(failed.to_string().contains("cert.pem"), "{failed}");
    assert_eq!(service.get(&both).1, both[1]);
    // The response to /metrics may be a moment old.
    wait_for("the failure", || {
        service.metrics().contains(&format!("{successful} 0"))
    });
    fs::write(dir.join("cert.pem"), certificate).expect("written");

    let new = corelane_ops::request_upgrade(pid, DEADLINE).expect("upgraded");
    assert_eq!(service.pid(), Some(new));
    assert!(service.wait().success(), "the old process ends");
    assert_eq!(service.get(&both).0, b"hello\n");
    assert!(service.is_ready());

    signal(new, "-TERM");
    wait_for("the pid file is removed", || service.pid().is_none());
    let log = fs::read_to_string(dir.join("access.log")).expect("a log");
    assert!(log.lines().count() >= 3, "{log}");
    assert!(log.contains("\"GET / HTTP/2.0\" 200 6 "), "{log}");
}

#[test]
fn sigterm_ends_the_example_with_exit_status_0() {
    let dir = tempfile::tempdir().expect("a directory");
    let trusted = [write_certificate(dir.path())];
    let mut service = Service::start(dir.path());
    assert_eq!(service.get(&trusted).0, b"hello\n");
    signal(service.child.id(), "-TERM");
    assert_eq!(service.wait().code(), Some(0));
    assert_eq!(service.pid(), None);
}
