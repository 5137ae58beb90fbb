//! The answer to each kind of chain: the table of docs/operations.md, and what is beside it. It is the
//! same on each backend, unless a row says otherwise.

use corelane::tls::ClientAuth;
use corelane_test_support::Backend;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519, SanType, date_time_ymd,
};
use rustls::AlertDescription as Alert;

use crate::{
    authority::{Authority, Client},
    old,
    rows::{Rows, SERVED, alert, of_openssl},
    server::serve,
};

fn with_usage(usage: KeyUsagePurpose) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.key_usages = vec![usage]
}

fn for_use(usage: ExtendedKeyUsagePurpose) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.extended_key_usages = vec![usage]
}

fn with_extension(critical: bool) -> impl FnOnce(&mut CertificateParams) {
    const NULL: [u8; 2] = [5, 0];
    move |params| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], NULL.to_vec());
        unknown.set_criticality(critical);
        params.custom_extensions = vec![unknown];
    }
}

pub fn each_certificate_gets_its_answer(backend: Backend) {
    let root = Authority::new("root");
    if serve(backend, root.auth()).is_none() {
        return;
    }
    let mut rows = Rows::new(backend);
    let server = rows.serve(root.auth());
    let of = |change: &dyn Fn(&mut CertificateParams)| root.issue(1, |params| change(params));
    let mut row =
        |what: &str, client: &Client, answers| rows.client(what, server, client, &[], answers);

    row("right", &of(&|_| {}), SERVED);
    row(
        "another authority",
        &Authority::new("other").issue(1, |_| {}),
        alert(Alert::UnknownCA),
    );
    row(
        "an authority of the same name",
        &Authority::new("root").issue(1, |_| {}),
        alert(Alert::DecryptError),
    );
    row(
        "expired",
        &of(&|params| params.not_after = date_time_ymd(2020, 1, 1)),
        alert(Alert::CertificateExpired),
    );
    row(
        "not yet valid",
        &of(&|params| params.not_before = date_time_ymd(4000, 1, 1)),
        alert(Alert::CertificateExpired),
    );
    for (usage, answers) in [
        (ExtendedKeyUsagePurpose::ClientAuth, SERVED),
        (
            ExtendedKeyUsagePurpose::ServerAuth,
            alert(Alert::UnsupportedCertificate),
        ),
        (
            ExtendedKeyUsagePurpose::Any,
            alert(Alert::UnsupportedCertificate),
        ),
    ] {
        row(
            &format!("{usage:?}"),
            &root.issue(1, for_use(usage)),
            answers,
        );
    }
    // rustls does not read the key usage (RFC 5280 section 4.2.1.3).
    let not_to_sign = of_openssl(backend, alert(Alert::UnsupportedCertificate), SERVED);
    for (usage, answers) in [
        (KeyUsagePurpose::DigitalSignature, SERVED),
        (KeyUsagePurpose::KeyEncipherment, not_to_sign),
    ] {
        row(
            &format!("{usage:?}"),
            &root.issue(1, with_usage(usage)),
            answers,
        );
    }
    row(
        "an authority's",
        &of(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        alert(Alert::CertificateUnknown),
    );
    row(
        "a critical extension",
        &root.issue(1, with_extension(true)),
        alert(Alert::CertificateUnknown),
    );
    row(
        "an extension",
        &root.issue(1, with_extension(false)),
        SERVED,
    );
    // OpenSSL asks for the curve of the client's key among the groups that the client offers (RFC 8422
    // section 5.1), which this client does not for P-521.
    let p_521 = of_openssl(backend, [Some(Alert::IllegalParameter), None], SERVED);
    for (algorithm, answers) in [
        (&PKCS_ED25519, SERVED),
        (&PKCS_ECDSA_P384_SHA384, SERVED),
        (&PKCS_ECDSA_P521_SHA512, p_521),
    ] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let params = CertificateParams::new([]).expect("parameters");
        let certificate = params.signed_by(&key, &root.issuer).expect("issued");
        row(
            &format!("{algorithm:?}"),
            &Client { certificate, key },
            answers,
        );
    }

    let good = of(&|_| {});
    let key = good.key.serialize_der();
    let other = of(&|_| {}).key.serialize_der();
    let mut damaged = good.der().to_vec();
    *damaged.last_mut().expect("a signature") ^= 1;
    let longer = [&good.der()[..], &[0]].concat();
    // OpenSSL parses the certificates of a message before it calls anything that could judge them.
    let malformed = of_openssl(
        backend,
        alert(Alert::DecodeError),
        alert(Alert::BadCertificate),
    );
    for (what, certificate, key, answers) in [
        (
            "another key",
            good.der(),
            &other,
            alert(Alert::DecryptError),
        ),
        (
            "a damaged signature",
            damaged.into(),
            &key,
            alert(Alert::DecryptError),
        ),
        ("a byte too many", longer.into(), &key, malformed),
        ("nonsense", b"nonsense".to_vec().into(), &key, malformed),
    ] {
        rows.add(what, server, vec![certificate], key, answers);
    }
    rows.judge();
}

pub fn each_chain_gets_its_answer(backend: Backend) {
    let root = Authority::new("root");
    if serve(backend, root.auth()).is_none() {
        return;
    }
    let mut rows = Rows::new(backend);
    let server = rows.serve(root.auth());
    let between = root.below("between");
    let client = between.issue(1, |_| {});
    let stranger = Authority::new("stranger");
    for (what, more, answers) in [
        ("complete", &[&between][..], SERVED),
        ("with the root", &[&between, &root], SERVED),
        ("in another order", &[&root, &stranger, &between], SERVED),
        ("incomplete", &[], alert(Alert::UnknownCA)),
        (
            "of another authority",
            &[&stranger],
            alert(Alert::UnknownCA),
        ),
    ] {
        rows.client(what, server, &client, more, answers);
    }
    let no_ca = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let pathlen_0 = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    };
    let permitted = |params: &mut CertificateParams| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("ok.test".into())],
            excluded_subtrees: Vec::new(),
        });
    };
    // rustls does not read the key usage.
    let not_to_sign = of_openssl(backend, alert(Alert::CertificateUnknown), SERVED);
    let mut issued = |what: &str, between: &Authority, answers| {
        rows.client(what, server, &between.issue(1, |_| {}), &[between], answers);
    };
    let unusable = alert(Alert::CertificateUnknown);
    issued(
        "expired",
        &root.below_with("a", |params| params.not_after = date_time_ymd(2020, 1, 1)),
        alert(Alert::CertificateExpired),
    );
    issued(
        "for servers",
        &root.below_with("a", for_use(ExtendedKeyUsagePurpose::ServerAuth)),
        alert(Alert::UnsupportedCertificate),
    );
    issued("no authority", &root.below_with("a", no_ca), unusable);
    issued(
        "not for certificates",
        &root.below_with("a", with_usage(KeyUsagePurpose::CrlSign)),
        not_to_sign,
    );
    issued(
        "a critical extension",
        &root.below_with("a", with_extension(true)),
        unusable,
    );
    let last = root.below_with("last", pathlen_0);
    issued("the last one allowed", &last, SERVED);
    let too_many = last.below("too many");
    rows.client(
        "one too many",
        server,
        &too_many.issue(1, |_| {}),
        &[&too_many, &last],
        unusable,
    );
    let constrained = root.below_with("constrained", permitted);
    for (name, answers) in [("a.ok.test", SERVED), ("a.other.test", unusable)] {
        let name = SanType::DnsName(name.try_into().expect("a name"));
        let client = constrained.issue(1, |params| params.subject_alt_names = vec![name]);
        rows.client("a name", server, &client, &[&constrained], answers);
    }

    let mut chain = vec![root.below("1")];
    while chain.len() < 7 {
        let last = chain.last().expect("one");
        chain.push(last.below(&format!("{}", chain.len() + 1)));
    }
    for (length, answers) in [(6, SERVED), (7, unusable)] {
        let chain: Vec<_> = chain[..length].iter().collect();
        let client = chain[length - 1].issue(1, |_| {});
        rows.client(
            &format!("{length} between"),
            server,
            &client,
            &chain,
            answers,
        );
    }

    // The bundle has an authority that another one certified, or a client's own certificate.
    let partial = rows.serve(between.auth());
    rows.client("directly trusted", partial, &client, &[], SERVED);
    rows.client(
        "issued above",
        partial,
        &root.issue(1, |_| {}),
        &[],
        alert(Alert::UnknownCA),
    );
    for (is_ca, answers) in [(false, SERVED), (true, unusable)] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "own");
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).expect("a certificate");
        let trusting = rows.serve(ClientAuth::from_pem(certificate.pem()).expect("PEM"));
        let own = Client { certificate, key };
        rows.client("self-signed, trusted", trusting, &own, &[], answers);
        if !is_ca {
            rows.client("self-signed", server, &own, &[], alert(Alert::UnknownCA));
        }
    }
    for (what, made, answers) in [
        ("version 1", old::chain(1, false, 3), unusable),
        ("version 2", old::chain(2, false, 3), unusable),
        ("issued by version 1", old::chain(3, true, 3), unusable),
        ("root of version 1", old::chain(3, false, 1), SERVED),
    ] {
        let trusting = rows.serve(ClientAuth::from_pem(made.root).expect("PEM"));
        rows.add(what, trusting, made.chain, &made.key, answers);
    }
    rows.judge();
}
