//! Tests the calls over real connections, by both interfaces for keys.

mod groups;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    ssl::{
        Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef, SslSession,
        SslSessionCacheMode, SslVerifyMode, SslVersion,
    },
    x509::X509,
};

use crate::{
    NAME_LEN, Opening, TicketKey, TicketKeys, callback, ciphers, data, set_session_lifetime,
};

type Install = fn(&mut SslContextBuilder) -> Result<(), ErrorStack>;

/// The interfaces that this OpenSSL has.
const INTERFACES: &[Install] = &[
    crate::hmac::install,
    #[cfg(openssl_3)]
    crate::mac::install,
];

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// The first key seals, all of them open.
struct Keys {
    keys: Mutex<Vec<u8>>,
    opened: AtomicUsize,
}

fn key(number: u8) -> TicketKey {
    TicketKey {
        name: [number; NAME_LEN],
        aes: [number ^ 0x55; 32],
        hmac: [number ^ 0xaa; 32],
    }
}

impl Keys {
    fn new(keys: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            keys: Mutex::new(keys.to_vec()),
            opened: AtomicUsize::new(0),
        })
    }

    fn set(&self, keys: &[u8]) {
        *self.keys.lock().expect("whole") = keys.to_vec();
    }
}

struct Shared(Arc<Keys>);

impl TicketKeys for Shared {
    fn seal(&self, _ssl: &mut SslRef) -> Option<TicketKey> {
        self.0.keys.lock().expect("whole").first().copied().map(key)
    }

    fn open(&self, _ssl: &mut SslRef, name: &[u8; NAME_LEN]) -> Option<Opening> {
        let keys = self.0.keys.lock().expect("whole");
        let at = keys.iter().position(|&number| key(number).name == *name)?;
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        Some(Opening {
            key: key(keys[at]),
            renew: at > 0,
        })
    }
}

pub(crate) fn context(change: impl FnOnce(&mut SslContextBuilder)) -> SslContext {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut certificate = X509::builder().expect("a builder");
    let day = |n| Asn1Time::days_from_now(n).expect("a time");
    certificate.set_version(2).expect("set");
    certificate.set_pubkey(&key).expect("set");
    certificate.set_not_before(&day(0)).expect("set");
    certificate.set_not_after(&day(2)).expect("set");
    certificate
        .sign(&key, MessageDigest::sha256())
        .expect("signed");
    let mut context = SslContext::builder(SslMethod::tls_server()).expect("a context");
    context.set_certificate(&certificate.build()).expect("set");
    context.set_private_key(&key).expect("set");
    context.set_session_id_context(b"tests").expect("set");
    // So that sessions resume by ticket only.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    change(&mut context);
    context.build()
}

fn server(install: Install, keys: impl TicketKeys) -> SslContext {
    context(|context| {
        callback::store(context, Arc::new(keys)).expect("stored");
        data::install(context).expect("installed");
        install(context).expect("installed");
    })
}

/// A connection. Returns whether the session resumed, and the client's newest session, in DER; `None`
/// if the handshake failed.
fn visit(server: &SslContext, version: SslVersion, with: Option<&[u8]>) -> Option<(bool, Vec<u8>)> {
    visit_by(Ssl::new(server).expect("a session"), version, with)
}

fn visit_by(ssl: Ssl, version: SslVersion, with: Option<&[u8]>) -> Option<(bool, Vec<u8>)> {
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    for socket in [&ours, &theirs] {
        let deadline = Some(Duration::from_secs(60));
        socket.set_read_timeout(deadline).expect("a time-out");
    }
    let serve = thread::spawn(move || {
        let Ok(mut tls) = ssl.accept(theirs) else {
            return;
        };
        let _ = tls.write_all(b"x");
        let _ = tls.read(&mut [0]);
    });
    let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
    client.set_verify(SslVerifyMode::NONE);
    client.set_min_proto_version(Some(version)).expect("set");
    client.set_max_proto_version(Some(version)).expect("set");
    client.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    let mut ssl = Ssl::new(&client.build()).expect("a session");
    if let Some(session) = with {
        let session = SslSession::from_der(session).expect("DER");
        // SAFETY: a context with the same settings made the session.
        unsafe { ssl.set_session(&session) }.expect("set");
    }
    let result = ssl.connect(ours).ok().and_then(|mut tls| {
        tls.read_exact(&mut [0]).ok()?;
        let session = tls.ssl().session()?.to_der().ok()?;
        Some((tls.ssl().session_reused(), session))
    });
    serve.join().expect("no panic");
    result
}

/// A client that accepts any certificate.
pub(crate) fn client() -> Ssl {
    let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
    client.set_verify(SslVerifyMode::NONE);
    Ssl::new(&client.build()).expect("a session")
}

/// The ticket in a session: it begins with the name of its key.
fn ticket_at(session: &[u8], name: u8) -> usize {
    let name = [name; NAME_LEN];
    let mut windows = session.windows(NAME_LEN);
    windows.position(|it| it == name).expect("a ticket")
}

#[test]
fn sessions_resume_on_another_context_with_the_same_keys() {
    for (&install, version) in each() {
        let [here, there] = [(); 2].map(|()| server(install, Shared(Keys::new(&[1]))));
        let (resumed, session) = visit(&here, version, None).expect("served");
        assert!(!resumed);
        for server in [&here, &there] {
            assert!(visit(server, version, Some(&session)).expect("served").0);
        }
        let other = server(install, Shared(Keys::new(&[2])));
        assert!(!visit(&other, version, Some(&session)).expect("served").0);
    }
}

fn each() -> impl Iterator<Item = (&'static Install, SslVersion)> {
    INTERFACES
        .iter()
        .flat_map(|install| VERSIONS.map(|version| (install, version)))
}

/// RFC 8446 appendix C.4: a client uses a ticket once.
#[test]
fn clients_of_tls_1_3_get_a_new_ticket_each_time() {
    for &install in INTERFACES {
        let server = server(install, Shared(Keys::new(&[1])));
        let version = SslVersion::TLS1_3;
        let (_, mut session) = visit(&server, version, None).expect("served");
        for _ in 0..3 {
            let ticket = |session: &[u8]| session[ticket_at(session, 1)..].to_vec();
            let (resumed, next) = visit(&server, version, Some(&session)).expect("served");
            assert!(resumed);
            assert_ne!(ticket(&next), ticket(&session));
            session = next;
        }
    }
}

#[test]
fn keys_rotate() {
    for (&install, version) in each() {
        let keys = Keys::new(&[1]);
        let server = server(install, Shared(Arc::clone(&keys)));
        let (_, old) = visit(&server, version, None).expect("served");
        keys.set(&[2, 1]);
        let (resumed, new) = visit(&server, version, Some(&old)).expect("served");
        assert!(resumed);
        ticket_at(&new, 2);
        keys.set(&[2]);
        assert!(visit(&server, version, Some(&new)).expect("served").0);
        assert!(!visit(&server, version, Some(&old)).expect("served").0);
    }
}

#[test]
fn without_a_key_clients_get_no_ticket() {
    for (&install, version) in each() {
        let server = server(install, Shared(Keys::new(&[])));
        for _ in 0..2 {
            let (resumed, _) = visit(&server, version, None).expect("served");
            assert!(!resumed);
        }
    }
}

#[test]
fn a_changed_ticket_does_not_resume() {
    for (&install, version) in each() {
        let keys = Keys::new(&[1]);
        let server = server(install, Shared(Arc::clone(&keys)));
        let (_, session) = visit(&server, version, None).expect("served");
        let ticket = ticket_at(&session, 1);
        // The name, the IV, the state.
        for (at, opened) in [(0, 0), (NAME_LEN, 1), (NAME_LEN + 16, 1)] {
            let mut changed = session.clone();
            changed[ticket + at] ^= 1;
            keys.opened.store(0, Ordering::Relaxed);
            assert!(!visit(&server, version, Some(&changed)).expect("served").0);
            assert_eq!(keys.opened.load(Ordering::Relaxed), opened, "byte {at}");
        }
        assert!(visit(&server, version, Some(&session)).expect("served").0);
    }
}

/// Numbers the sessions, and keeps the numbers of tickets that were opened.
#[derive(Default)]
struct Numbers {
    made: AtomicUsize,
    opened: Mutex<Vec<Vec<u8>>>,
}

struct SharedNumbers(Arc<Numbers>);

impl TicketKeys for SharedNumbers {
    fn seal(&self, _ssl: &mut SslRef) -> Option<TicketKey> {
        Some(key(1))
    }

    fn open(&self, _ssl: &mut SslRef, _name: &[u8; NAME_LEN]) -> Option<Opening> {
        Some(Opening {
            key: key(1),
            renew: true,
        })
    }

    fn data(&self, _ssl: &mut SslRef) -> Vec<u8> {
        let number = self.0.made.fetch_add(1, Ordering::Relaxed);
        format!("number {number}").into_bytes()
    }

    fn opened(&self, _ssl: &mut SslRef, data: &[u8]) {
        self.0.opened.lock().expect("whole").push(data.to_vec());
    }
}

#[test]
fn tickets_keep_their_data_when_they_are_renewed() {
    for (&install, version) in each() {
        let numbers = Arc::new(Numbers::default());
        let server = server(install, SharedNumbers(Arc::clone(&numbers)));
        let (_, mut session) = visit(&server, version, None).expect("served");
        let made = numbers.made.load(Ordering::Relaxed);
        for _ in 0..3 {
            let (resumed, next) = visit(&server, version, Some(&session)).expect("served");
            assert!(resumed);
            session = next;
        }
        assert_eq!(numbers.made.load(Ordering::Relaxed), made);
        let opened = numbers.opened.lock().expect("whole");
        let number = format!("number {}", made - 1).into_bytes();
        assert_eq!(*opened, [(); 3].map(|()| number.clone()));
    }
}

/// Panics in the method with this name.
struct PanicsIn(&'static str);

impl PanicsIn {
    fn enter(&self, method: &str) {
        assert_ne!(self.0, method, "the test's panic");
    }
}

impl TicketKeys for PanicsIn {
    fn seal(&self, _ssl: &mut SslRef) -> Option<TicketKey> {
        self.enter("seal");
        Some(key(1))
    }

    fn open(&self, _ssl: &mut SslRef, _name: &[u8; NAME_LEN]) -> Option<Opening> {
        self.enter("open");
        Some(Opening {
            key: key(1),
            renew: false,
        })
    }

    fn data(&self, _ssl: &mut SslRef) -> Vec<u8> {
        self.enter("data");
        vec![1]
    }

    fn opened(&self, _ssl: &mut SslRef, data: &[u8]) {
        assert_eq!(data, [1]);
        self.enter("opened");
    }
}

#[test]
fn a_panic_fails_the_handshake() {
    for (&install, version) in each() {
        let good = server(install, PanicsIn("no method"));
        let (_, session) = visit(&good, version, None).expect("served");
        assert!(visit(&good, version, Some(&session)).expect("served").0);
        for (method, with) in [("seal", None), ("data", None), ("open", Some(&session[..]))] {
            let bad = server(install, PanicsIn(method));
            assert!(visit(&bad, version, with).is_none(), "{method}");
        }
        let bad = server(install, PanicsIn("opened"));
        assert!(!visit(&bad, version, Some(&session)).expect("served").0);
    }
}

/// The keys live as long as their context and its connections.
#[test]
fn the_context_drops_its_keys() {
    for &install in INTERFACES {
        let keys = Keys::new(&[1]);
        let server = server(install, Shared(Arc::clone(&keys)));
        let connection = Ssl::new(&server).expect("a session");
        drop(server);
        assert_eq!(Arc::strong_count(&keys), 2);
        drop(connection);
        assert_eq!(Arc::strong_count(&keys), 1);
    }
}

#[test]
fn sessions_have_the_lifetime_that_was_set() {
    for version in VERSIONS {
        let (given, lifetimes) = mpsc::channel();
        let server = context(|context| {
            set_session_lifetime(context, Duration::from_secs(12 * 3600));
            context.set_options(SslOptions::NO_TICKET);
            context.set_session_cache_mode(SslSessionCacheMode::SERVER);
            context.set_new_session_callback(move |_, session| {
                let _ = given.send(session.timeout());
            });
        });
        visit(&server, version, None).expect("served");
        let lifetimes: Vec<_> = lifetimes.try_iter().collect();
        assert!(!lifetimes.is_empty());
        assert!(lifetimes.iter().all(|it| *it == 12 * 3600), "{lifetimes:?}");
    }
}

#[test]
fn a_session_does_not_resume_under_another_id_context() {
    for (&install, version) in each() {
        let server = server(install, Shared(Keys::new(&[1])));
        let under = |id: &[u8], with: Option<&[u8]>| {
            let mut ssl = Ssl::new(&server).expect("a session");
            crate::set_session_id_context(&mut ssl, id).expect("set");
            visit_by(ssl, version, with).expect("served")
        };
        let (_, session) = under(b"a", None);
        assert!(under(b"a", Some(&session)).0);
        assert!(!under(b"b", Some(&session)).0);
    }
    let mut ssl = Ssl::new(&context(|_| {})).expect("a session");
    crate::set_session_id_context(&mut ssl, &[0; 32]).expect("set");
    crate::set_session_id_context(&mut ssl, &[0; 33]).expect_err("too long");
}

#[test]
fn ciphers_are_those_of_the_list() {
    let mut context = SslContext::builder(SslMethod::tls_server()).expect("a context");
    context
        .set_cipher_list("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        .expect("set");
    context
        .set_ciphersuites("TLS_AES_128_GCM_SHA256")
        .expect("set");
    assert_eq!(
        ciphers(&context).map(|it| it.name()).collect::<Vec<_>>(),
        [
            "TLS_AES_128_GCM_SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES128-GCM-SHA256"
        ]
    );
}
