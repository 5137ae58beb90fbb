//! The key log of `SSLKEYLOGFILE`. The variable belongs to the process, so the test runs itself with it.

use std::{
    collections::BTreeSet,
    env, fs,
    process::Command,
    sync::{Arc, Mutex},
};

use corelane::tls::{Identity, TlsConfig, TlsVersion};
use corelane_backend_tests::{
    client_config,
    session::{Client, Pair},
};
use corelane_boring::BoringAcceptor;
use rustls::KeyLog;

const VARIABLE: &str = "SSLKEYLOGFILE";

/// The lines that a client would write.
#[derive(Debug, Default)]
struct Lines(Mutex<BTreeSet<String>>);

impl KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let digits = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|it| format!("{it:02x}"))
                .collect::<String>()
        };
        let line = format!("{label} {} {}", digits(client_random), digits(secret));
        self.0.lock().expect("no panic").insert(line);
    }
}

#[test]
fn secrets_are_those_of_the_client() {
    let Some(file) = env::var_os(VARIABLE) else {
        let dir = env::temp_dir().join(format!("corelane-boring-key-log-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let output = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "--nocapture", "secrets_are_those_of_the_client"])
            .env(VARIABLE, dir.join("keys"))
            .output()
            .expect("runs");
        fs::remove_dir_all(dir).expect("removed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let config = TlsConfig::new(identity.expect("PEM"));
    let acceptors = [config.clone(), config.key_log(true)];
    let [silent, logging] = acceptors.map(|it| BoringAcceptor::new(&it).expect("an acceptor"));
    let lines = Arc::new(Lines::default());
    for version in [TlsVersion::TLS_1_2, TlsVersion::TLS_1_3] {
        let mut config = client_config(version, &[b"h2"]);
        Pair::begin(&silent, Client::with(config.clone())).shake_hands();
        config.key_log = Arc::<Lines>::clone(&lines);
        Pair::begin(&logging, Client::with(config)).shake_hands();
    }
    let text = fs::read_to_string(file).expect("written");
    let written: BTreeSet<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(written, *lines.0.lock().expect("no panic"));
    assert!(written.len() >= 6, "{written:?}");
}
