//! Tests that sessions resume wherever the ticket keys are known, and nowhere else. `resumption/` counts
//! that all of them do.

use std::{
    io::Read,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use corelane::{
    Driver,
    tls::{TicketKeys, TlsAcceptor, TlsConfig},
};
use corelane_test_support::{
    Backend, Drivers, TestServer,
    certs::identity,
    client::{DEADLINE, Tls, server_name},
    for_each_tls_backend,
    visit::{register, returning, visit, visit_as},
};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind,
    client::{Resumption, Tls12Resumption},
};

for_each_tls_backend!(
    sessions_resume_on_every_worker,
    sessions_resume_however_the_client_ended,
    sessions_resume_after_restart_and_on_another_host,
    removed_key_opens_no_ticket,
    random_keys_are_shared_by_clones,
    resumption_does_not_extend_lifetime,
    session_does_not_resume_under_other_server_name,
    ticket_keys_without_resumption_are_rejected,
);

const KEYS: [&str; 3] = [
    "7b0c25a86e0d2c79e1f92a9c6b3cc9d1a2f0a5f2b8b7c6d5e4f3021120394857",
    "30f1e2d3c4b5a69788796a5b4c3d2e1f001122334455667788990aabbccddeef",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef00fedcba987654321",
];

/// Keys by their index in `KEYS`.
fn keys(numbers: &[usize]) -> TicketKeys {
    let lines: Vec<_> = numbers.iter().map(|&number| KEYS[number]).collect();
    TicketKeys::from_text(lines.join("\n")).expect("keys")
}

/// `None` if the backend does not support ticket keys and says so.
fn acceptor(backend: Backend, keys: TicketKeys) -> Option<Arc<dyn TlsAcceptor>> {
    let config = TlsConfig::new(identity()).ticket_keys(keys);
    let made = (backend.make)(&config);
    if backend.name != "native-tls" {
        return Some(made.expect("an acceptor"));
    }
    let error = made.err().expect("native-tls keeps its keys to itself");
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("ticket keys"), "{error}");
    None
}

fn serve(acceptor: &Arc<dyn TlsAcceptor>) -> TestServer {
    TestServer::start(Arc::clone(acceptor), Driver::Epoll, register)
}

const VERSIONS: [Tls; 2] = [Tls::V1_2, Tls::V1_3];

/// On every backend, also without configured keys.
fn sessions_resume_on_every_worker(backend: Backend) {
    let versions = if backend.tls_1_3 {
        &VERSIONS[..]
    } else {
        &[Tls::V1_2]
    };
    let own = Some(backend.acceptor());
    let acceptors = [own, acceptor(backend, keys(&[0]))];
    for acceptor in acceptors.into_iter().flatten() {
        for &driver in Drivers::all() {
            let acceptor = Arc::clone(&acceptor);
            let two = |builder: corelane::Builder| builder.workers(2);
            let server = TestServer::with(acceptor, driver, two, register);
            for &tls in versions {
                let client = Arc::new(returning(tls));
                let first = visit(server.addr, &client);
                assert!(!first.resumed);
                let mut seen = [0, 0];
                let begun = std::time::Instant::now();
                // The kernel chooses the worker.
                while seen.contains(&0) {
                    let again = visit(server.addr, &client);
                    assert!(again.resumed, "{tls:?}: {again:?}, before: {seen:?}");
                    seen[again.worker] += 1;
                    assert!(begun.elapsed() < DEADLINE, "{seen:?}");
                }
            }
        }
    }
}

/// A client's way to end a connection.
#[derive(Clone, Copy, Debug)]
enum End {
    CloseNotify,
    Fin,
    Reset,
}

/// A handshake without a request. Returns whether the session resumed.
fn handshake_only(addr: SocketAddr, config: &Arc<ClientConfig>, end: End) -> bool {
    let mut tls = ClientConnection::new(Arc::clone(config), server_name()).expect("a client");
    let mut tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE))
        .expect("an open socket");
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).expect("a handshake");
    }
    match end {
        End::CloseNotify => {
            tls.send_close_notify();
            tls.complete_io(&mut tcp).expect("an open connection");
        }
        End::Fin => tcp.shutdown(Shutdown::Write).expect("an open connection"),
        End::Reset => {
            let socket = socket2::SockRef::from(&tcp);
            socket.set_linger(Some(Duration::ZERO)).expect("an option");
        }
    }
    if !matches!(end, End::Reset) {
        // Until the server has ended, too.
        let _ = tcp.read_to_end(&mut Vec::new());
    }
    tls.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// Under TLS 1.2, by session id and by ticket.
fn sessions_resume_however_the_client_ended(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, register);
        let mut connections = 0;
        for end in [End::CloseNotify, End::Fin, End::Reset] {
            let by_ticket = returning(Tls::V1_2);
            let mut by_id = by_ticket.clone();
            by_id.resumption =
                Resumption::in_memory_sessions(1).tls12_resumption(Tls12Resumption::SessionIdOnly);
            for (way, client) in [("id", by_id), ("ticket", by_ticket)] {
                let client = Arc::new(client);
                for resumed in [false, true] {
                    let got = handshake_only(server.addr, &client, end);
                    assert_eq!(got, resumed, "by {way}, {end:?}, {driver:?}");
                    connections += 1;
                    server.wait_for("the connection is over", |counters| {
                        counters.connections_closed == connections
                    });
                }
            }
        }
    }
}

fn sessions_resume_after_restart_and_on_another_host(backend: Backend) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ticket.keys");
    std::fs::write(&file, format!("# today's\n{}\n", KEYS[0])).expect("written");
    let read = || acceptor(backend, TicketKeys::from_file(&file).expect("keys"));
    for tls in VERSIONS {
        let client = Arc::new(returning(tls));
        let Some(first) = read() else { return };
        let server = serve(&first);
        assert!(!visit(server.addr, &client).resumed);
        server.stop(Duration::ZERO);
        let restarted = serve(&read().expect("as before"));
        let other = serve(&read().expect("as before"));
        for _ in 0..2 {
            assert!(visit(restarted.addr, &client).resumed, "{tls:?}");
            assert!(visit(other.addr, &client).resumed, "{tls:?}");
        }
    }
}

fn removed_key_opens_no_ticket(backend: Backend) {
    for tls in VERSIONS {
        for (before, after, resumed) in [
            // The previous key.
            (&[0][..], &[1, 0][..], true),
            // The next key: the other host already seals with it.
            (&[1, 0], &[0, 2, 1], true),
            (&[0], &[1, 2], false),
        ] {
            let client = Arc::new(returning(tls));
            let Some(first) = acceptor(backend, keys(before)) else {
                return;
            };
            assert!(!visit(serve(&first).addr, &client).resumed);
            let second = serve(&acceptor(backend, keys(after)).expect("as before"));
            let again = visit(second.addr, &client);
            assert_eq!(again.resumed, resumed, "{tls:?}, {before:?} to {after:?}");
            // In each case, the session now resumes with the new key.
            assert!(visit(second.addr, &client).resumed);
        }
    }
}

fn random_keys_are_shared_by_clones(backend: Backend) {
    let random = TicketKeys::random();
    for tls in VERSIONS {
        let client = Arc::new(returning(tls));
        let Some(first) = acceptor(backend, random.clone()) else {
            return;
        };
        assert!(!visit(serve(&first).addr, &client).resumed);
        let reloaded = acceptor(backend, random.clone()).expect("as before");
        assert!(visit(serve(&reloaded).addr, &client).resumed, "{tls:?}");
        let others = acceptor(backend, TicketKeys::random()).expect("as before");
        assert!(!visit(serve(&others).addr, &client).resumed, "{tls:?}");
    }
}

/// Each visit resumes the session of the previous one, but the lifetime still ends. It is two
/// seconds, because the second may change during a visit.
fn resumption_does_not_extend_lifetime(backend: Backend) {
    let two = Duration::from_secs(2);
    let short = keys(&[0]).lifetime(two).expect("possible");
    let Some(acceptor) = acceptor(backend, short) else {
        return;
    };
    let server = serve(&acceptor);
    for tls in VERSIONS {
        let client = Arc::new(returning(tls));
        let begun = std::time::Instant::now();
        visit(server.addr, &client);
        while visit(server.addr, &client).resumed {
            assert!(begun.elapsed() < DEADLINE, "{tls:?}: it goes on");
        }
    }
}

fn session_does_not_resume_under_other_server_name(backend: Backend) {
    for tls in VERSIONS {
        let client = Arc::new(returning(tls));
        let Some(first) = acceptor(backend, keys(&[0])) else {
            return;
        };
        let (here, there) = (serve(&first), serve(&first));
        assert!(!visit_as("localhost", here.addr, &client).resumed);
        assert!(!visit_as("other.example", there.addr, &client).resumed);
        assert!(
            visit_as("other.example", here.addr, &client).resumed,
            "{tls:?}"
        );
    }
}

fn ticket_keys_without_resumption_are_rejected(backend: Backend) {
    let config = TlsConfig::new(identity())
        .session_resumption(false)
        .ticket_keys(keys(&[0]));
    let error = (backend.make)(&config).err().expect("a contradiction");
    assert!(error.is_config() || backend.name == "native-tls", "{error}");
}
