//! Tests certificates by server name, and their replacement in a running server.

mod client;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use client::{Client, certificate};
use corelane::{
    Body, Error, Handle, ProtocolName, service_fn,
    tls::{
        self, Cleartext, Identity, ServerNameAcceptor, Start, TlsAcceptor, TlsConfig, UnknownName,
    },
};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    certs::{CERTIFICATE, identity},
    client::{Stream, Tls, get, never, rustls_config, send, server_name},
    deadline, for_each_tls_backend,
};
use http::{Request, Response};
use tokio_rustls::TlsConnector;

for_each_tls_backend!(
    server_name_selects_certificate,
    unknown_names_are_rejected_if_configured,
    client_gets_key_type_it_supports,
    client_gets_key_for_which_both_have_a_suite,
    conflicting_identities_are_rejected,
    reload_affects_only_new_handshakes,
    handshake_reports_backend_it_started_with,
    failed_reload_keeps_old_acceptor,
);

/// The alert `illegal_parameter` (RFC 8446 section 6.2).
const ILLEGAL_PARAMETER: u8 = 47;

/// The alert `unrecognized_name` (RFC 6066 section 3).
const UNRECOGNIZED_NAME: u8 = 112;

fn one(backend: Backend, identity: &Identity) -> Arc<dyn TlsAcceptor> {
    (backend.make)(&TlsConfig::new(identity.clone())).expect("an acceptor")
}

/// An acceptor with these identities, of which the first is the default.
fn by_name(backend: Backend, identities: &[&Identity]) -> Result<ServerNameAcceptor, Error> {
    let (first, others) = identities.split_first().expect("a default");
    let mut acceptor = ServerNameAcceptor::new(first, one(backend, first))?;
    for identity in others {
        acceptor = acceptor.add(identity, one(backend, identity))?;
    }
    Ok(acceptor)
}

fn server_name_selects_certificate(backend: Backend) {
    let default = certificate(&["default.test"]);
    let a = certificate(&["a.test", "*.b.test", "xn--bcher-kva.test"]);
    let www = certificate(&["www.b.test"]);
    let renamed = certificate(&["not-this.test"]);
    let given = renamed
        .identity()
        .with_names(["given.test"])
        .expect("names");
    let identities = [&default.identity(), &a.identity(), &www.identity(), &given];
    for &driver in Drivers::all() {
        let acceptor = by_name(backend, &identities).expect("an acceptor");
        let server = TestServer::start(Arc::new(acceptor), driver, |_| service_fn(never));
        for (asked, wanted) in [
            (Some("a.test"), &a),
            (Some("A.Test"), &a),
            (Some("a.test."), &a),
            (Some("x.b.test"), &a),
            (Some("X.B.TEST"), &a),
            (Some("xn--bcher-kva.test"), &a),
            (Some("www.b.test"), &www),
            (Some("given.test"), &renamed),
            (Some("not-this.test"), &default),
            (Some("b.test"), &default),
            (Some("x.y.b.test"), &default),
            (Some("default.test"), &default),
            (Some("elsewhere.test"), &default),
            (Some("192.0.2.1"), &default),
            (None, &default),
        ] {
            let got = Client::asking_for(asked).connect(server.addr);
            assert_eq!(got, Ok(wanted.der.clone()), "{asked:?}");
        }
    }
}

fn unknown_names_are_rejected_if_configured(backend: Backend) {
    let default = certificate(&["default.test"]);
    let a = certificate(&["*.a.test"]);
    for &driver in Drivers::all() {
        let acceptor = by_name(backend, &[&default.identity(), &a.identity()]);
        let acceptor = acceptor.expect("an acceptor");
        let acceptor = acceptor.unknown_name(UnknownName::Refuse);
        let server = TestServer::start(Arc::new(acceptor), driver, |_| service_fn(never));
        for (asked, wanted) in [
            (Some("b.test"), Err(UNRECOGNIZED_NAME)),
            (Some("a.test"), Err(UNRECOGNIZED_NAME)),
            (Some("x.a.test"), Ok(a.der.clone())),
            (Some("default.test"), Ok(default.der.clone())),
            // Not a name (RFC 6066 section 3): as without one.
            (Some("192.0.2.1"), Ok(default.der.clone())),
            (Some("2001:db8::1"), Ok(default.der.clone())),
            (Some("\u{e4}.a.test"), Err(ILLEGAL_PARAMETER)),
            (None, Ok(default.der.clone())),
        ] {
            for client in [
                Client::asking_for(asked),
                Client::asking_for(asked).tls_1_2(),
            ] {
                assert_eq!(client.connect(server.addr), wanted, "{asked:?}");
            }
        }
        server.wait_for("the refused are counted", |counters| {
            counters.handshakes_failed == 6 && counters.handshakes_completed == 10
        });
    }
}

fn client_gets_key_type_it_supports(backend: Backend) {
    let names = ["a.test", "*.a.test"];
    let (ecdsa, rsa) = (certificate(&names), certificate(&names).with_rsa());
    let ed25519 = certificate(&names).with_ed25519();
    let other = certificate(&["*.test"]).with_rsa();
    // The order of the identities does not matter; RSA is the default here.
    let identities = [&rsa, &ed25519, &ecdsa, &other].map(|made| made.identity());
    let identities: Vec<_> = identities.iter().collect();
    let acceptor = by_name(backend, &identities).expect("an acceptor");
    let driver = Drivers::all()[0];
    let server = TestServer::start(Arc::new(acceptor), driver, |_| service_fn(never));
    const ONLY_RSA: &str = "RSA-PSS+SHA256:RSA+SHA256";
    const ONLY_ECDSA: &str = "ECDSA+SHA256";
    const ONLY_EDDSA: &str = "ed25519";
    for asked in [Some("a.test"), Some("x.a.test"), Some("elsewhere"), None] {
        let client = || Client::asking_for(asked);
        for (client, wanted) in [
            (client(), &ecdsa),
            (client().tls_1_2(), &ecdsa),
            (client().verifying(ONLY_ECDSA), &ecdsa),
            (client().verifying(ONLY_ECDSA).tls_1_2(), &ecdsa),
            (client().verifying(ONLY_EDDSA), &ed25519),
            (client().verifying(ONLY_EDDSA).tls_1_2(), &ed25519),
            (client().verifying(ONLY_RSA), &rsa),
            (client().verifying(ONLY_RSA).tls_1_2(), &rsa),
            // Holds for every TLS version: under TLS 1.2 these suites require RSA.
            (client().suites("ECDHE-RSA-AES128-GCM-SHA256"), &rsa),
            (
                client().suites("ECDHE-RSA-AES128-GCM-SHA256").tls_1_2(),
                &rsa,
            ),
            (
                client().suites("ECDHE-ECDSA-AES128-GCM-SHA256").tls_1_2(),
                &ecdsa,
            ),
            (client().groups("X25519:P-384").tls_1_2(), &ed25519),
        ] {
            let got = client.connect(server.addr);
            assert_eq!(got, Ok(wanted.der.clone()), "{client:?}");
        }
    }
    // The wildcard's key is the only one for this name, so the client's preference does not matter.
    let got = Client::asking_for(Some("b.test")).connect(server.addr);
    assert_eq!(got, Ok(other.der.clone()));
}

/// Each key has another suite of TLS 1.2.
fn client_gets_key_for_which_both_have_a_suite(backend: Backend) {
    if backend.name == "native-tls" {
        return; // It has no lists of suites.
    }
    let names = ["a.test"];
    let (ecdsa, rsa) = (certificate(&names), certificate(&names).with_rsa());
    let acceptor = |identity: &Identity| {
        let suites = [
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        ];
        let suites = suites.map(|name| name.parse().expect(name));
        let config = TlsConfig::new(identity.clone()).cipher_suites(suites);
        (backend.make)(&config).expect("an acceptor")
    };
    let [first, second] = [&ecdsa, &rsa].map(|made| made.identity());
    let by_name = ServerNameAcceptor::new(&first, acceptor(&first))
        .and_then(|it| it.add(&second, acceptor(&second)))
        .expect("an acceptor");
    let driver = Drivers::all()[0];
    let server = TestServer::start(Arc::new(by_name), driver, |_| service_fn(never));
    for (suites, wanted) in [
        (
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
            &ecdsa,
        ),
        (
            "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384",
            &rsa,
        ),
    ] {
        let client = || Client::asking_for(Some("a.test")).suites(suites);
        for client in [client().tls_1_2(), client()] {
            let got = client.connect(server.addr);
            assert_eq!(got, Ok(wanted.der.clone()), "{client:?}");
        }
    }
}

fn conflicting_identities_are_rejected(backend: Backend) {
    let refusal = |identities: &[&Identity]| {
        let error = by_name(backend, identities).expect_err("refused");
        assert!(error.is_config(), "{error:?}");
        error.to_string()
    };
    let a = certificate(&["a.test", "b.test"]).identity();
    let twice = certificate(&["c.test", "B.test"]).identity();
    let said = refusal(&[&identity(), &a, &twice]);
    for part in ["identity 2", "identity 3", "b.test", "ECDSA"] {
        assert!(said.contains(part), "{said}");
    }
    let nameless = certificate(&["192.0.2.1"]).identity();
    let said = refusal(&[&a, &nameless]);
    assert!(
        said.contains("identity 2") && said.contains("dNSName"),
        "{said}"
    );
    by_name(backend, &[&nameless, &a]).expect("as the default it needs no name");

    let none = ServerNameAcceptor::new(&a, Cleartext).expect_err("no TLS");
    assert!(none.to_string().contains("none"), "{none}");
    let both = ServerNameAcceptor::new(&a, one(backend, &a)).expect("an acceptor");
    let both = both.add(&identity(), Renamed::new(one(backend, &identity())));
    let said = both.expect_err("two backends").to_string();
    assert!(
        said.contains(backend.name) && said.contains("renamed"),
        "{said}"
    );

    // One of the acceptors would not choose h2, and is rejected as it would be alone.
    let config = TlsConfig::new(certificate(&["c.test"]).identity())
        .alpn_protocols(vec![ProtocolName::HTTP_1_1]);
    let acceptor = by_name(backend, &[&a]).expect("an acceptor");
    let acceptor = acceptor.add(&config.identity, (backend.make)(&config).expect("made"));
    let acceptor = acceptor.expect("an acceptor, if of HTTP/1.1");
    let server = corelane::Server::builder(acceptor).listen("127.0.0.1:0");
    assert!(server.bind().is_err_and(|error| error.is_config()));
}

/// The same acceptor under another backend name, which counts its sessions.
#[derive(Clone)]
struct Renamed(Arc<dyn TlsAcceptor>, Arc<AtomicUsize>);

impl Renamed {
    fn new(acceptor: Arc<dyn TlsAcceptor>) -> Self {
        Self(acceptor, Arc::default())
    }
}

impl TlsAcceptor for Renamed {
    fn backend(&self) -> &'static str {
        "renamed"
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.0.alpn_protocols()
    }

    fn start(&self, client: &tls::Client<'_>) -> Result<Start, Error> {
        self.1.fetch_add(1, SeqCst);
        self.0.start(client)
    }
}

/// The backend that serves the connection, and the server name.
async fn who(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let connection = request.body().connection();
    let name = connection.negotiated.server_name.as_deref();
    Ok(Response::new(format!(
        "{} {}",
        connection.backend,
        name.unwrap_or_default()
    )))
}

fn reload_affects_only_new_handshakes(backend: Backend) {
    let other = certificate(&["other.test"]);
    for &driver in Drivers::all() {
        let first = by_name(backend, &[&other.identity(), &identity()]).expect("an acceptor");
        let server = TestServer::start(Arc::new(first), driver, |_| service_fn(who));
        let (addr, other) = (server.addr, &other);
        deadline(async {
            let before = H2Client::connect(backend, addr).await;
            let old = before.run(|requests| async move {
                let ask = || async {
                    send(&requests, get("/"), None)
                        .await
                        .expect("answered")
                        .body
                };
                let served_by = format!("{} localhost", backend.name).into_bytes();
                assert_eq!(ask().await, served_by);
                let new = by_name(backend, &[&other.identity()]).expect("an acceptor");
                server.handle().reload(new).expect("reloaded");
                let got = Client::asking_for(Some("localhost")).connect(addr);
                assert_eq!(got, Ok(other.der.clone()), "a new handshake");
                assert_eq!(ask().await, served_by, "an open connection");

                let renamed = Renamed::new(one(backend, &identity()));
                let reloader = server.handle().reloader();
                reloader.reload(renamed).expect("reloaded");
                let after = H2Client::connect(backend, addr).await;
                let answer = after.run(|requests| async move {
                    send(&requests, get("/"), None)
                        .await
                        .expect("answered")
                        .body
                });
                assert_eq!(answer.await, b"renamed localhost");
                assert_eq!(ask().await, served_by, "it tells what it began with");
                server
            });
            old.await.stop(Duration::from_secs(10));
        });
    }
}

/// A connection that existed before the reload, and starts its handshake after it.
fn handshake_reports_backend_it_started_with(backend: Backend) {
    for &driver in Drivers::all() {
        let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(who));
        let tcp = std::net::TcpStream::connect(server.addr).expect("connects");
        server.wait_for("the connection", |counters| {
            counters.connections_accepted == 1
        });
        // When a later connection has ended, the task of this one has run.
        Client::asking_for(None)
            .connect(server.addr)
            .expect("served");
        let renamed = Renamed::new(backend.acceptor());
        server.handle().reload(renamed.clone()).expect("reloaded");
        let said = deadline(async {
            tcp.set_nonblocking(true).expect("a socket option");
            let tcp = tokio::net::TcpStream::from_std(tcp).expect("a socket");
            let connector = TlsConnector::from(rustls_config(Tls::Any, &[b"h2"]));
            let tls = connector.connect(server_name(), tcp).await.expect("TLS");
            let stream: Box<dyn Stream> = Box::new(tls);
            let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            let client = H2Client::new(requests, connection);
            let answer =
                client.run(|requests| async move { send(&requests, get("/"), None).await });
            answer.await.expect("answered").body
        });
        let began_with = match renamed.1.load(SeqCst) {
            0 => backend.name,
            _ => "renamed",
        };
        assert_eq!(said, format!("{began_with} localhost").into_bytes());
    }
}

fn failed_reload_keeps_old_acceptor(backend: Backend) {
    let driver = Drivers::all()[0];
    let server = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
    let refused = |handle: &Handle, acceptor: Arc<dyn TlsAcceptor>| {
        let error = handle.reload(acceptor).expect_err("refused");
        assert!(error.is_config(), "{error:?}");
        error.to_string()
    };
    let config = TlsConfig::new(identity()).alpn_protocols(vec![ProtocolName::HTTP_1_1]);
    let http_1 = (backend.make)(&config).expect("an acceptor");
    let said = refused(server.handle(), http_1);
    assert!(said.contains("the server serves [\"h2\"]"), "{said}");
    let said = refused(server.handle(), Arc::new(Cleartext));
    assert!(said.contains("no TLS"), "{said}");
    let got = Client::asking_for(Some("localhost")).connect(server.addr);
    assert_eq!(got, Ok(CERTIFICATE.der.clone()), "the old one goes on");

    let cleartext = TestServer::start(Arc::new(Cleartext), driver, |_| service_fn(never));
    refused(cleartext.handle(), backend.acceptor());
    cleartext.handle().reload(Cleartext).expect("of its kind");
}
