//! How the prober is called.

use std::{
    net::{Ipv6Addr, SocketAddr},
    panic::catch_unwind,
};

use corelane::{ProtocolName, tls::TlsVersion};
use corelane_probe::{Client, Offer, Outcome, Trust, Verdict, assert_alpn, probe, probe_blocking};

use crate::{
    ask::{holds, libraries, options},
    server::{self, TestServer},
};

#[test]
fn invalid_names_and_certificates_are_errors() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    for (name, trust) in [
        ("localhost:443", Trust::Any),
        ("", Trust::Any),
        ("localhost", Trust::Pem(b"nonsense".to_vec())),
        (
            "localhost",
            Trust::Pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
        ),
    ] {
        for client in libraries() {
            let mut options = options(trust.clone());
            options.clients = vec![client];
            let error = probe_blocking(addr, name, &options).expect_err(name);
            assert!(error.is_config(), "{error}");
        }
    }
}

#[test]
fn assert_alpn_panics_when_a_rule_does_not_hold() {
    let server = server::good();
    let addr = server.addr;
    assert_alpn(
        addr,
        "localhost",
        &["h2", "http/1.1=alert:120", "spdy/3,h2=h2"],
    );
    for (rule, message) in [
        (
            "http/1.1",
            "http/1.1 offered by rustls: expected http/1.1, got alert 120",
        ),
        ("nonsense=", "a protocol name that is empty or too long"),
        (
            "h2=alert",
            "the rules h2=h2 and h2=alert contradict each other",
        ),
    ] {
        let panic = catch_unwind(|| assert_alpn(addr, "localhost", &["h2", rule]));
        let panic = panic.expect_err(rule);
        let text = panic.downcast_ref::<String>().expect("a message");
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn runs_in_the_callers_runtime() {
    let server = server::good();
    let options = options(Trust::Any);
    let ask = probe(server.addr, "localhost", &options);
    let report = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .enable_timer()
        .build()
        .expect("a runtime")
        .block_on(ask)
        .expect("a report");
    assert!(holds(&report, "h2"));
    let ring = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .enable_timer()
        .build();
    match ring {
        Ok(mut runtime) => {
            let ask = probe(server.addr, "localhost", &options);
            let report = runtime.block_on(ask).expect("a report");
            assert!(holds(&report, "h2"));
        }
        Err(error) => eprintln!("NOT TESTED on io_uring: {error}"),
    }
    let without_timer = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .build()
        .expect("a runtime")
        .block_on(probe(server.addr, "localhost", &options));
    assert!(without_timer.expect_err("no timer").is_config());
}

#[test]
fn an_offer_that_no_client_can_make_is_unsupported() {
    let server = server::good();
    let mut options = options(Trust::Any);
    let tls_1_1 = || Offer::new([ProtocolName::H2]).only(TlsVersion(0x0302));
    options.offers = vec![Offer::none(), tls_1_1()];
    options.clients = vec![Client::Raw];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert_eq!(report.rows.len(), 2);
    assert!(!report.is_reachable());
    for row in &report.rows {
        assert!(matches!(row.outcome, Outcome::Unsupported(_)), "{report}");
        assert_eq!(row.verdict, Verdict::NotJudged);
    }
    // If one client can make the offer, the other gets no row.
    options.clients = vec![Client::Rustls, Client::Raw];
    options.offers = vec![Offer::none()];
    let report = probe_blocking(server.addr, "localhost", &options).expect("a report");
    assert_eq!(report.rows.len(), 1);
}

#[test]
fn connects_over_ipv6() {
    let acceptor = server::acceptor(Some(server::h2_or_alert), None);
    let serve = move |socket| {
        drop(
            acceptor
                .accept(socket)
                .map(|mut stream| server::h2(&mut stream)),
        )
    };
    let Ok(server) = TestServer::on(Ipv6Addr::LOCALHOST.into(), serve) else {
        eprintln!("NOT TESTED over IPv6: there is none");
        return;
    };
    for name in ["::1", "[::1]", "localhost"] {
        let report = probe_blocking(server.addr, name, &options(Trust::Any)).expect("a report");
        assert!(holds(&report, "h2"), "{report}");
    }
}
