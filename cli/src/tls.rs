//! The TLS backend and its certificates.

use std::sync::Arc;

#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
use corelane::tls::{Identity, ServerNameAcceptor, TlsConfig, TlsVersion};
use corelane::{
    Error,
    tls::{Cleartext, TlsAcceptor},
};

#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
use crate::{args::MinTlsArg, expiry};
use crate::{
    args::{AlpnMissingArg, Args},
    expiry::Loaded,
};

pub(crate) struct Tls {
    pub(crate) acceptor: Arc<dyn TlsAcceptor>,
    pub(crate) description: Description,
    pub(crate) loaded: Loaded,
}

/// A description for people.
pub(crate) struct Description {
    pub(crate) scheme: &'static str,
    pub(crate) text: String,
    pub(crate) curl_options: &'static str,
}

type Make = fn(&Args) -> Result<Tls, Error>;

/// A backend that this command knows: its name, its feature, and how to make its acceptor where it is
/// compiled in.
struct Backend {
    name: &'static str,
    feature: &'static str,
    make: Option<Make>,
}

const BACKENDS: [Backend; 4] = [
    Backend {
        name: "rustls",
        feature: "rustls",
        #[cfg(feature = "rustls")]
        make: Some(rustls),
        #[cfg(not(feature = "rustls"))]
        make: None,
    },
    Backend {
        name: "openssl",
        feature: "openssl",
        #[cfg(feature = "openssl")]
        make: Some(openssl),
        #[cfg(not(feature = "openssl"))]
        make: None,
    },
    Backend {
        name: "native-tls",
        feature: "native-tls",
        #[cfg(feature = "native-tls")]
        make: Some(native_tls),
        #[cfg(not(feature = "native-tls"))]
        make: None,
    },
    Backend {
        name: "none",
        feature: "",
        make: Some(cleartext),
    },
];

/// The backend of --tls, or the first that is compiled in.
pub(crate) fn choose(args: &Args) -> Result<Tls, Error> {
    let compiled_in = || {
        let names: Vec<_> = BACKENDS
            .iter()
            .filter(|backend| backend.make.is_some())
            .map(|backend| backend.name)
            .collect();
        names.join(", ")
    };
    let backend = match &args.tls {
        None => BACKENDS.iter().find(|backend| backend.make.is_some()),
        Some(name) => BACKENDS.iter().find(|backend| backend.name == name),
    };
    let Some(backend) = backend else {
        return Err(Error::config(format!(
            "--tls: unknown backend {:?}; compiled in: {}",
            args.tls.as_deref().unwrap_or_default(),
            compiled_in()
        )));
    };
    match backend.make {
        Some(make) => make(args),
        None => Err(Error::config(format!(
            "--tls: the backend {} is not compiled in (build with `--features {}`); compiled in: {}",
            backend.name,
            backend.feature,
            compiled_in()
        ))),
    }
}

#[cfg(any(feature = "rustls", feature = "openssl"))]
fn versions(args: &Args) -> &'static str {
    match args.min_tls {
        Some(MinTlsArg::Tls13) => "TLS 1.3",
        Some(MinTlsArg::Tls12) | None => "TLS 1.2 and 1.3",
    }
}

#[cfg(feature = "rustls")]
fn rustls(args: &Args) -> Result<Tls, Error> {
    let backend = format!("rustls, {}", versions(args));
    over_tls(args, &backend, true, |config| {
        Ok(Arc::new(corelane::tls::RustlsAcceptor::new(config)?))
    })
}

#[cfg(feature = "openssl")]
fn openssl(args: &Args) -> Result<Tls, Error> {
    let backend = format!("openssl ({}), {}", openssl_library(), versions(args));
    over_tls(args, &backend, true, |config| {
        Ok(Arc::new(corelane::tls::OpensslAcceptor::new(config)?))
    })
}

#[cfg(feature = "native-tls")]
fn native_tls(args: &Args) -> Result<Tls, Error> {
    if args.min_tls == Some(MinTlsArg::Tls13) {
        return Err(Error::unsupported(
            "native-tls",
            "--min-tls 1.3",
            "its servers speak TLS 1.2 at most; rustls and openssl support TLS 1.3",
        ));
    }
    for (given, option, why) in [
        (
            args.key_log,
            "--key-log",
            "it has no option to tell its secrets; rustls and openssl support it",
        ),
        (
            args.certificates.ocsp_files().next().is_some(),
            "--ocsp",
            "it has no option to send OCSP responses; rustls and openssl support it",
        ),
        (
            !args.ciphers.is_empty(),
            "--ciphers",
            "it has no call for it; rustls and openssl support it",
        ),
        (
            !args.groups.is_empty(),
            "--groups",
            "it has no call for it; rustls and openssl support it",
        ),
    ] {
        if given {
            return Err(Error::unsupported("native-tls", option, why));
        }
    }
    let backend = format!("native-tls ({}), TLS 1.2", openssl_library());
    over_tls(args, &backend, false, |config| {
        Ok(Arc::new(corelane::tls::NativeTlsAcceptor::new(config)?))
    })
}

/// The OpenSSL of both backends. Only the backend openssl tells whether FIPS restricts it.
#[cfg(feature = "openssl")]
fn openssl_library() -> impl std::fmt::Display {
    corelane::tls::OpensslLibrary::in_use()
}

#[cfg(all(feature = "native-tls", not(feature = "openssl")))]
fn openssl_library() -> impl std::fmt::Display {
    openssl::version::version()
}

fn cleartext(args: &Args) -> Result<Tls, Error> {
    for (given, what) in [
        (
            args.certificates.are_given(),
            "certificate: remove --cert, --key, --ocsp and --write-cert",
        ),
        (
            args.client_certificates.are_given(),
            "client certificates: remove --client-ca",
        ),
        (
            args.tickets.are_given(),
            "session tickets: remove --ticket-keys and --ticket-lifetime",
        ),
        (args.min_tls.is_some(), "TLS version: remove --min-tls"),
        (args.key_log, "secrets: remove --key-log"),
        (
            !args.ciphers.is_empty() || !args.groups.is_empty(),
            "cipher suites and groups: remove --ciphers and --groups",
        ),
        (
            args.certificates.refuse_unknown_names(),
            "server names: remove --unknown-name",
        ),
        (
            matches!(args.alpn_missing, AlpnMissingArg::Allow),
            "ALPN: remove --alpn-missing",
        ),
    ] {
        if given {
            return Err(Error::config(format!("--tls none has no {what}")));
        }
    }
    Ok(Tls {
        acceptor: Arc::new(Cleartext),
        description: Description {
            scheme: "http",
            text: match args.protocols()[..] {
                [_] => "none, HTTP/2 with prior knowledge".into(),
                _ => "none, HTTP/2 with prior knowledge or HTTP/1.1".into(),
            },
            curl_options: "--http2-prior-knowledge",
        },
        loaded: Loaded::default(),
    })
}

/// One acceptor for each --cert, or for the self-signed certificate; `make` makes them. Reads the
/// files, so that a reload is the same call.
#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
fn over_tls(
    args: &Args,
    backend: &str,
    takes_ticket_keys: bool,
    make: impl Fn(&TlsConfig) -> Result<Arc<dyn TlsAcceptor>, Error>,
) -> Result<Tls, Error> {
    let client_auth = args.client_certificates.client_auth()?;
    let ticket_keys = args.tickets.keys(takes_ticket_keys)?;
    let key_log = key_log(args)?;
    let min_version = match args.min_tls {
        Some(MinTlsArg::Tls13) => TlsVersion::TLS_1_3,
        Some(MinTlsArg::Tls12) | None => TlsVersion::TLS_1_2,
    };
    let make = |identity: &Identity| {
        let config = TlsConfig::new(identity.clone())
            .alpn_protocols(args.protocols())
            .min_version(min_version)
            .cipher_suites(args.ciphers.iter().copied())
            .groups(args.groups.iter().copied())
            .client_auth(client_auth.clone())
            .ticket_keys(ticket_keys.clone())
            .key_log(key_log);
        make(&config)
    };
    let identities = args.certificates.read()?;
    let (default, certificates) = match identities.first() {
        Some(first) => (first.clone(), args.certificates.describe()),
        None => args.certificates.self_signed()?,
    };
    let mut acceptor = ServerNameAcceptor::new(&default, make(&default)?)?;
    for identity in identities.iter().skip(1) {
        acceptor = acceptor.add(identity, make(identity)?)?;
    }
    let loaded = Loaded {
        identities,
        client_auth,
    };
    let names: Vec<_> = args.protocols().iter().map(ToString::to_string).collect();
    expiry::log(args, &loaded);
    args.certificates.warn(&loaded.identities);
    Ok(Tls {
        acceptor: Arc::new(acceptor.unknown_name(args.certificates.unknown_name())),
        description: Description {
            scheme: "https",
            text: format!("{backend}; ALPN {}; {certificates}", names.join(", ")),
            curl_options: args.client_certificates.curl_options(),
        },
        loaded,
    })
}

/// Whether the acceptors open the key log. `corelane check` creates no file.
#[cfg(any(feature = "rustls", feature = "native-tls", feature = "openssl"))]
fn key_log(args: &Args) -> Result<bool, Error> {
    if !args.key_log || !args.certificates.are_only_checked() {
        return Ok(args.key_log);
    }
    corelane::tls::check_key_log(|file| corelane_ops::check_writable(file))?;
    Ok(false)
}
