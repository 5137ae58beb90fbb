use std::time::Duration;

use super::*;
use crate::offer::Malformed;

fn offer(names: &[&str]) -> Offer {
    Offer::new(
        names
            .iter()
            .map(|name| ProtocolName::new(*name).expect("a name")),
    )
}

fn chose(name: Option<&str>) -> Outcome {
    let served = name == Some("h2");
    under(
        TlsVersion::TLS_1_3,
        name,
        served.then_some(Http2::Served(200)),
    )
}

fn under(version: TlsVersion, name: Option<&str>, http2: Option<Http2>) -> Outcome {
    Outcome::Negotiated {
        alpn_protocol: name.map(|name| ProtocolName::new(name).expect("a name")),
        tls_version: Some(version),
        cipher_suite: None,
        key_exchange_group: None,
        http2,
    }
}

/// The verdicts on a server that gave these answers.
fn verdicts(answers: &[(Offer, Outcome)]) -> Vec<Verdict> {
    let mut rows: Vec<_> = answers
        .iter()
        .map(|(offer, outcome)| Row {
            client: Client::Raw,
            offer: offer.clone(),
            outcome: outcome.clone(),
            verdict: Verdict::NotJudged,
            time: Duration::ZERO,
        })
        .collect();
    judge(&mut rows);
    rows.into_iter().map(|row| row.verdict).collect()
}

/// The verdict on one answer of a server that chose h2 when that was offered alone.
fn of_an_h2_server(offer: Offer, outcome: Outcome) -> Verdict {
    let h2 = (self::offer(&["h2"]), chose(Some("h2")));
    let [first, verdict] = &verdicts(&[h2, (offer, outcome)])[..] else {
        panic!("two rows");
    };
    assert_eq!(*first, Verdict::Conforms);
    verdict.clone()
}

/// The verdict on the only answer of a server.
fn alone(offer: Offer, outcome: Outcome) -> Verdict {
    verdicts(&[(offer, outcome)]).remove(0)
}

#[track_caller]
fn violates(verdict: Verdict, section: &str) {
    match verdict {
        Verdict::Violates(rule) => assert!(rule.contains(section), "{rule}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn choosing_an_offered_protocol_conforms() {
    for names in [&["h2"][..], &["h2", "http/1.1"], &["http/1.1", "h2"]] {
        assert_eq!(alone(offer(names), chose(Some("h2"))), Verdict::Conforms);
    }
    let verdict = alone(offer(&["http/1.1"]), chose(Some("http/1.1")));
    assert_eq!(verdict, Verdict::Conforms);
}

#[test]
fn choosing_another_protocol_violates() {
    violates(
        alone(offer(&["http/1.1"]), chose(Some("h2"))),
        "RFC 7301 section 3.1",
    );
    violates(alone(Offer::none(), chose(Some("h2"))), "RFC 7301");
}

#[test]
fn h2_that_is_not_served_violates() {
    let said = Http2::NotServed("HTTP/1.1 400 Bad Request".into());
    let outcome = under(TlsVersion::TLS_1_3, Some("h2"), Some(said));
    violates(alone(offer(&["h2"]), outcome), "RFC 9113");
    // Without ALPN the server did not promise HTTP/2.
    let said = Http2::NotServed("HTTP/1.1 400 Bad Request".into());
    let outcome = under(TlsVersion::TLS_1_3, None, Some(said));
    assert_eq!(alone(Offer::none(), outcome), Verdict::Conforms);
}

#[test]
fn a_get_without_a_response_is_not_judged() {
    for http2 in [
        Http2::Spoken("RST_STREAM 7 REFUSED_STREAM".into()),
        Http2::Incompatible("message buffer full".into()),
    ] {
        let outcome = under(TlsVersion::TLS_1_3, Some("h2"), Some(http2));
        assert_eq!(alone(offer(&["h2"]), outcome), Verdict::NotJudged);
    }
}

#[test]
fn no_alert_is_required_without_a_completed_handshake() {
    let by = |client, offer: Offer, outcome| Row {
        client,
        offer,
        outcome,
        verdict: Verdict::NotJudged,
        time: Duration::ZERO,
    };
    let (rustls, native_tls) = (Client::Rustls, Client::NativeTls);
    let tls_1_3 = || offer(&["h2"]).only(TlsVersion::TLS_1_3);
    for outcome in [Outcome::Closed, Outcome::Alert(40), Outcome::Alert(80)] {
        let mut rows = [
            by(native_tls, offer(&["http/1.1"]), chose(Some("http/1.1"))),
            // It failed for another reason, for example a cipher suite.
            by(rustls, offer(&["h2"]), outcome.clone()),
            // A server without TLS 1.3 that does not say so.
            by(native_tls, tls_1_3(), outcome.clone()),
            // Nothing else is wrong with the offer.
            by(native_tls, offer(&["h2"]), outcome),
        ];
        judge(&mut rows);
        assert_eq!(rows[1].verdict, Verdict::NotJudged);
        assert_eq!(rows[2].verdict, Verdict::NotJudged);
        violates(rows[3].verdict.clone(), "RFC 7301 section 3.2");
    }
    // These alerts never mean that no protocol is in common.
    for alert in [42, 70, 112, 116] {
        let unknown = of_an_h2_server(offer(&["x-unknown"]), Outcome::Alert(alert));
        assert_eq!(unknown, Verdict::NotJudged, "{alert}");
    }
}

#[test]
fn an_answer_to_any_offer_does_not_count_for_a_malformed_one() {
    for outcome in [Outcome::Closed, Outcome::Alert(10), Outcome::TimedOut] {
        let answers = [
            (offer(&["h2"]), chose(Some("h2"))),
            (offer(&["http/1.1"]), outcome.clone()),
            (Offer::malformed(Malformed::EmptyList), outcome),
        ];
        assert_eq!(verdicts(&answers)[2], Verdict::NotJudged);
    }
}

#[test]
fn h2_needs_tls_1_2() {
    for (version, conforms) in [
        (TlsVersion(0x0302), false),
        (TlsVersion::TLS_1_2, true),
        (TlsVersion::TLS_1_3, true),
    ] {
        let outcome = under(version, Some("h2"), Some(Http2::Served(200)));
        match conforms {
            true => assert_eq!(alone(offer(&["h2"]), outcome), Verdict::Conforms),
            false => violates(alone(offer(&["h2"]), outcome), "RFC 9113 section 9.2"),
        }
    }
}

#[test]
fn no_common_protocol_requires_alert_120() {
    let unknown = || offer(&["x-unknown"]);
    let conforms = of_an_h2_server(unknown(), Outcome::Alert(120));
    assert_eq!(conforms, Verdict::Conforms);
    for outcome in [chose(None), Outcome::Alert(40), Outcome::Closed] {
        violates(of_an_h2_server(unknown(), outcome), "RFC 7301 section 3.2");
    }
    let timed_out = of_an_h2_server(unknown(), Outcome::TimedOut);
    assert_eq!(timed_out, Verdict::NotJudged);
}

#[test]
fn server_without_alpn_conforms() {
    let answers = [
        (offer(&["h2"]), chose(None)),
        (offer(&["x-unknown"]), chose(None)),
        (Offer::none(), chose(None)),
    ];
    assert_eq!(verdicts(&answers), [(); 3].map(|()| Verdict::Conforms));
}

#[test]
fn refusing_a_protocol_chosen_in_another_row_violates() {
    let both = || offer(&["http/1.1", "h2"]);
    violates(of_an_h2_server(both(), Outcome::Alert(120)), "RFC 7301");
    violates(of_an_h2_server(both(), chose(None)), "RFC 7301");
    // The handshake failed for another reason.
    let failed = of_an_h2_server(both(), Outcome::Alert(40));
    assert_eq!(failed, Verdict::NotJudged);
}

#[test]
fn a_missing_tls_version_conforms() {
    let only = || offer(&["h2"]).only(TlsVersion::TLS_1_3);
    for alert in [70, 120] {
        let verdict = of_an_h2_server(only(), Outcome::Alert(alert));
        assert_eq!(verdict, Verdict::Conforms);
    }
}

#[test]
fn no_alpn_may_be_served_or_refused() {
    for outcome in [chose(None), Outcome::Alert(120)] {
        assert_eq!(of_an_h2_server(Offer::none(), outcome), Verdict::Conforms);
    }
    let failed = of_an_h2_server(Offer::none(), Outcome::Alert(40));
    assert_eq!(failed, Verdict::NotJudged);
}

#[test]
fn a_malformed_offer_requires_an_alert() {
    for malformed in Malformed::ALL {
        let offer = || Offer::malformed(malformed);
        for alert in [47, 50, 120] {
            let verdict = of_an_h2_server(offer(), Outcome::Alert(alert));
            assert_eq!(verdict, Verdict::Conforms);
        }
        for outcome in [
            Outcome::Alert(10),
            Outcome::Closed,
            Outcome::TimedOut,
            Outcome::NotTls("HTTP/1.1 400".into()),
            chose(None),
            chose(Some("h2")),
        ] {
            violates(of_an_h2_server(offer(), outcome), "RFC 8446 section 6.2");
        }
        // An encrypted answer, and alerts that are not about ALPN.
        for outcome in [
            Outcome::Encrypted,
            Outcome::Alert(40),
            Outcome::Alert(70),
            Outcome::Alert(80),
            Outcome::Alert(112),
        ] {
            let verdict = of_an_h2_server(offer(), outcome);
            assert_eq!(verdict, Verdict::NotJudged);
        }
        // There is no server.
        assert_eq!(alone(offer(), Outcome::TimedOut), Verdict::NotJudged);
    }
}

#[test]
fn missing_answers_are_not_judged() {
    for outcome in [
        Outcome::TimedOut,
        Outcome::Closed,
        Outcome::Unreachable(String::new()),
        Outcome::Untrusted(String::new()),
        Outcome::Unsupported(String::new()),
        Outcome::Incompatible(String::new()),
        // No server of TLS.
        Outcome::NotTls(String::new()),
    ] {
        assert_eq!(alone(offer(&["h2"]), outcome), Verdict::NotJudged);
    }
    let garbage = Outcome::NotTls("HTTP/1.1 400".into());
    violates(of_an_h2_server(offer(&["h2"]), garbage), "RFC 8446");
    let garbage = Outcome::Invalid("SSH-2.0".into());
    violates(alone(offer(&["h2"]), garbage), "RFC 8446");
}

#[test]
fn h2_with_a_prohibited_cipher_suite_violates() {
    let with = |suite| Outcome::Negotiated {
        alpn_protocol: Some(ProtocolName::H2),
        tls_version: Some(TlsVersion::TLS_1_2),
        cipher_suite: Some(CipherSuite(suite)),
        key_exchange_group: None,
        http2: Some(Http2::Served(200)),
    };
    // RSA key exchange; CBC; no authentication; static Diffie-Hellman.
    for prohibited in [0x009c, 0xc013, 0x00a6, 0xc02d] {
        violates(alone(offer(&["h2"]), with(prohibited)), "section 9.2.2");
    }
    // AES-GCM, ChaCha20-Poly1305, CCM; those of TLS 1.3; an unregistered one.
    for fine in [
        0xc02b, 0xc030, 0x009e, 0xcca8, 0xc0ac, 0x1301, 0x1303, 0xfefe,
    ] {
        let verdict = alone(offer(&["h2"]), with(fine));
        assert_eq!(verdict, Verdict::Conforms, "{fine:#06x}");
    }
}
