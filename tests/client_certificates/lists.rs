//! The answer to clients by the revocation lists of the server. It is the same on each backend, unless
//! a row says otherwise.

use corelane_test_support::Backend;
use rcgen::{CrlDistributionPoint, CrlScope};
use rustls::AlertDescription as Alert;

use crate::{
    authority::Authority,
    rows::{Rows, SERVED, alert, of_openssl},
    server::serve,
};

pub fn each_revocation_list_gets_its_answer(backend: Backend) {
    let root = Authority::new("root");
    if serve(backend, root.auth()).is_none() {
        return;
    }
    let mut rows = Rows::new(backend);
    let between = root.below_with("between", |params| params.serial_number = Some(3.into()));
    let (good, bad) = (between.issue(7, |_| {}), between.issue(8, |_| {}));
    let unknown = alert(Alert::UnknownCA);
    let revoked = alert(Alert::CertificateRevoked);
    let of_root = root.revoke(&[], 4000);
    let of_between = between.revoke(&[8], 4000);
    let other = Authority::new("between").revoke(&[], 4000);
    // Which fault of a chain comes first depends on the backend: one at a time.
    let of_old_root = root.revoke(&[], 2025);
    let of_strict_root = root.revoke(&[3], 4000);
    let old_of_between = between.revoke(&[], 2025);
    for (what, lists, client, answers) in [
        ("both", [&of_root, &of_between], &good, SERVED),
        ("both", [&of_root, &of_between], &bad, revoked),
        ("none of the root", [&of_between; 2], &good, unknown),
        ("none of the one between", [&of_root; 2], &good, unknown),
        ("an old one", [&of_old_root, &of_between], &good, unknown),
        (
            "an old one between",
            [&of_root, &old_of_between],
            &good,
            unknown,
        ),
        (
            "between revoked",
            [&of_strict_root, &of_between],
            &good,
            revoked,
        ),
    ] {
        let lists = lists.map(String::as_str).concat();
        let server = rows.serve(root.auth().crl_pem(lists).expect("lists"));
        rows.client(what, server, client, &[&between], answers);
    }
    // rustls has no alert of its own for it.
    let forged = of_openssl(backend, unknown, alert(Alert::HandshakeFailure));
    let server = rows.serve(
        root.auth()
            .crl_pem([of_root, other].concat())
            .expect("lists"),
    );
    rows.client(
        "one that another key signed",
        server,
        &good,
        &[&between],
        forged,
    );

    let point = |uri: &str| CrlDistributionPoint {
        uris: vec![uri.to_owned()],
    };
    // By RFC 5280 section 6.3.3, a certificate without a distribution point has the one of its issuer's
    // name. rustls takes any.
    let scoped = of_openssl(backend, unknown, SERVED);
    for (scope, uri, answers) in [
        (None, Some("http://a.test/"), SERVED),
        (None, Some("http://b.test/"), unknown),
        (None, None, scoped),
        (
            Some(CrlScope::UserCertsOnly),
            Some("http://a.test/"),
            SERVED,
        ),
        (Some(CrlScope::CaCertsOnly), Some("http://a.test/"), unknown),
    ] {
        let what = format!("a list of {scope:?}, a certificate of {uri:?}");
        let list = root.list_for(point("http://a.test/"), scope);
        let server = rows.serve(root.auth().crl_pem(list).expect("a list"));
        let client = root.issue(7, |params| {
            params.crl_distribution_points = uri.into_iter().map(point).collect();
        });
        rows.client(&what, server, &client, &[], answers);
    }
    rows.judge();
}
