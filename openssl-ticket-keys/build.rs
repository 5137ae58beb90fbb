//! Tells the code which of OpenSSL's two interfaces for ticket keys there is.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(openssl_3)");
    // openssl-sys states the version of the library that it found, in hexadecimal. LibreSSL and
    // BoringSSL have another variable, and the older interface.
    let version = std::env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    if u64::from_str_radix(&version, 16).is_ok_and(|version| version >= 0x3000_0000) {
        println!("cargo:rustc-cfg=openssl_3");
    }
}
