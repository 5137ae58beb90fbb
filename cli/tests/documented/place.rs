//! A directory in which documented commands run as they are written.

use std::{
    fs,
    net::SocketAddr,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use crate::support::Corelane;

/// The configuration that the documents show: `idle-timeout` is in line 3.
const CONFIGURATION: &str =
    "# The configuration of a host.\n\nidle-timeout = 20\nlisten = [\"127.0.0.1:0\"]\n";

/// Directories of the system that stand in documents. The commands get those of the place.
const SYSTEM: &[&str] = &["/etc/", "/run/", "/srv/"];

/// Folders that documented servers serve.
const SERVED: &[&str] = &[
    "srv/www",
    "srv/docs",
    "srv/assets",
    "srv/app",
    "srv/downloads",
];

/// The files that documented commands name, a program `corelane`, and a server.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    server: Option<Corelane>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().expect("a directory"),
            server: None,
        };
        let folders = ["bin", "usr/local/bin", "etc", "run/corelane"];
        for folder in folders.iter().chain(SERVED) {
            fs::create_dir_all(place.path(folder)).expect("a directory");
        }
        symlink(env!("CARGO_BIN_EXE_corelane"), place.program()).expect("a link");
        // A server runs by the path at which the documents install it. A client asks the server of the
        // place, whatever host it names.
        let (real, program) = (env!("CARGO_BIN_EXE_corelane"), place.program());
        let script = format!(
            "#!/bin/sh\ncase $1 in\n\
             alpn) exec {real} \"$@\" --connect \"$ADDR\" ;;\n\
             -*|'') exec {} \"$@\" ;;\n\
             *) exec {real} \"$@\" ;;\nesac\n",
            program.display()
        );
        executable(&place.path("bin/corelane"), &script);
        place.write("etc/corelane.toml", CONFIGURATION);
        place.write("corelane.toml", CONFIGURATION);
        place.write_certificates();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.path("usr/local/bin/corelane")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn write_certificates(&self) {
        let identity = |names: &[&str], cert: &str, key: &str| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).expect("made");
            self.write(cert, &made.cert.pem());
            self.write_key(key, &made.signing_key);
            made.cert.pem()
        };
        let authority = identity(&["localhost", "example.org"], "cert.pem", "key.pem");
        self.write("ca.pem", &authority);
        identity(&["a.example.org"], "a.pem", "a-key.pem");
        identity(&["b.example.org"], "b.pem", "b-key.pem");
        self.write_response();
        self.write_clients();
    }

    /// The OCSP response of `cert.pem`, which is its own authority.
    fn write_response(&self) {
        const SCRIPT: &str = "
            serial=$(openssl x509 -noout -serial -in cert.pem)
            printf 'V\\t491231000000Z\\t\\t%s\\tunknown\\t/CN=it\\n' \"${serial#serial=}\" >index
            openssl ocsp -no_nonce -issuer cert.pem -cert cert.pem -reqout request
            openssl ocsp -index index -CA cert.pem -rsigner cert.pem -rkey key.pem -ndays 7 \
                -reqin request -respout cert.ocsp";
        let mut shell = Command::new("bash");
        let made = shell
            .args(["-ec", SCRIPT])
            .current_dir(self.directory.path());
        let made = made.output().expect("bash runs");
        assert!(made.status.success(), "{made:?}");
    }

    /// The authority of clients, one client, and an empty revocation list.
    fn write_clients(&self) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params
            .distinguished_name
            .push(DnType::CommonName, "clients");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        self.write(
            "clients.pem",
            &params.self_signed(&key).expect("signed").pem(),
        );
        let issuer = Issuer::new(params, key);
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4096, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).expect("signed");
        self.write("clients.crl", &list.pem().expect("PEM"));
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["alice".to_owned()]).expect("a name");
        let alice = params.signed_by(&key, &issuer).expect("signed");
        self.write("alice.pem", &alice.pem());
        self.write_key("alice.key", &key);
    }

    fn write_key(&self, name: &str, key: &KeyPair) {
        self.write(name, &key.serialize_pem());
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), private).expect("set");
    }

    /// Whether the server would start with this configuration.
    pub(crate) fn check(&self, configuration: &str) -> Output {
        self.write("shown.toml", &self.moved(configuration));
        self.run("corelane check --quiet --config shown.toml")
    }

    /// `line` with the place's directories instead of the system's.
    fn moved(&self, line: &str) -> String {
        let root = self.directory.path().display().to_string();
        SYSTEM.iter().fold(line.to_owned(), |line, folder| {
            [" ", "=", "\""].iter().fold(line, |line, before| {
                line.replace(
                    &format!("{before}{folder}"),
                    &format!("{before}{root}{folder}"),
                )
            })
        })
    }

    fn shell(&self, mut command: Command, line: &str) -> Command {
        let path = std::env::var("PATH").expect("UTF-8");
        let addr = self.server.as_ref().map(|server| server.addr().to_string());
        command
            .arg("-ec")
            .arg(self.moved(line))
            .current_dir(self.directory.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("ADDR", addr.unwrap_or_default())
            // What a documented server does not name. Ports that other tests do not use.
            .env("CORELANE_LISTEN", "127.0.0.1:0")
            .env("CORELANE_CERT", self.path("cert.pem"))
            .env("CORELANE_KEY", self.path("key.pem"))
            // An example of the prober's rules expects it.
            .env("CORELANE_ALPN_MISSING", "allow")
            .env("SSL_CERT_FILE", self.path("cert.pem"))
            .env("CURL_HOME", self.directory.path());
        command
    }

    /// Starts a server and ends the one before.
    pub(crate) fn serve(&mut self, at: &str, line: &str) {
        self.end();
        let mut command = self.shell(Command::new("bash"), line);
        command.process_group(0);
        let server = Corelane::start_by(command);
        let addrs = server.listens_on();
        assert!(!addrs.is_empty(), "{at}: no server by {line:?}");
        self.ask(addrs[0]);
        self.server = Some(server);
    }

    /// curl connects to this address, whatever host it is told.
    fn ask(&self, addr: SocketAddr) {
        let settings =
            format!("connect-to = \"::{addr}\"\nnoproxy = \"*\"\nsilent\nshow-error\nfail\n");
        self.write(".curlrc", &settings);
    }

    pub(crate) fn has_server(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        let mut timeout = Command::new("timeout");
        timeout.args(["60", "bash"]);
        self.shell(timeout, line).output().expect("timeout runs")
    }

    /// The next start of the program fails.
    pub(crate) fn break_program(&self) {
        fs::remove_file(self.program()).expect("it was there");
        executable(&self.program(), "#!/bin/sh\nexit 1\n");
    }

    pub(crate) fn change_addresses(&self) {
        let changed = CONFIGURATION.replace("127.0.0.1", "127.0.0.2");
        self.write("etc/corelane.toml", &changed);
    }

    pub(crate) fn misspell_key(&self) {
        let misspelt = CONFIGURATION.replace("idle-timeout", "idle-timout");
        self.write("etc/corelane.toml", &misspelt);
    }

    /// Output as a document shows it: without the place's directory, with 0 as every number.
    pub(crate) fn as_documented(&self, output: &str) -> String {
        let root = self.directory.path().display().to_string();
        let mut text = String::new();
        for c in output.replace(&root, "").chars() {
            match c {
                '0'..='9' if text.ends_with('0') => {}
                '0'..='9' => text.push('0'),
                c => text.push(c),
            }
        }
        text
    }

    /// Ends the server, and the one that replaced it: an upgrade stays in the process group.
    pub(crate) fn end(&mut self) {
        if let Some(server) = self.server.take() {
            let group = format!("-{}", server.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end();
    }
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).expect("written");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, executable).expect("executable");
}
