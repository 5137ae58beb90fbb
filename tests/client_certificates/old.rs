//! Certificates of older versions, which rcgen cannot make.

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{X509, X509Name, X509NameBuilder, extension::BasicConstraints},
};
use rustls::pki_types::CertificateDer;

pub struct Made {
    /// PEM.
    pub root: Vec<u8>,
    /// The client's certificate, and the one between, if there is one.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: Vec<u8>,
}

/// A client's certificate of this version, from a root of that one, directly or through an authority of
/// version 1.
pub fn chain(version: i32, between: bool, version_of_root: i32) -> Made {
    let [root, middle, client] = [(); 3].map(|()| {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
    });
    let (issuer, by) = match between {
        true => ("between", &middle),
        false => ("root", &root),
    };
    let own = issue(version, ["client", issuer], false, &client, by);
    let mut chain = vec![own];
    if between {
        chain.push(issue(1, ["between", "root"], true, &middle, &root));
    }
    let root = issue(version_of_root, ["root", "root"], true, &root, &root);
    Made {
        root: root.to_pem().expect("PEM"),
        chain: chain
            .iter()
            .map(|certificate| certificate.to_der().expect("DER").into())
            .collect(),
        key: client.private_key_to_pkcs8().expect("PKCS#8"),
    }
}

fn name(text: &str) -> X509Name {
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", text).expect("a name");
    name.build()
}

fn issue(
    version: i32,
    [subject, issuer]: [&str; 2],
    authority: bool,
    key: &PKey<Private>,
    by: &PKey<Private>,
) -> X509 {
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(version - 1).expect("set");
    let serial = BigNum::from_u32(1).and_then(|one| one.to_asn1_integer());
    builder
        .set_serial_number(&serial.expect("a number"))
        .expect("set");
    builder.set_subject_name(&name(subject)).expect("set");
    builder.set_issuer_name(&name(issuer)).expect("set");
    builder.set_pubkey(key).expect("set");
    let day = |n| Asn1Time::days_from_now(n).expect("a time");
    builder.set_not_before(&day(0)).expect("set");
    builder.set_not_after(&day(2)).expect("set");
    if authority && version == 3 {
        let ca = BasicConstraints::new().critical().ca().build();
        builder
            .append_extension(ca.expect("an extension"))
            .expect("set");
    }
    builder.sign(by, MessageDigest::sha256()).expect("signed");
    builder.build()
}
