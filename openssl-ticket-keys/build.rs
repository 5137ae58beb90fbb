//! Tells the code which of OpenSSL's interfaces there is.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(openssl_3)");
    // openssl-sys states the version of the library that it found, in hexadecimal. It states none for
    // LibreSSL, BoringSSL and AWS-LC, which lack SSL_CTX_set_session_ticket_cb, as OpenSSL does before
    // 1.1.1.
    let version = std::env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    let version = u64::from_str_radix(&version, 16).unwrap_or_default();
    assert!(
        version >= 0x1010_1000,
        "openssl-ticket-keys needs OpenSSL 1.1.1 or newer; LibreSSL, BoringSSL and AWS-LC have no \
         application data in session tickets"
    );
    if version >= 0x3000_0000 {
        println!("cargo:rustc-cfg=openssl_3");
    }
}
