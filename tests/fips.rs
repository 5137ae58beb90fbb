//! Tests the backends on OpenSSL under its FIPS provider, of which `ci/fips` builds one.
#![cfg(feature = "openssl")]

use std::{fs, path::Path, sync::Arc};

use corelane::{
    Chain, Driver, Error,
    tls::{Identity, OpensslLibrary, TicketKeys, TlsConfig},
};
use corelane_test_support::{
    Backend, TestServer,
    backends::OPENSSL,
    certs::identity,
    client::Tls,
    openssl_conf::{self, fips, fips_module},
    openssl_peer::{ec, handshake, rsa, rsa_pss, self_signed},
    visit::{register, returning, visit},
};
use openssl::{
    nid::Nid, pkcs12::Pkcs12, pkey::PKey, rand::rand_bytes, ssl::SslVersion, x509::X509,
};

const BACKENDS: &[Backend] = &[
    OPENSSL,
    #[cfg(feature = "native-tls")]
    corelane_test_support::backends::NATIVE_TLS,
];

fn serve(backend: Backend, config: &TlsConfig) -> Result<TestServer, Error> {
    let acceptor = (backend.make)(config)?;
    Ok(TestServer::start(acceptor, Driver::Epoll, register))
}

fn versions(backend: Backend) -> &'static [SslVersion] {
    match backend.tls_1_3 {
        true => &[SslVersion::TLS1_3, SslVersion::TLS1_2],
        false => &[SslVersion::TLS1_2],
    }
}

/// What an acceptor under FIPS does with a key.
enum Key {
    Serves,
    /// Providers differ: the acceptor is refused, or it serves.
    MayServe,
    IsRefused(&'static str),
}

const KEYS: [(&str, Key); 10] = [
    ("P-256", Key::Serves),
    ("P-521", Key::Serves),
    ("RSA", Key::Serves),
    ("RSA-PSS", Key::MayServe),
    ("Ed25519", Key::MayServe),
    ("Ed448", Key::MayServe),
    ("RSA-1024", Key::IsRefused("1024 bits")),
    (
        "secp256k1",
        Key::IsRefused("which this OpenSSL does not have"),
    ),
    (
        "brainpool",
        Key::IsRefused("which this OpenSSL does not have"),
    ),
    ("PKCS#12", Key::IsRefused("lacks an algorithm")),
];

/// Writes the files of [`KEYS`]. It needs an OpenSSL without FIPS.
fn write_keys(dir: &Path) {
    for (name, key) in [
        ("P-256", ec(Nid::X9_62_PRIME256V1)),
        ("P-521", ec(Nid::SECP521R1)),
        ("RSA", rsa(2048)),
        ("RSA-PSS", rsa_pss()),
        ("Ed25519", PKey::generate_ed25519().expect("a key")),
        ("Ed448", PKey::generate_ed448().expect("a key")),
        ("RSA-1024", rsa(1024)),
        ("secp256k1", ec(Nid::SECP256K1)),
        ("brainpool", ec(Nid::BRAINPOOL_P256R1)),
    ] {
        let private = key.private_key_to_pem_pkcs8().expect("PEM");
        let text = [self_signed(&key).into_bytes(), private].concat();
        fs::write(dir.join(name), text).expect("written");
    }
    let key = ec(Nid::X9_62_PRIME256V1);
    let certificate = X509::from_pem(self_signed(&key).as_bytes()).expect("PEM");
    let mut file = Pkcs12::builder();
    let file = file.pkey(&key).cert(&certificate).build2("secret");
    let file = file.and_then(|file| file.to_der()).expect("PKCS#12");
    fs::write(dir.join("PKCS#12"), file).expect("written");
}

fn read_key(dir: &Path, name: &str) -> Identity {
    let file = dir.join(name);
    match name {
        "PKCS#12" => Identity::from_pkcs12_file(file, "secret").expect("read"),
        _ => Identity::from_pem_files(&file, &file).expect("PEM"),
    }
}

const DIR: &str = "CORELANE_TEST_KEYS";

/// No client is the first to learn it.
#[test]
fn keys_that_fips_forbids_are_refused_when_built() {
    const NAME: &str = "keys_that_fips_forbids_are_refused_when_built";
    if openssl_conf::case().is_none() {
        let Some(module) = fips_module() else { return };
        let dir = tempfile::tempdir().expect("a directory");
        write_keys(dir.path());
        return openssl_conf::run(NAME, "FIPS", &fips(&module, ""), |command| {
            command.env(DIR, dir.path());
        });
    }
    let dir = std::env::var(DIR).expect("set");
    for &backend in BACKENDS {
        for (name, wanted) in KEYS {
            let config = TlsConfig::new(read_key(Path::new(&dir), name));
            match (serve(backend, &config), wanted) {
                (Ok(server), Key::Serves | Key::MayServe) => {
                    for &version in versions(backend) {
                        handshake(server.addr, version, |_| Ok(())).expect(name);
                    }
                }
                (Err(error), Key::MayServe) => assert!(error.is_config(), "{name}: {error}"),
                (Err(error), Key::IsRefused(words)) => {
                    assert!(error.is_config(), "{name}: {error}");
                    let text = Chain(&error).to_string();
                    assert!(text.contains(words), "{}, {name}: {text}", backend.name);
                }
                (Ok(_), Key::IsRefused(_)) => panic!("{} takes {name}", backend.name),
                (Err(error), Key::Serves) => panic!("{}, {name}: {error}", backend.name),
            }
        }
    }
}

#[test]
fn suites_that_fips_forbids_are_refused_when_built() {
    const NAME: &str = "suites_that_fips_forbids_are_refused_when_built";
    if openssl_conf::case().is_none() {
        let Some(module) = fips_module() else { return };
        let conf = fips(&module, "Ciphersuites = TLS_CHACHA20_POLY1305_SHA256");
        return openssl_conf::run(NAME, "ChaCha20", &conf, |_| ());
    }
    let error = (OPENSSL.make)(&TlsConfig::new(identity())).err();
    let text = Chain(&error.expect("FIPS forbids it")).to_string();
    assert!(
        text.contains("FIPS provider leaves no cipher suite"),
        "{text}"
    );
}

#[test]
fn the_library_tells_that_fips_restricts_it() {
    const NAME: &str = "the_library_tells_that_fips_restricts_it";
    let library = OpensslLibrary::in_use();
    let text = library.to_string();
    assert!(text.starts_with(library.version()), "{text}");
    if openssl_conf::case().is_none() {
        assert_eq!(library.fips_provider(), None, "{text}");
        assert!(!text.contains("FIPS"), "{text}");
        let Some(module) = fips_module() else { return };
        return openssl_conf::run(NAME, "FIPS", &fips(&module, ""), |_| ());
    }
    let provider = library.fips_provider().expect("it is active");
    assert!(provider.contains("FIPS"), "{provider}");
    let expected = format!(", FIPS provider active: {provider}");
    assert!(text.ends_with(&expected), "{text}");
}

/// A provider that is loaded beside the default one forbids nothing.
#[test]
fn a_fips_provider_without_effect_is_not_told_of() {
    const NAME: &str = "a_fips_provider_without_effect_is_not_told_of";
    if openssl_conf::case().is_none() {
        let Some(module) = fips_module() else { return };
        let conf = fips(&module, "")
            .replace("base = base", "default = base")
            .replace("alg_section = algorithms\n", "");
        return openssl_conf::run(NAME, "both providers", &conf, |_| ());
    }
    assert_eq!(OpensslLibrary::in_use().fips_provider(), None);
}

/// Tickets need AES-CBC, HMAC, HKDF and random bytes.
#[test]
fn sessions_resume_under_fips() {
    const NAME: &str = "sessions_resume_under_fips";
    if openssl_conf::case().is_none() {
        let Some(module) = fips_module() else { return };
        return openssl_conf::run(NAME, "FIPS", &fips(&module, ""), |_| ());
    }
    rand_bytes(&mut [0; 32]).expect("random bytes");
    let config = TlsConfig::new(identity());
    let with_keys = config.clone().ticket_keys(TicketKeys::random());
    for (backend, config) in [(OPENSSL, &with_keys)]
        .into_iter()
        .chain(BACKENDS.iter().map(|&backend| (backend, &config)))
    {
        let server = serve(backend, config).expect("an acceptor");
        for &tls in Tls::of(backend) {
            let client = Arc::new(returning(tls));
            assert!(!visit(server.addr, &client).resumed);
            assert!(
                visit(server.addr, &client).resumed,
                "{}, {tls:?}",
                backend.name
            );
        }
    }
}
