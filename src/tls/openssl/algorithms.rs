//! Gives OpenSSL the cipher suites and key exchange groups of the configuration.

use std::{
    ffi::{CStr, CString},
    sync::Arc,
};

use openssl_ticket_keys::{
    ciphers,
    openssl::{
        error::ErrorStack,
        ssl::{SslCipherRef, SslContextBuilder, SslMethod, SslOptions},
    },
};

use super::{policy::BACKEND, stream::tls_version};
use crate::{
    error::Error,
    negotiated::{CipherSuite, NamedGroup, TlsVersion},
    tls::{
        TlsConfig,
        algorithms::{Available, preferred},
        client_hello::ClientHello,
        security_level,
    },
};

/// Replaces the lists of the system's policy by those of the configuration that are not empty.
pub(super) fn set(context: &mut SslContextBuilder, config: &TlsConfig) -> Result<(), Error> {
    if config.cipher_suites.is_empty() && config.groups.is_empty() {
        return Ok(());
    }
    let failed = |error| Error::config("OpenSSL cannot use these algorithms").with_source(error);
    let library = Library::new().map_err(failed)?;
    library.available.check(config, &versions(context))?;
    if !config.groups.is_empty() {
        for group in &config.groups {
            let checked = library.check_strength(group.to_string(), strength(*group));
            checked.map_err(|error| error.at("groups"))?;
        }
        let names: Vec<_> = config.groups.iter().copied().filter_map(name).collect();
        context.set_groups_list(&names.join(":")).map_err(failed)?;
    }
    if config.cipher_suites.is_empty() {
        return Ok(());
    }
    let (mut tls_1_3, mut older) = (Vec::new(), Vec::new());
    for wanted in &config.cipher_suites {
        let suites = library
            .suites
            .iter()
            .filter(|suite| suite.number == *wanted);
        for suite in suites {
            let checked = library.check_strength(wanted.to_string(), suite.strength);
            checked.map_err(|error| error.at("cipher_suites"))?;
            match suite.is_of_tls_1_3 {
                true => tls_1_3.push(suite.name),
                false => older.push(suite.name),
            }
        }
    }
    // A version without any is one that the context does not speak.
    if !tls_1_3.is_empty() {
        context
            .set_ciphersuites(&tls_1_3.join(":"))
            .map_err(failed)?;
    }
    if !older.is_empty() {
        context.set_cipher_list(&older.join(":")).map_err(failed)?;
    }
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    Ok(())
}

/// The versions that the context speaks, of those that HTTP/2 allows.
fn versions(context: &mut SslContextBuilder) -> Vec<TlsVersion> {
    let lowest = context.min_proto_version().and_then(tls_version);
    let highest = context.max_proto_version().and_then(tls_version);
    let options = context.options();
    let all = [
        (TlsVersion::TLS_1_2, SslOptions::NO_TLSV1_2),
        (TlsVersion::TLS_1_3, SslOptions::NO_TLSV1_3),
    ];
    let spoken = all.into_iter().filter(|(version, off)| {
        lowest.is_none_or(|lowest| *version >= lowest)
            && highest.is_none_or(|highest| *version <= highest)
            && !options.contains(*off)
    });
    spoken.map(|(version, _)| version).collect()
}

/// What this OpenSSL has, with the providers that its configuration file loads.
struct Library {
    available: Available,
    suites: Vec<Suite>,
    security_level: u32,
}

struct Suite {
    number: CipherSuite,
    name: &'static str,
    is_of_tls_1_3: bool,
    /// Bits, as the security level counts them.
    strength: u32,
}

impl Suite {
    fn new(cipher: &SslCipherRef, is_of_tls_1_3: bool) -> Self {
        Self {
            number: number(cipher),
            name: cipher.name(),
            is_of_tls_1_3,
            strength: u32::try_from(cipher.bits().secret).unwrap_or_default(),
        }
    }
}

impl Library {
    fn new() -> Result<Self, ErrorStack> {
        /// OpenSSL has no word for all of them.
        const TLS_1_3: [&str; 5] = [
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_128_CCM_SHA256",
            "TLS_AES_128_CCM_8_SHA256",
        ];
        let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
        let mut suites = Vec::new();
        for name in TLS_1_3 {
            // Versions differ in whether an unknown name is an error.
            if context.set_ciphersuites(name).is_ok() {
                let found = ciphers(&context).find(|cipher| cipher.name() == name);
                suites.extend(found.map(|cipher| Suite::new(cipher, true)));
            }
        }
        context.set_ciphersuites("")?;
        context.set_cipher_list("ALL")?;
        suites.extend(ciphers(&context).map(|cipher| Suite::new(cipher, false)));
        let mut has = |group: &NamedGroup| {
            let name = name(*group);
            name.is_some_and(|name| context.set_groups_list(name).is_ok())
        };
        let groups = NamedGroup::named().filter(&mut has).collect();
        let allowed = suites.iter().map(|suite| suite.number);
        Ok(Self {
            available: Available {
                backend: BACKEND,
                cipher_suites: allowed.filter(|suite| suite.is_allowed()).collect(),
                groups,
            },
            suites,
            security_level: context.build().security_level(),
        })
    }

    /// OpenSSL would take it and never use it.
    fn check_strength(&self, name: String, strength: u32) -> Result<(), Error> {
        match security_level::min_strength(self.security_level) {
            Some(least) if strength < least => Err(Error::config(format!(
                "the security level {} of the system's OpenSSL (openssl.cnf) refuses {name}, whose \
                 strength is {strength} bits: it needs {least} bits; remove it",
                self.security_level
            ))),
            _ => Ok(()),
        }
    }
}

/// The suites that the context enables.
pub(super) fn cipher_suites(context: &SslContextBuilder) -> impl Iterator<Item = CipherSuite> {
    ciphers(context).map(number)
}

fn number(cipher: &SslCipherRef) -> CipherSuite {
    CipherSuite(u16::from_be_bytes(cipher.protocol_id()))
}

/// OpenSSL's name of a group, in all its versions.
fn name(group: NamedGroup) -> Option<&'static str> {
    let name = group.name()?;
    Some(match name {
        "secp256r1" => "P-256",
        "secp384r1" => "P-384",
        "secp521r1" => "P-521",
        "x25519" => "X25519",
        "x448" => "X448",
        other => other,
    })
}

/// The bits of a group, as the security level counts them. Crate openssl has no getter.
fn strength(group: NamedGroup) -> u32 {
    match group.name().unwrap_or_default() {
        "ffdhe2048" => 112,
        "secp384r1"
        | "brainpoolP384r1"
        | "brainpoolP384r1tls13"
        | "ffdhe8192"
        | "MLKEM768"
        | "X25519MLKEM768"
        | "SecP256r1MLKEM768" => 192,
        "x448" => 224,
        "secp521r1"
        | "brainpoolP512r1"
        | "brainpoolP512r1tls13"
        | "MLKEM1024"
        | "SecP384r1MLKEM1024" => 256,
        _ => 128,
    }
}

/// The groups of the configuration, to choose one for each connection.
#[derive(Clone, Default)]
pub(super) struct Groups {
    /// With OpenSSL's names.
    groups: Arc<[(NamedGroup, CString)]>,
    tls_1_3: bool,
}

impl Groups {
    /// Of the context as it will be used.
    pub(super) fn new(context: &mut SslContextBuilder, groups: &[NamedGroup]) -> Self {
        let names = groups.iter().filter_map(|group| {
            let name = CString::new(name(*group)?).ok()?;
            Some((*group, name))
        });
        Self {
            groups: names.collect(),
            tls_1_3: versions(context).contains(&TlsVersion::TLS_1_3),
        }
    }

    /// The name of the only group that a session of this client may use. `None`: those of the context.
    pub(super) fn of(&self, client: Option<&ClientHello>) -> Option<&CStr> {
        let name = preferred(&self.groups, client?, self.tls_1_3)?;
        Some(name)
    }
}
