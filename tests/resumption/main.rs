//! Tests that every session resumes, of 100 in each case, and that no ticket does that was changed.
//! `tickets.rs` tests which sessions do not resume.

mod openssl_client;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use corelane::{
    Driver,
    tls::{TicketKeys, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, TestServer,
    certs::identity,
    client::Tls,
    for_each_tls_backend,
    visit::{register, returning, visit},
};
use openssl_client::Resume;
use rustls::{
    ClientConfig,
    client::{Resumption, Tls12Resumption},
};

for_each_tls_backend!(
    all_sessions_resume_on_two_workers,
    all_sessions_resume_after_a_restart,
    all_sessions_resume_on_two_hosts_through_a_rotation,
    tampered_ticket_causes_full_handshake,
    garbage_tickets_cause_full_handshakes,
);

const SESSIONS: usize = 100;

/// A client that offers its newest session.
enum Client {
    Rustls(Arc<ClientConfig>),
    Openssl(Resume, Option<Vec<u8>>),
}

impl Client {
    /// Clients that resume in this way.
    fn all(way: Resume) -> [Self; 2] {
        let mut config = returning(match way {
            Resume::Tls13 => Tls::V1_3,
            Resume::ById | Resume::ByTicket => Tls::V1_2,
        });
        if way == Resume::ById {
            config.resumption =
                Resumption::in_memory_sessions(1).tls12_resumption(Tls12Resumption::SessionIdOnly);
        }
        [Self::Rustls(Arc::new(config)), Self::Openssl(way, None)]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Rustls(_) => "rustls",
            Self::Openssl(..) => "openssl",
        }
    }

    /// Whether the session resumed.
    fn visit(&mut self, addr: SocketAddr) -> bool {
        match self {
            Self::Rustls(config) => visit(addr, config).resumed,
            Self::Openssl(way, session) => {
                let (resumed, new) = openssl_client::visit(addr, *way, session.as_deref());
                *session = Some(new);
                resumed
            }
        }
    }
}

fn ways(backend: Backend) -> &'static [Resume] {
    match backend.tls_1_3 {
        true => &[Resume::ById, Resume::ByTicket, Resume::Tls13],
        false => &[Resume::ById, Resume::ByTicket],
    }
}

fn serve(acceptor: Arc<dyn TlsAcceptor>) -> TestServer {
    let two = |builder: corelane::Builder| builder.workers(2);
    TestServer::with(acceptor, Driver::Epoll, two, register)
}

fn all_sessions_resume_on_two_workers(backend: Backend) {
    for &way in ways(backend) {
        for mut client in Client::all(way) {
            let server = serve(backend.acceptor());
            assert!(!client.visit(server.addr));
            let resumed = (0..SESSIONS).filter(|_| client.visit(server.addr)).count();
            assert_eq!(resumed, SESSIONS, "{}, {way:?}", client.name());
            // The kernel chooses the worker.
            for worker in server.counters() {
                assert!(worker.sessions_resumed > 0, "{worker:?}");
            }
        }
    }
}

/// The keys of a host, as its file has them now. `None` if the backend has no ticket keys.
fn acceptor(backend: Backend, file: &Path) -> Option<Arc<dyn TlsAcceptor>> {
    let keys = TicketKeys::from_file(file).expect("keys");
    let made = (backend.make)(&TlsConfig::new(identity()).ticket_keys(keys));
    if backend.name == "native-tls" {
        let error = made.err().expect("native-tls has none");
        assert!(error.is_unsupported(), "{error}");
        return None;
    }
    Some(made.expect("an acceptor"))
}

/// A line of a key file: 64 hexadecimal digits.
fn line(digit: char) -> String {
    format!("{digit}b0c25a86e0d2c79e1f92a9c6b3cc9d1a2f0a5f2b8b7c6d5e4f3021120394857\n")
}

fn all_sessions_resume_after_a_restart(backend: Backend) {
    const RESTARTS: usize = 4;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ticket.keys");
    fs::write(&file, line('a')).expect("written");
    for way in [Resume::ByTicket, Resume::Tls13] {
        for mut client in Client::all(way) {
            let Some(first) = acceptor(backend, &file) else {
                return;
            };
            let mut server = serve(first);
            assert!(!client.visit(server.addr));
            let mut resumed = 0;
            for _ in 0..RESTARTS {
                server.stop(Duration::ZERO);
                server = serve(acceptor(backend, &file).expect("as before"));
                for _ in 0..SESSIONS / RESTARTS {
                    resumed += usize::from(client.visit(server.addr));
                }
            }
            assert_eq!(resumed, SESSIONS, "{}, {way:?}", client.name());
        }
    }
}

/// The steps of docs/operations.md, each on one host after the other.
fn all_sessions_resume_on_two_hosts_through_a_rotation(backend: Backend) {
    let steps = [
        ["a", "", ""],
        ["a", "0", "b"],
        ["b", "a", ""],
        // After a lifetime, which has passed for no session here: each was renewed under the new key.
        ["b", "0", "c"],
        ["c", "b", ""],
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ticket.keys");
    let write = |step: usize| {
        let digits = steps[step].concat();
        fs::write(&file, digits.chars().map(line).collect::<String>()).expect("written");
    };
    for way in [Resume::ByTicket, Resume::Tls13] {
        for mut client in Client::all(way) {
            write(0);
            let Some(first) = acceptor(backend, &file) else {
                return;
            };
            let second = acceptor(backend, &file).expect("as before");
            let hosts = [serve(first), serve(second)];
            assert!(!client.visit(hosts[0].addr));
            let changes = 2 * (steps.len() - 1);
            let mut resumed = 0;
            for session in 0..SESSIONS {
                // Between two changes, the client visits both hosts several times.
                if session % (SESSIONS / changes) == 0 && session / (SESSIONS / changes) < changes {
                    let change = session / (SESSIONS / changes);
                    write(change / 2 + 1);
                    let next = acceptor(backend, &file).expect("as before");
                    let host = &hosts[change % 2];
                    host.handle().reload(next).expect("reloaded");
                }
                resumed += usize::from(client.visit(hosts[session % 2].addr));
            }
            assert_eq!(resumed, SESSIONS, "{}, {way:?}", client.name());
        }
    }
}

/// A ticket with one changed byte, which no rustls client offers.
fn tampered_ticket_causes_full_handshake(backend: Backend) {
    let server = serve(backend.acceptor());
    for &way in ways(backend).iter().filter(|way| **way != Resume::ById) {
        let (resumed, session) = openssl_client::visit(server.addr, way, None);
        assert!(!resumed);
        // The same ticket twice: the server keeps no state about it.
        for _ in 0..2 {
            assert!(openssl_client::visit(server.addr, way, Some(&session)).0);
        }
        let ticket = openssl_client::ticket(&session);
        for at in [
            ticket.start,
            ticket.start + 20,
            ticket.end - 17,
            ticket.end - 1,
        ] {
            let mut tampered = session.clone();
            tampered[at] ^= 1;
            let (resumed, _) = openssl_client::visit(server.addr, way, Some(&tampered));
            assert!(!resumed, "byte {at} of {ticket:?}");
        }
    }
}

/// Tickets of any length, which are cut off, longer, of a known key, or of none.
fn garbage_tickets_cause_full_handshakes(backend: Backend) {
    let server = serve(backend.acceptor());
    for &way in ways(backend).iter().filter(|way| **way != Resume::ById) {
        let (_, session) = openssl_client::visit(server.addr, way, None);
        let ticket = &session[openssl_client::ticket(&session)];
        // The lengths of the parts of a ticket: name, IV or nonce, time, tag.
        let mut garbage: Vec<_> = [1, 8, 12, 15, 16, 17, 28, 31, 32, 33, 48, 63, 64, 65, 80]
            .into_iter()
            .chain([ticket.len() - 16, ticket.len() - 1])
            .map(|length| ticket[..length.min(ticket.len() - 1)].to_vec())
            .collect();
        for length in [1, 16, 64, 1_000, 12_000] {
            garbage.push([ticket, &vec![0; length]].concat());
            garbage.push(vec![length as u8; length]);
            // The name of a key, then nothing that it has sealed.
            garbage.push([&ticket[..16], &vec![0xff; length]].concat());
        }
        for ticket in garbage {
            let session = openssl_client::with_ticket(&session, &ticket);
            let (resumed, _) = openssl_client::visit(server.addr, way, Some(&session));
            assert!(!resumed, "{way:?}, {} bytes", ticket.len());
        }
        // The client still has what the server gave it.
        assert!(openssl_client::visit(server.addr, way, Some(&session)).0);
    }
    assert!(server.counters().iter().all(|it| it.handshakes_failed == 0));
}
