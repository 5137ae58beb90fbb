use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{client::Client, report::Verdict};

fn rule(text: &str) -> Expectation {
    text.parse().expect(text)
}

fn row(offer: Offer, outcome: Outcome) -> Row {
    Row {
        client: Client::Rustls,
        offer,
        outcome,
        verdict: Verdict::NotJudged,
        time: Duration::ZERO,
    }
}

fn chose(name: Option<&str>, http2: Option<Http2>) -> Outcome {
    Outcome::Negotiated {
        alpn_protocol: name.map(|name| ProtocolName::new(name).expect("a name")),
        tls_version: None,
        cipher_suite: None,
        key_exchange_group: None,
        http2,
    }
}

fn outcomes() -> [(&'static str, Outcome); 11] {
    let served = || Some(Http2::Served(200));
    let not_served = || Some(Http2::NotServed("HTTP/1.1".into()));
    [
        ("h2", chose(Some("h2"), served())),
        ("h2 not served", chose(Some("h2"), not_served())),
        ("http/1.1", chose(Some("http/1.1"), None)),
        ("none", chose(None, None)),
        ("none, h2 served", chose(None, served())),
        ("120", Outcome::Alert(120)),
        ("40", Outcome::Alert(40)),
        ("closed", Outcome::Closed),
        ("timed out", Outcome::TimedOut),
        (
            "h2, slow",
            chose(Some("h2"), Some(Http2::Spoken("slow".into()))),
        ),
        ("encrypted", Outcome::Encrypted),
    ]
}

#[test]
fn checks_answers() {
    for (text, met_by) in [
        ("h2", &["h2"][..]),
        ("h2=h2", &["h2"]),
        ("h2 (TLS 1.2)", &["h2"]),
        ("http/1.1", &["http/1.1"]),
        ("none=none", &["none", "none, h2 served"]),
        ("none=h2", &["h2", "none, h2 served"]),
        ("h2=none", &["none", "none, h2 served"]),
        ("x-unknown=alert", &["120", "40"]),
        ("x-unknown=alert:120", &["120"]),
        ("x-unknown=alert:no_application_protocol", &["120"]),
        ("x-unknown=close", &["closed"]),
        ("malformed=alert:40", &["40"]),
    ] {
        let rule = rule(text);
        let offer = rule.offer();
        let offer = offer.unwrap_or_else(|| Offer::malformed(Malformed::EmptyName));
        for (name, outcome) in outcomes() {
            let row = row(offer.clone(), outcome);
            let met = rule.check(&row).is_ok();
            assert_eq!(met, met_by.contains(&name), "{text} and {name}");
        }
        let unsupported = row(offer, Outcome::Unsupported(String::new()));
        assert_eq!(rule.check(&unsupported), Ok(()));
    }
}

#[test]
fn parses_offers() {
    let h2 = || Offer::new([ProtocolName::H2]);
    let both = || Offer::new([ProtocolName::H2, ProtocolName::HTTP_1_1]);
    for (text, offer) in [
        ("h2", h2()),
        (" h2 = h2 ", h2()),
        ("h2,http/1.1=h2", both()),
        ("h2, http/1.1=h2", both()),
        ("none=alert:120", Offer::none()),
        ("h2 (TLS 1.2)=h2", h2().only(TlsVersion::TLS_1_2)),
        ("h2 (TLS 1.2)", h2().only(TlsVersion::TLS_1_2)),
        ("h2(TLS1.2)=h2", h2().only(TlsVersion::TLS_1_2)),
        ("h2 (tls 1.3)=alert", h2().only(TlsVersion::TLS_1_3)),
        ("h2 (TLS 1.1)=alert:70", h2().only(TlsVersion(0x0302))),
        ("h2 (TLS 1.0)=alert:70", h2().only(TlsVersion(0x0301))),
        (
            "malformed: empty list=alert:50",
            Offer::malformed(Malformed::EmptyList),
        ),
    ] {
        assert_eq!(rule(text).offer(), Some(offer.clone()), "{text}");
        assert!(rule(text).concerns(&offer), "{text}");
    }
    let of = |text: &str| {
        let mut offers = Offer::defaults();
        offers.retain(|offer| rule(text).concerns(offer));
        offers.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of("h2"), ["h2"]);
    assert_eq!(of("h2 (TLS 1.3)=h2"), ["h2 (TLS 1.3)"]);
    assert_eq!(of("malformed=alert").len(), Malformed::ALL.len());
    assert_eq!(rule("malformed=alert").offer(), None);
}

#[test]
fn a_parsed_rule_is_displayed_unchanged() {
    for text in [
        "h2=h2",
        "h2,http/1.1=http/1.1",
        r"H\x202,\x6eone=\x6eone",
        "none=none",
        "none=close",
        "malformed=alert",
        "malformed: lying length=alert:50",
        "h2 (TLS 1.2)=alert:70",
        "h2 (TLS 1.0)=alert:70",
    ] {
        assert_eq!(rule(text).to_string(), text);
        assert_eq!(rule(&rule(text).to_string()), rule(text));
    }
    // Every default offer can be written as a rule.
    for offer in Offer::defaults() {
        let text = format!("{offer}=alert");
        assert_eq!(rule(&text).offer(), Some(offer), "{text}");
    }
    let strange = Offer::new([ProtocolName::from_static(b"a\xff\x00z")]);
    assert_eq!(rule(&format!("{strange}=alert")).offer(), Some(strange));
    let backslash = Offer::new([ProtocolName::from_static(br"\xq\x+f")]);
    assert_eq!(rule(r"\xq\x+f=alert").offer(), Some(backslash));
}

proptest! {
    /// With arbitrary names, keywords and special characters among them.
    #[test]
    fn every_displayed_rule_parses_as_itself(
        names in vec(
            prop_oneof![
                vec(any::<u8>(), 1..6),
                vec(proptest::sample::select(&b"\\x20=,()h: "[..]), 1..8),
                proptest::sample::select(&[
                    "none", "alert", "alert:1", "close", "malformed", "malformed: empty list", "H2",
                    "HTTP/1.1",
                ][..]).prop_map(|word| word.as_bytes().to_vec()),
            ],
            1..4,
        ),
        version in proptest::option::of(prop_oneof![
            Just(TlsVersion::TLS_1_2), Just(TlsVersion::TLS_1_3)
        ]),
        answer in proptest::option::of(any::<u8>()),
    ) {
        let names: Vec<_> = names
            .into_iter()
            .map(|name| ProtocolName::new(name).expect("a name"))
            .collect();
        let rule = Expectation {
            answer: answer.map_or(Answer::Protocol(names[0].clone()), |n| Answer::Alert(Some(n))),
            offer: Matched::Protocols(names),
            version,
        };
        prop_assert_eq!(rule.to_string().parse::<Expectation>().ok(), Some(rule));
    }
}

#[test]
fn contradictions_are_symmetric() {
    for (one, another, contradict) in [
        ("h2", "h2=h2", false),
        ("h2", "h2=alert", true),
        ("h2", "h2 (TLS 1.2)=alert", false),
        ("h2=alert", "h2=alert:120", false),
        ("h2=alert:40", "h2=alert:120", true),
        ("none=none", "none=h2", false),
        ("none=none", "none=alert", true),
        ("malformed=alert", "malformed: empty list=alert:50", false),
        ("malformed=close", "malformed: empty list=alert:50", true),
        ("malformed=close", "h2", false),
    ] {
        let (one, another) = (rule(one), rule(another));
        assert_eq!(one.contradicts(&another), contradict, "{one} and {another}");
        assert_eq!(another.contradicts(&one), contradict, "{another} and {one}");
    }
}

#[test]
fn an_invalid_rule_gets_the_syntax() {
    for text in [
        "",
        "=h2",
        "h2=",
        "none",
        "malformed",
        "h2,http/1.1",
        "h2=alert:",
        "h2=alert:256",
        "h2=alert:no_such_alert",
        "h2,,http/1.1=h2",
        "a b=alert",
        "(h2=alert",
        "h2 (SSL 3.0)",
        "malformed (TLS 1.2)=alert",
        "malformed=h2",
        "malformed: something=alert",
    ] {
        let error = text.parse::<Expectation>().expect_err(text);
        assert!(error.is_config());
        assert!(error.to_string().contains("alert:NUMBER"), "{error}");
    }
}

#[test]
fn a_near_miss_gets_a_suggestion() {
    for (text, advice) in [
        ("h2=http/1.1", "only choose what was offered"),
        ("none=http/1.1", "only choose what was offered"),
        ("h2=alert120", "did you mean alert:120?"),
        ("h2=120", "did you mean alert:120?"),
        ("h2=no_application_protocol", "did you mean alert:120?"),
        ("h2=closed", "did you mean close?"),
        ("h2=any", "did you mean alert?"),
        ("h2=reject", "did you mean alert?"),
        ("h2==h2", "did you mean h2?"),
        ("H2", "did you mean h2?"),
        ("HTTP/1.1=alert", "did you mean http/1.1?"),
        ("h2 (TLS 1.4)", "(TLS 1.2) or (TLS 1.3)"),
        ("malformed (TLS 1.2)=alert", "malformed takes none"),
    ] {
        let error = text.parse::<Expectation>().expect_err(text).to_string();
        assert!(error.contains(advice), "{error}");
    }
}

#[test]
fn check_report_names_the_broken_rows() {
    let h2 = || Offer::new([ProtocolName::H2]);
    let mut report = Report {
        addr: ([127, 0, 0, 1], 443).into(),
        server_name: "localhost".into(),
        rows: vec![
            row(h2(), chose(Some("h2"), Some(Http2::Served(200)))),
            row(h2(), Outcome::Alert(120)),
        ],
        client_certificate_alert: None,
    };
    let wrong = rule("h2").check_report(&report);
    assert_eq!(
        wrong,
        ["h2 offered by rustls: expected h2 to be served, got alert 120 no_application_protocol"]
    );
    report.rows.pop();
    assert!(rule("h2").check_report(&report).is_empty());
    // No client made that offer, or none could.
    let missing = rule("none=alert").check_report(&report);
    assert_eq!(missing, ["none=alert: no such offer was made"]);
    report.rows = vec![row(h2(), Outcome::Unsupported(String::new()))];
    assert_eq!(rule("h2").check_report(&report).len(), 1);
}
