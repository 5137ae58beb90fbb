//! Tests keying material that is exported for handlers.

use std::sync::Arc;

use corelane::tls::{Exporter, Negotiated, TlsConfig};
use corelane_test_support::{
    Backend,
    certs::identity,
    client::{Tls, rustls_config},
    for_each_tls_backend,
    reporter::{Reporter, openssl_client},
};
use openssl::ssl::{Ssl, SslOptions, SslSession};

for_each_tls_backend!(
    both_ends_export_the_same,
    resumed_sessions_export_their_own,
    without_extended_master_secret_nothing_is_exported,
    exported_material_is_not_printed,
    unusable_exporters_are_errors_when_built,
);

const BINDING: &str = "EXPORTER-Channel-Binding";
const OWN: &str = "EXPERIMENTAL-corelane-test";
const NO_CONTEXT: &str = "EXPERIMENTAL-corelane-test-without";

fn exporters() -> [Exporter; 3] {
    [
        Exporter::channel_binding(),
        Exporter::new(OWN, 100).context(*b"a context"),
        Exporter::new(NO_CONTEXT, 16),
    ]
}

/// The server of a backend that exports.
fn serve(backend: Backend, exporters: impl IntoIterator<Item = Exporter>) -> Option<Reporter> {
    match (backend.make)(&TlsConfig::new(identity()).exporters(exporters)) {
        Err(error) if backend.name == "native-tls" => {
            assert!(error.is_unsupported(), "{error}");
            let text = error.to_string();
            assert!(text.contains("exporters"), "{text}");
            None
        }
        acceptor => Some(Reporter::start(acceptor.expect("an acceptor"))),
    }
}

/// The lengths tell that all is there, and a client's exporter that it is right.
fn check(negotiated: &Negotiated, mut own: impl FnMut(&mut [u8], &str, Option<&[u8]>)) {
    for (label, context, length) in [
        (BINDING, Some(&b""[..]), 32),
        (OWN, Some(b"a context"), 100),
        (NO_CONTEXT, None, 16),
    ] {
        let mut expected = vec![0; length];
        own(&mut expected, label, context);
        assert_eq!(negotiated.exported(label), Some(&*expected), "{label}");
    }
    assert_eq!(negotiated.exported("another"), None);
}

fn both_ends_export_the_same(backend: Backend) {
    let Some(server) = serve(backend, exporters()) else {
        return;
    };
    for tls in [Tls::V1_2, Tls::V1_3] {
        let mut client = server.rustls(&rustls_config(tls, &[b"h2"]));
        let negotiated = server.ask(&mut client).expect("served");
        check(&negotiated, |material, label, context| {
            let label = label.as_bytes();
            let exported = client.conn.export_keying_material(material, label, context);
            exported.expect("exported");
        });
        let context = openssl_client(tls).build();
        let mut client = server.openssl(&context).expect("a handshake");
        let negotiated = server.ask(&mut client).expect("served");
        check(&negotiated, |material, label, context| {
            let ssl = client.ssl();
            let exported = ssl.export_keying_material(material, label, context);
            exported.expect("exported");
        });
    }
}

fn resumed_sessions_export_their_own(backend: Backend) {
    let Some(server) = serve(backend, exporters()) else {
        return;
    };
    for tls in [Tls::V1_2, Tls::V1_3] {
        let config = rustls_config(tls, &[b"h2"]);
        let mut exported = Vec::new();
        for resumed in [false, true] {
            let mut client = server.rustls(&config);
            let negotiated = server.ask(&mut client).expect("served");
            assert_eq!(negotiated.resumed, Some(resumed));
            check(&negotiated, |material, label, context| {
                let label = label.as_bytes();
                let own = client.conn.export_keying_material(material, label, context);
                own.expect("exported");
            });
            exported.push(negotiated.exported(BINDING).map(<[u8]>::to_vec));
        }
        assert_ne!(exported[0], exported[1]);
    }
}

/// TLS 1.2 only, also if the session resumes (RFC 7627 section 5.4).
fn without_extended_master_secret_nothing_is_exported(backend: Backend) {
    /// SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3.
    const NO_EXTENDED_MASTER_SECRET: SslOptions = SslOptions::from_bits_retain(1);
    if openssl::version::number() < 0x3000_0000 {
        eprintln!("NOT TESTED: this OpenSSL always offers the extended master secret");
        return;
    }
    let Some(server) = serve(backend, exporters()) else {
        return;
    };
    let mut client = openssl_client(Tls::V1_2);
    client.set_options(NO_EXTENDED_MASTER_SECRET);
    let client = client.build();
    let mut session: Option<SslSession> = None;
    for resumed in [false, true] {
        let mut ssl = Ssl::new(&client).expect("a session");
        if let Some(session) = &session {
            // SAFETY: the same context made the session.
            unsafe { ssl.set_session(session) }.expect("set");
        }
        let mut tls = server.openssl_by(ssl).expect("a handshake");
        assert_eq!(tls.ssl().extms_support(), Some(false));
        let negotiated = server.ask(&mut tls).expect("served");
        assert_eq!(negotiated.resumed, Some(resumed));
        for label in [BINDING, OWN, NO_CONTEXT] {
            assert_eq!(negotiated.exported(label), None, "{label}");
        }
        // A copy: the end of the connection makes the session itself unusable.
        let der = tls.ssl().session().expect("one").to_der().expect("DER");
        session = Some(SslSession::from_der(&der).expect("DER"));
    }
}

fn exported_material_is_not_printed(backend: Backend) {
    let Some(server) = serve(backend, exporters()) else {
        return;
    };
    let mut client = server.rustls(&rustls_config(Tls::V1_3, &[b"h2"]));
    let negotiated = server.ask(&mut client).expect("served");
    let text = format!("{negotiated:?}{negotiated:#?}");
    for label in [BINDING, OWN, NO_CONTEXT] {
        assert!(text.contains(label), "{text}");
        let material = negotiated.exported(label).expect("exported");
        let [first, second, third, ..] = material else {
            panic!("{label} is short");
        };
        for printed in [
            format!("{first}, {second}, {third}"),
            format!("{first:02x}{second:02x}{third:02x}"),
        ] {
            assert!(!text.contains(&printed), "{text}");
        }
    }
    let unconfigured = Reporter::start(backend.acceptor());
    let mut client = unconfigured.rustls(&rustls_config(Tls::V1_3, &[b"h2"]));
    let negotiated = unconfigured.ask(&mut client).expect("served");
    assert_eq!(negotiated.exported(BINDING), None);
}

fn unusable_exporters_are_errors_when_built(backend: Backend) {
    if backend.name == "native-tls" {
        return;
    }
    for exporters in [
        vec![Exporter::new("", 1)],
        vec![Exporter::new("key expansion", 32)],
        vec![Exporter::new(OWN, 0)],
        vec![Exporter::new(OWN, 1), Exporter::new(Arc::from(OWN), 2)],
    ] {
        let error = (backend.make)(&TlsConfig::new(identity()).exporters(exporters)).err();
        let error = error.expect("unusable");
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("exporter"), "{error}");
    }
    let longest = [Exporter::new("x".repeat(249), 8160).context(vec![7; 512])];
    let server = serve(backend, longest).expect("it exports");
    for tls in [Tls::V1_2, Tls::V1_3] {
        let mut client = server.rustls(&rustls_config(tls, &[b"h2"]));
        let negotiated = server.ask(&mut client).expect("served");
        let label = "x".repeat(249);
        let material = vec![0; 8160];
        let context = vec![7; 512];
        let connection = &client.conn;
        let own = connection.export_keying_material(material, label.as_bytes(), Some(&context));
        let own = own.expect("exported");
        assert!(negotiated.exported(&label) == Some(&own), "{tls:?}");
    }
}
