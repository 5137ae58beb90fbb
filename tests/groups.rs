//! Tests the key exchange groups that backends have.

use corelane::tls::NamedGroup;
use corelane_test_support::{
    Backend,
    client::{Tls, rustls_config_with},
    for_each_tls_backend,
    reporter::Reporter,
};
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519MLKEM768};

for_each_tls_backend!(post_quantum_group_is_negotiated_where_the_library_has_it);

/// Hybrid key exchange with ML-KEM, by its number at IANA.
const X25519_ML_KEM_768: NamedGroup = NamedGroup(0x11ec);
const P_256: NamedGroup = NamedGroup(23);

/// OpenSSL has it from 3.5 on, if its FIPS provider does.
fn openssl_has_it() -> bool {
    let mut context = openssl::ssl::SslContext::builder(openssl::ssl::SslMethod::tls_server())
        .expect("a context");
    let has_it = context.set_groups_list("X25519MLKEM768").is_ok();
    assert!(has_it || openssl::version::number() < 0x3050_0000);
    has_it
}

fn post_quantum_group_is_negotiated_where_the_library_has_it(backend: Backend) {
    let (tls, has_it) = match backend.name {
        "rustls" => (Tls::V1_3, cfg!(feature = "aws-lc-rs")),
        "openssl" => (Tls::V1_3, openssl_has_it()),
        _ => (Tls::V1_2, false),
    };
    let config = rustls_config_with(tls, &[b"h2"], vec![X25519MLKEM768, SECP256R1]);
    let server = Reporter::start(backend.acceptor());
    let mut client = server.rustls(&config);
    let negotiated = server.ask(&mut client).expect("answered");
    let group = client.conn.negotiated_key_exchange_group().expect("one");
    let group = NamedGroup(group.name().into());
    assert_eq!(group, if has_it { X25519_ML_KEM_768 } else { P_256 });
    if let Some(reported) = negotiated.key_exchange_group {
        assert_eq!(reported, group);
    }
}
