//! Tests required and optional client certificates.

mod authority;
mod chains;
mod large;
mod lists;
mod old;
mod rows;
mod server;

use std::{sync::Arc, time::SystemTime};

use corelane::{Driver, tls::ClientAuth};
use corelane_test_support::{
    Backend, TestServer,
    client::Tls,
    for_each_tls_backend,
    visit::{register, returning, visit},
};
use rustls::{AlertDescription, pki_types::CertificateDer};

use self::{
    authority::{Authority, LIST_OF_VERSION_1, config},
    chains::{each_certificate_gets_its_answer, each_chain_gets_its_answer},
    large::{oversized_chains_are_refused, sessions_with_large_chains_do_not_resume},
    lists::each_revocation_list_gets_its_answer,
    server::{alert, make, serve},
};

for_each_tls_backend!(
    peer_certificate_is_reported_on_full_and_resumed_handshakes,
    missing_certificate_gets_certificate_required_alert,
    optional_mode_accepts_clients_with_and_without_certificate,
    refused_certificates_are_counted,
    revoked_certificate_is_rejected,
    session_does_not_resume_under_other_client_auth,
    unusable_client_auth_fails_at_build,
    expired_revocation_list_is_rejected_or_allowed,
    revocation_list_from_the_future_is_used,
    subject_is_reported_on_full_and_resumed_handshakes,
    certificates_between_are_used_and_reported,
    trusted_authority_needs_no_revocation_list,
    axum_handler_sees_peer_certificate,
    each_certificate_gets_its_answer,
    each_chain_gets_its_answer,
    each_revocation_list_gets_its_answer,
    sessions_with_large_chains_do_not_resume,
    oversized_chains_are_refused,
);

const VERSIONS: [Tls; 2] = [Tls::V1_2, Tls::V1_3];

fn peer_certificate_is_reported_on_full_and_resumed_handshakes(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth()) else {
        return;
    };
    let client = authority.issue(1, |_| {});
    for tls in VERSIONS {
        let config = client.config(tls);
        for resumed in [false, true, true] {
            let seen = visit(server.addr, &config);
            assert_eq!(seen.resumed, resumed, "{tls:?}");
            assert_eq!(
                seen.certificates,
                [client.certificate.der().to_vec()],
                "{tls:?}"
            );
        }
    }
}

fn missing_certificate_gets_certificate_required_alert(backend: Backend) {
    let Some(server) = serve(backend, Authority::new("clients").auth()) else {
        return;
    };
    for tls in VERSIONS {
        let alert = alert(server.addr, &Arc::new(returning(tls)));
        assert_eq!(alert, AlertDescription::CertificateRequired, "{tls:?}");
    }
    server.wait_for("both are counted", |counters| {
        counters.handshakes_failed == 2 && counters.client_certificates_refused == 2
    });
}

fn optional_mode_accepts_clients_with_and_without_certificate(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth().optional()) else {
        return;
    };
    let stranger = Authority::new("others").issue(1, |_| {});
    let client = authority.issue(1, |_| {});
    for tls in VERSIONS {
        let without = visit(server.addr, &Arc::new(returning(tls)));
        assert_eq!(without.certificates, Vec::<Vec<u8>>::new(), "{tls:?}");
        let with = visit(server.addr, &client.config(tls));
        assert_eq!(
            with.certificates,
            [client.certificate.der().to_vec()],
            "{tls:?}"
        );
        // A certificate that the client sends has to be valid.
        let alert = alert(server.addr, &stranger.config(tls));
        assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
    }
}

fn refused_certificates_are_counted(backend: Backend) {
    let authority = Authority::new("clients");
    let list = Authority::new("clients").revoke(&[], 4000);
    let auth = authority.auth().crl_pem(list).expect("PEM");
    let Some(server) = serve(backend, auth) else {
        return;
    };
    let stranger = Authority::new("others").issue(1, |_| {});
    // The list is by another key.
    let unknown = authority.issue(2, |_| {});
    let nonsense = vec![CertificateDer::from(b"nonsense".to_vec())];
    for tls in VERSIONS {
        alert(server.addr, &stranger.config(tls));
        alert(server.addr, &unknown.config(tls));
        let key = stranger.key.serialize_der();
        alert(server.addr, &config(tls, nonsense.clone(), &key));
    }
    server.wait_for("all are counted", |counters| {
        counters.client_certificates_refused == 6
    });
}

fn revoked_certificate_is_rejected(backend: Backend) {
    let authority = Authority::new("clients");
    let (good, bad) = (authority.issue(7, |_| {}), authority.issue(8, |_| {}));
    let with = |list: String| authority.auth().crl_pem(list).expect("PEM");
    let Some(before) = serve(backend, with(authority.revoke(&[], 4000))) else {
        return;
    };
    let after = serve(backend, with(authority.revoke(&[8], 4000))).expect("as before");
    let stale = serve(backend, with(authority.revoke(&[8], 2025))).expect("as before");
    let ends = |list: String| with(list).crl_next_update().expect("a list that ends");
    assert!(ends(authority.revoke(&[], 4000)) > SystemTime::now());
    let both = [4000, 2025].map(|until| authority.revoke(&[], until));
    assert!(ends(both.concat()) < SystemTime::now());
    assert_eq!(authority.auth().crl_next_update(), None);
    let others = Authority::new("others").revoke(&[], 4000);
    let unknown = serve(backend, with(others)).expect("as before");
    for tls in VERSIONS {
        let (good, bad) = (good.config(tls), bad.config(tls));
        for client in [&good, &bad] {
            assert!(!visit(before.addr, client).resumed);
            assert!(visit(before.addr, client).resumed, "{tls:?}");
        }
        // The client has a ticket, and the server knows its key.
        let revoked = alert(after.addr, &bad);
        assert_eq!(revoked, AlertDescription::CertificateRevoked, "{tls:?}");
        assert!(!visit(after.addr, &good).resumed, "{tls:?}");
        for server in [&stale, &unknown] {
            let alert = alert(server.addr, &good);
            assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
        }
    }
}

/// Server name, server certificate and ticket keys are the same on all servers.
fn session_does_not_resume_under_other_client_auth(backend: Backend) {
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let Some(required) = serve(backend, authority.auth()) else {
        return;
    };
    let start = |auth: Option<ClientAuth>| {
        let acceptor = make(backend, auth).expect("an acceptor");
        TestServer::start(acceptor, Driver::Epoll, register)
    };
    let without_auth = start(None);
    let optional = start(Some(authority.auth().optional()));
    let others = start(Some(other.auth()));
    let same = start(Some(authority.auth()));
    for tls in VERSIONS {
        for lax in [&without_auth, &optional] {
            let without = Arc::new(returning(tls));
            assert!(!visit(lax.addr, &without).resumed);
            let alert = alert(required.addr, &without);
            assert_eq!(alert, AlertDescription::CertificateRequired, "{tls:?}");
        }
        let client = authority.issue(1, |_| {}).config(tls);
        assert!(!visit(required.addr, &client).resumed);
        assert_eq!(
            alert(others.addr, &client),
            AlertDescription::UnknownCA,
            "{tls:?}"
        );
        assert!(visit(same.addr, &client).resumed, "{tls:?}");
    }
}

fn unusable_client_auth_fails_at_build(backend: Backend) {
    let authority = Authority::new("clients");
    for (list, wanted) in [
        (authority.delta(), "it is a delta list"),
        (LIST_OF_VERSION_1.to_owned(), "it is version 1"),
    ] {
        let auth = authority.auth().crl_pem(list).expect("a list");
        let made = make(backend, Some(auth));
        let error = made.err().expect("refused");
        if backend.name == "native-tls" {
            assert!(error.is_unsupported(), "{error}");
            continue;
        }
        assert!(error.is_config(), "{error}");
        let text = corelane::Chain(&error).to_string();
        assert!(
            text.starts_with("the PEM of revocation lists, list 1: ") && text.contains(wanted),
            "{text}"
        );
    }
}

/// Under `allow` an expired list still revokes.
fn expired_revocation_list_is_rejected_or_allowed(backend: Backend) {
    let authority = Authority::new("clients");
    let (good, bad) = (authority.issue(7, |_| {}), authority.issue(8, |_| {}));
    let with = |serials: &[u64]| {
        let list = authority.revoke(serials, 2025);
        authority.auth().crl_pem(list).expect("PEM")
    };
    // One value: each call signs another list.
    let none_revoked = with(&[]);
    let listed = none_revoked.revocation_lists().to_vec();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].issuer.starts_with("CN=clients"), "{listed:?}");
    assert!(
        listed[0].next_update < Some(SystemTime::now()),
        "{listed:?}"
    );
    let Some(before) = serve(backend, none_revoked.clone().allow_expired_crls()) else {
        return;
    };
    let allowed = serve(backend, with(&[8]).allow_expired_crls()).expect("as before");
    let rejected = serve(backend, none_revoked).expect("as before");
    for tls in VERSIONS {
        let (good, bad) = (good.config(tls), bad.config(tls));
        for client in [&good, &bad] {
            assert!(!visit(before.addr, client).resumed);
        }
        assert!(!visit(allowed.addr, &good).resumed, "{tls:?}");
        let revoked = alert(allowed.addr, &bad);
        assert_eq!(revoked, AlertDescription::CertificateRevoked, "{tls:?}");
        // The ticket of the lax server does not open.
        visit(before.addr, &good);
        let expired = alert(rejected.addr, &good);
        assert_eq!(expired, AlertDescription::UnknownCA, "{tls:?}");
    }
}

/// Its authority's clock may be ahead.
fn revocation_list_from_the_future_is_used(backend: Backend) {
    let authority = Authority::new("clients");
    let list = authority.revoke_from(3999, &[8], 4000);
    let Some(server) = serve(backend, authority.auth().crl_pem(list).expect("PEM")) else {
        return;
    };
    let (good, bad) = (authority.issue(7, |_| {}), authority.issue(8, |_| {}));
    for tls in VERSIONS {
        assert!(!visit(server.addr, &good.config(tls)).resumed);
        let revoked = alert(server.addr, &bad.config(tls));
        assert_eq!(revoked, AlertDescription::CertificateRevoked, "{tls:?}");
    }
}

fn subject_is_reported_on_full_and_resumed_handshakes(backend: Backend) {
    let authority = Authority::new("clients");
    let Some(server) = serve(backend, authority.auth().optional()) else {
        return;
    };
    let client = authority.issue(1, |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::OrganizationName, "Example, Inc");
        name.push(rcgen::DnType::CommonName, "client 1");
    });
    for tls in VERSIONS {
        let config = client.config(tls);
        for resumed in [false, true] {
            let seen = visit(server.addr, &config);
            assert_eq!(seen.resumed, resumed, "{tls:?}");
            let subject = seen.subject.as_deref();
            assert_eq!(subject, Some("CN=client 1,O=Example\\, Inc"), "{tls:?}");
        }
        let without = visit(server.addr, &Arc::new(returning(tls)));
        assert_eq!(without.subject, None, "{tls:?}");
    }
}

fn certificates_between_are_used_and_reported(backend: Backend) {
    let root = Authority::new("root");
    let between = root.below("between");
    let client = between.issue(1, |_| {});
    let Some(server) = serve(backend, root.auth()) else {
        return;
    };
    let own = client.certificate.der().clone();
    let sent = vec![own.clone(), between.certificate.der().clone()];
    let chain: Vec<_> = sent.iter().map(|der| der.to_vec()).collect();
    for tls in VERSIONS {
        let client_config = config(tls, sent.clone(), &client.key.serialize_der());
        let seen = visit(server.addr, &client_config);
        assert_eq!(seen.certificates, chain, "{tls:?}");
        assert!(visit(server.addr, &client_config).resumed);
        // The session of a resumed one.
        let again = visit(server.addr, &client_config);
        assert!(again.resumed, "{tls:?}");
        assert_eq!(again.certificates, chain, "{tls:?}");
        let alert = alert(
            server.addr,
            &config(tls, vec![own.clone()], &client.key.serialize_der()),
        );
        assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
    }
}

/// The bundle has an authority that another one certified, of which there is no list.
fn trusted_authority_needs_no_revocation_list(backend: Backend) {
    let root = Authority::new("root");
    let between = root.below("between");
    let auth = between.auth().crl_pem(between.revoke(&[8], 4000));
    let Some(server) = serve(backend, auth.expect("PEM")) else {
        return;
    };
    let (good, bad) = (between.issue(7, |_| {}), between.issue(8, |_| {}));
    for tls in VERSIONS {
        assert!(!visit(server.addr, &good.config(tls)).resumed);
        let alert = alert(server.addr, &bad.config(tls));
        assert_eq!(alert, AlertDescription::CertificateRevoked, "{tls:?}");
    }
    // With the root in the bundle, the authority between is not trusted by itself.
    let auth = root.auth().crl_pem(between.revoke(&[], 4000));
    let server = serve(backend, auth.expect("PEM")).expect("as before");
    let chain = vec![
        good.certificate.der().clone(),
        between.certificate.der().clone(),
    ];
    for tls in VERSIONS {
        let alert = alert(
            server.addr,
            &config(tls, chain.clone(), &good.key.serialize_der()),
        );
        assert_eq!(alert, AlertDescription::UnknownCA, "{tls:?}");
    }
}

fn axum_handler_sees_peer_certificate(backend: Backend) {
    use axum::{Extension, Router, routing};
    use corelane::ConnectionInfo;

    async fn answer(Extension(connection): Extension<Arc<ConnectionInfo>>) -> String {
        let negotiated = &connection.negotiated;
        let certificate = negotiated.peer_certificate().expect("required");
        let digits: String = certificate
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let resumed = negotiated.resumed == Some(true);
        format!("{} {resumed} {digits}", connection.worker)
    }

    let authority = Authority::new("clients");
    let Ok(acceptor) = make(backend, Some(authority.auth())) else {
        assert_eq!(backend.name, "native-tls");
        return;
    };
    let router = Router::new().route("/", routing::get(answer));
    let service = corelane::with_connection_info(router);
    let server = TestServer::start(acceptor, Driver::Epoll, move |_| service.clone());
    let client = authority.issue(1, |_| {});
    let seen = visit(server.addr, &client.config(Tls::Any));
    assert_eq!(seen.certificates, [client.certificate.der().to_vec()]);
}
