//! Large certificates and chains, which clients send to use memory or time.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use corelane_test_support::{
    Backend,
    client::{DEADLINE, server_name},
    visit::visit,
};
use rcgen::{CertificateParams, CustomExtension};
use rustls::{
    ClientConfig, ClientConnection,
    client::{Resumption, Tls12Resumption},
    pki_types::CertificateDer,
};

use crate::{
    VERSIONS,
    authority::{Authority, config},
    server::serve,
};

/// A certificate of about this size.
fn padded(size: usize) -> impl FnOnce(&mut CertificateParams) {
    const OCTET_STRING: u8 = 4;
    move |params| {
        let padding = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![OCTET_STRING; size]);
        params.custom_extensions = vec![padding];
    }
}

fn by_id(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption =
        Resumption::in_memory_sessions(1).tls12_resumption(Tls12Resumption::SessionIdOnly);
    Arc::new(config)
}

/// A session contains the chain of its client: the cache of a server would hold 4,096 of them.
pub fn sessions_with_large_chains_do_not_resume(backend: Backend) {
    let root = Authority::new("root");
    let Some(server) = serve(backend, root.auth()) else {
        return;
    };
    for (size, resumed) in [(1_000, true), (10_000, false)] {
        let between = root.below_with("between", padded(size));
        let client = between.issue(1, |_| {});
        let chain = || vec![client.der(), between.der()];
        let key = client.key.serialize_der();
        let [tls_1_2, tls_1_3] = VERSIONS.map(|tls| config(tls, chain(), &key));
        for (way, client) in [
            ("by ID", by_id(&tls_1_2)),
            ("TLS 1.2", tls_1_2),
            ("TLS 1.3", tls_1_3),
        ] {
            for visits in 0..3 {
                let seen = visit(server.addr, &client);
                assert_eq!(seen.certificates.len(), 2);
                assert_eq!(seen.resumed, resumed && visits > 0, "{way}, {size}");
            }
        }
    }
}

/// Whether the server closes before it has read everything.
fn is_cut_off(addr: SocketAddr, config: &Arc<ClientConfig>) -> bool {
    let mut tls = ClientConnection::new(Arc::clone(config), server_name()).expect("a client");
    let mut tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    while tls.is_handshaking() {
        if tls.complete_io(&mut tcp).is_err() {
            return true;
        }
    }
    // Under TLS 1.3 the client learns it now.
    let opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let _ = tls.writer().write_all(opening);
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    !matches!(stream.read(&mut [0; 100]), Ok(1..))
}

/// The largest message that the libraries take has 64 KiB (rustls) or 100 KiB (OpenSSL).
pub fn oversized_chains_are_refused(backend: Backend) {
    let root = Authority::new("root");
    let Some(server) = serve(backend, root.auth().optional()) else {
        return;
    };
    let good = root.issue(1, |_| {});
    let key = good.key.serialize_der();
    let large = root.issue(2, padded(110_000));
    let between = root.below("between");
    let many = |n: usize| {
        let others = std::iter::repeat_n(between.der(), n);
        std::iter::once(good.der())
            .chain(others)
            .collect::<Vec<CertificateDer<'_>>>()
    };
    for tls in VERSIONS {
        // Those behind the client's own are not needed.
        assert!(!is_cut_off(server.addr, &config(tls, many(100), &key)));
        assert!(
            is_cut_off(server.addr, &config(tls, many(1000), &key)),
            "{tls:?}"
        );
        let large = config(tls, vec![large.der()], &large.key.serialize_der());
        assert!(is_cut_off(server.addr, &large), "{tls:?}");
        assert!(!visit(server.addr, &good.config(tls)).resumed);
    }
    server.wait_for("all are counted", |counters| {
        counters.handshakes_failed == 4
    });
}
