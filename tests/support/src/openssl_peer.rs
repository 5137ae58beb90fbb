//! Keys, certificates and a client by crate openssl, for what rustls lacks.

use std::net::{SocketAddr, TcpStream};

use corelane::tls::Identity;
use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private},
    pkey_ctx::PkeyCtx,
    rsa::Rsa,
    ssl::{
        HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode,
        SslVersion,
    },
    x509::{X509, X509NameBuilder},
};

use crate::client::DEADLINE;

pub fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

pub fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key")
}

/// Of 2048 bits, which is OpenSSL's default.
pub fn rsa_pss() -> PKey<Private> {
    let mut context = PkeyCtx::new_id(Id::RSA_PSS).expect("a context");
    context.keygen_init().expect("set");
    context.keygen().expect("a key")
}

/// A certificate for localhost, PEM.
pub fn self_signed(key: &PKey<Private>) -> String {
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "localhost")
        .expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("set");
    builder.set_subject_name(&name).expect("set");
    builder.set_issuer_name(&name).expect("set");
    builder.set_pubkey(key).expect("set");
    let day = |n| Asn1Time::days_from_now(n).expect("a time");
    builder.set_not_before(&day(0)).expect("set");
    builder.set_not_after(&day(2)).expect("set");
    let digest = match key.id() {
        Id::ED25519 | Id::ED448 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(key, digest).expect("signed");
    String::from_utf8(builder.build().to_pem().expect("PEM")).expect("ASCII")
}

pub fn identity_of(key: &PKey<Private>) -> Identity {
    let pem = key.private_key_to_pem_pkcs8().expect("PEM");
    Identity::from_pem(self_signed(key), pem).expect("PEM")
}

/// A handshake of a client that has this version only and trusts any certificate.
///
/// # Errors
///
/// If it fails: whether the server sent an alert.
pub fn handshake(
    addr: SocketAddr,
    version: SslVersion,
    change: impl FnOnce(&mut SslContextBuilder) -> Result<(), ErrorStack>,
) -> Result<SslStream<TcpStream>, bool> {
    let mut client = SslContext::builder(SslMethod::tls_client()).expect("a context");
    client.set_verify(SslVerifyMode::NONE);
    client.set_max_proto_version(Some(version)).expect("set");
    client.set_min_proto_version(Some(version)).expect("set");
    client.set_alpn_protos(b"\x02h2").expect("set");
    change(&mut client).expect("this OpenSSL has it");
    let mut ssl = Ssl::new(&client.build()).expect("a session");
    ssl.set_hostname("localhost").expect("set");
    let tcp = TcpStream::connect(addr).expect("connects");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    match ssl.connect(tcp) {
        Ok(tls) => Ok(tls),
        Err(HandshakeError::Failure(failed)) => {
            let error = failed.error().to_string();
            Err(error.contains("alert"))
        }
        Err(error) => panic!("{error}"),
    }
}
