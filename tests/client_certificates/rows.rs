//! Rows of what clients send, each with the server's answer.

use std::net::SocketAddr;

use corelane::{Driver, tls::ClientAuth};
use corelane_test_support::{Backend, TestServer, visit::register};
use rustls::{AlertDescription as Alert, pki_types::CertificateDer};

use crate::{
    VERSIONS,
    authority::{Authority, Client, config},
    server::{make, outcome},
};

pub type Chain = Vec<CertificateDer<'static>>;

/// The alert under TLS 1.2 and under TLS 1.3; `None` if the client is served.
pub type Answers = [Option<Alert>; 2];

pub const SERVED: Answers = [None; 2];

pub const fn alert(alert: Alert) -> Answers {
    [Some(alert); 2]
}

/// What clients send to a server, and its answers.
pub struct Rows {
    backend: Backend,
    rows: Vec<(String, SocketAddr, Chain, Vec<u8>, Answers)>,
    /// They serve until all rows are judged.
    servers: Vec<TestServer>,
}

impl Rows {
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            rows: Vec::new(),
            servers: Vec::new(),
        }
    }

    pub fn serve(&mut self, auth: ClientAuth) -> SocketAddr {
        let acceptor = make(self.backend, Some(auth)).expect("an acceptor");
        let server = TestServer::start(acceptor, Driver::Epoll, register);
        let addr = server.addr;
        self.servers.push(server);
        addr
    }

    pub fn add(&mut self, what: &str, to: SocketAddr, chain: Chain, key: &[u8], answers: Answers) {
        let what = what.to_owned();
        self.rows.push((what, to, chain, key.to_vec(), answers));
    }

    /// A client that sends its certificate and these others.
    pub fn client(
        &mut self,
        what: &str,
        to: SocketAddr,
        client: &Client,
        more: &[&Authority],
        answers: Answers,
    ) {
        let mut chain = vec![client.der()];
        chain.extend(more.iter().map(|authority| authority.der()));
        self.add(what, to, chain, &client.key.serialize_der(), answers);
    }

    pub fn judge(self) {
        let mut wrong = Vec::new();
        for (what, addr, chain, key, expected) in self.rows {
            let got = VERSIONS.map(|tls| outcome(addr, &config(tls, chain.clone(), &key)));
            if got != expected {
                wrong.push(format!("{what}: {got:?}, expected {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

pub fn of_openssl(backend: Backend, on_openssl: Answers, on_others: Answers) -> Answers {
    match backend.name {
        "openssl" => on_openssl,
        _ => on_others,
    }
}
