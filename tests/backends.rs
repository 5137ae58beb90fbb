//! Holds every backend of this crate to the contract of the traits, and writes the table in
//! docs/backends.md: `UPDATE_DOCS=1 cargo test --workspace --features native-tls,openssl --test backends`.

use corelane::tls::Cleartext;
#[cfg(any(feature = "native-tls", feature = "openssl"))]
use corelane_backend_tests::Capability;
use corelane_backend_tests::{Kit, backend_tests, check_table};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
backend_tests!(mod on_rustls, corelane::tls::RustlsAcceptor::new);

#[cfg(feature = "openssl")]
backend_tests!(mod on_openssl, openssl_kit());

#[cfg(feature = "native-tls")]
backend_tests!(
    mod on_native_tls,
    Kit::new(corelane::tls::NativeTlsAcceptor::new)
        .lacks(Capability::Tls13, "crate native-tls turns it off in servers")
        .lacks(Capability::KeyExchangeGroup, "crate native-tls does not tell it")
        .lacks(Capability::TicketKeys, "crate native-tls has no call for them")
        .lacks(Capability::ResumptionOff, "crate native-tls has no call for it")
        .lacks(Capability::ClientAuth, "crate native-tls does not ask for them")
        .lacks(Capability::CipherSuites, "crate native-tls has no call for it")
        .lacks(Capability::Groups, "crate native-tls has no call for it")
        .lacks(Capability::Exporters, "crate native-tls has no call for it")
);

backend_tests!(mod on_none, Kit::new(|_| Ok(Cleartext)).without_tls(|_| {}));

#[cfg(feature = "openssl")]
fn openssl_kit() -> Kit {
    let kit = Kit::new(corelane::tls::OpensslAcceptor::new);
    match openssl::version::number() < 0x3000_0000 {
        true => kit.lacks(
            Capability::KeyExchangeGroup,
            "OpenSSL 1.1.1 does not tell it",
        ),
        false => kit,
    }
}

/// The table is that of OpenSSL 3.
#[test]
fn table_of_backends_matches_the_rows() {
    if openssl::version::number() < 0x3000_0000 {
        println!("NOT TESTED: this is {}", openssl::version::version());
        return;
    }
    let reports = [
        #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
        on_rustls::KIT.run(),
        #[cfg(feature = "openssl")]
        on_openssl::KIT.run(),
        #[cfg(feature = "native-tls")]
        on_native_tls::KIT.run(),
        on_none::KIT.run(),
    ];
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/backends.md");
    check_table(document, &reports);
}
