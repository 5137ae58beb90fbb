//! Servers with certificates in files, and clients that look at them.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rcgen::{CertificateParams, KeyPair};
use tokio::{net::TcpStream, runtime::Runtime};

use super::{
    Corelane, DEADLINE, command,
    trusting::{config, connect, connect_to},
};

/// The backends that are compiled in.
pub(crate) const BACKENDS: &[&str] = &[
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    "rustls",
    #[cfg(feature = "native-tls")]
    "native-tls",
    #[cfg(feature = "openssl")]
    "openssl",
];

pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    pub(crate) key: String,
}

pub(crate) fn certificate(name: &str) -> Certificate {
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    made(&params)
}

pub(crate) fn made(params: &CertificateParams) -> Certificate {
    let key = KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    Certificate {
        der: made.der().to_vec(),
        pem: made.pem(),
        key: key.serialize_pem(),
    }
}

/// A certificate and a key in a directory, with Kubernetes' names.
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    pub(crate) fn of(dir: &Path, certificate: &Certificate) -> Self {
        fs::create_dir_all(dir).expect("a directory");
        let files = Self {
            cert: dir.join("tls.crt"),
            key: dir.join("tls.key"),
        };
        files.write(certificate);
        files
    }

    pub(crate) fn write(&self, certificate: &Certificate) {
        fs::write(&self.cert, &certificate.pem).expect("written");
        fs::write(&self.key, &certificate.key).expect("written");
        fs::set_permissions(&self.key, PermissionsExt::from_mode(0o600)).expect("set");
    }

    pub(crate) fn args(&self) -> [&str; 4] {
        let [cert, key] = [&self.cert, &self.key].map(|file| file.to_str().expect("UTF-8"));
        ["--cert", cert, "--key", key]
    }
}

/// The command, with its log in a file.
pub(crate) struct Running {
    pub(crate) corelane: Corelane,
    pub(crate) log: PathBuf,
}

impl Running {
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let log = dir.join("log");
        let mut command = command(&["-v", "--listen", "127.0.0.1:0", "--workers", "2"]);
        command
            .args(args)
            .stderr(File::create(&log).expect("a file"));
        Self {
            corelane: Corelane::start_by(command),
            log,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.corelane.addr()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("text")
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(|| self.log().contains(text), || self.log());
    }

    pub(crate) fn wait_for_certificate(&self, name: &'static str, certificate: &Certificate) {
        let served = || sent(self.addr(), name).as_deref() == Ok(&certificate.der[..]);
        wait_for(served, || self.log());
    }

    pub(crate) fn assert_serves(&self, name: &'static str, certificate: &Certificate) {
        let sent = sent(self.addr(), name);
        assert_eq!(sent.as_deref(), Ok(&certificate.der[..]), "{}", self.log());
    }
}

pub(crate) fn wait_for(mut happened: impl FnMut() -> bool, what_is: impl Fn() -> String) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < DEADLINE, "{}", what_is());
        std::thread::yield_now();
    }
}

pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

pub(crate) fn in_runtime<F: Future>(future: F) -> F::Output {
    runtime().block_on(async {
        let ended = tokio::time::timeout(DEADLINE, future).await;
        ended.expect("the test hangs")
    })
}

/// The certificate that the server sends for this server name, or the client's error.
pub(crate) fn sent(addr: SocketAddr, name: &'static str) -> Result<Vec<u8>, String> {
    in_runtime(async {
        let tcp = TcpStream::connect(addr).await.expect("connects");
        let stream = connect_to(name, &config(b"h2"), tcp).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let sent = stream.get_ref().1.peer_certificates().expect("sent");
        Ok(sent[0].to_vec())
    })
}

pub(crate) async fn open(addr: SocketAddr) -> Result<SendRequest<Bytes>, String> {
    let tcp = TcpStream::connect(addr).await;
    let tcp = tcp.map_err(|error| format!("TCP: {error}"))?;
    tcp.set_nodelay(true).expect("nodelay");
    let tls = connect(tcp, b"h2").await;
    let tls = tls.map_err(|error| format!("TLS: {error}"))?;
    let (requests, connection) = h2::client::handshake(tls)
        .await
        .map_err(|error| format!("HTTP/2: {error}"))?;
    tokio::spawn(connection);
    Ok(requests)
}

pub(crate) async fn ask(requests: &SendRequest<Bytes>) -> Result<(), String> {
    let answer = async {
        let mut requests = requests.clone().ready().await?;
        let request = Request::get("https://localhost/bytes/20000").body(());
        let (response, _) = requests.send_request(request.expect("a request"), true)?;
        let mut body = response.await?.into_body();
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        Ok(())
    };
    answer.await.map_err(|error: h2::Error| error.to_string())
}
