//! The command lines that the test does not run, each with the reason. A line that stands in no
//! document is an error.

use std::collections::BTreeSet;

use super::blocks::Command;

const SYSTEMD: &str = "needs systemd and the installed unit";
const ROOT: &str = "changes files and users of the system";
const DOCKER: &str = "needs Docker and the network";
const CLUSTER: &str = "needs a cluster";
const QUICKSTART: &str = "ci/quickstart runs it";
const TESTS: &str = "runs all tests, and this one is among them";

const UNIX_SOCKET: &str = "cli/tests/unix_socket.rs runs it, in a directory of its own";

const NOT_RUN: &[(&str, &str)] = &[
    ("cargo run --release", QUICKSTART),
    ("curl -k https://localhost:8443/", QUICKSTART),
    ("cargo test --features native-tls,openssl", TESTS),
    (
        "cargo test --features native-tls,openssl --test alpn on_openssl -- --nocapture",
        TESTS,
    ),
    (
        "cargo run --release -p corelane-bench",
        "a release build and half an hour of load",
    ),
    ("bench/instructions --against main", "builds two trees"),
    (
        "corelane --tls none --listen unix:/run/corelane/http.sock",
        UNIX_SOCKET,
    ),
    (
        "curl --unix-socket /run/corelane/http.sock --http2-prior-knowledge http://localhost/",
        UNIX_SOCKET,
    ),
    (
        "install -o corelane -m 0400 \"$RENEWED_LINEAGE/privkey.pem\" /etc/corelane/key.pem",
        ROOT,
    ),
    (
        "install -o corelane -m 0444 \"$RENEWED_LINEAGE/fullchain.pem\" /etc/corelane/cert.pem",
        ROOT,
    ),
    ("useradd --system --shell /usr/sbin/nologin corelane", ROOT),
    ("install -d -o root -g corelane -m 0750 /etc/corelane", ROOT),
    (
        "install -o corelane -g corelane -m 0400 key.pem /etc/corelane/key.pem",
        ROOT,
    ),
    (
        "sysctl net.ipv4.tcp_migrate_req=1",
        "changes the kernel's settings",
    ),
    (
        "openssl ocsp -no_nonce -issuer issuer.pem -cert cert.pem -url \"$URL\" -respout cert.ocsp",
        "needs the responder of an authority",
    ),
    ("systemctl reload corelane", SYSTEMD),
    ("systemctl restart corelane", SYSTEMD),
    ("systemctl enable --now corelane.socket", SYSTEMD),
    (
        "docker build -f deploy/Dockerfile -t corelane:0.1.0 .",
        DOCKER,
    ),
    (
        "docker build -f deploy/Dockerfile -t corelane-openssl:0.1.0 --build-arg TLS=openssl .",
        DOCKER,
    ),
    (
        "docker run -p 8443:8443 corelane:0.1.0 --upstream http://192.0.2.7:3000",
        DOCKER,
    ),
    (
        "docker run -p 8443:8443 -v \"$PWD:/srv/www:ro\" corelane:0.1.0 --root /srv/www",
        DOCKER,
    ),
    (
        "kubectl create secret tls corelane --cert cert.pem --key key.pem",
        CLUSTER,
    ),
    ("kubectl apply -f kubernetes.yaml", CLUSTER),
];

/// Which lines of the table were found in a document.
#[derive(Default)]
pub(crate) struct NotRun(BTreeSet<&'static str>);

impl NotRun {
    pub(crate) fn contains(&mut self, command: &Command) -> bool {
        let found = NOT_RUN.iter().find(|(line, _)| *line == command.line);
        found.is_some_and(|(line, _)| {
            self.0.insert(line);
            true
        })
    }

    pub(crate) fn assert_exact(&self) {
        for (line, reason) in NOT_RUN {
            let found = self.0.contains(line);
            assert!(
                found,
                "no document has the line {line:?} (not run: {reason})"
            );
        }
    }
}
