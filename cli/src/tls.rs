//! The TLS backend and its certificates.

use std::sync::Arc;

#[cfg(any(feature = "rustls", feature = "native-tls"))]
use corelane::tls::{ServerNameAcceptor, TlsConfig};
use corelane::{
    Error,
    tls::{Cleartext, Identity, TlsAcceptor},
};

use crate::args::{AlpnMissingArg, Args};

pub(crate) struct Tls {
    pub(crate) acceptor: Arc<dyn TlsAcceptor>,
    pub(crate) description: Description,
    /// The certificates from files, in the order of --cert.
    pub(crate) identities: Vec<Identity>,
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

const BACKENDS: [Backend; 3] = [
    Backend {
        name: "rustls",
        feature: "rustls",
        #[cfg(feature = "rustls")]
        make: Some(rustls),
        #[cfg(not(feature = "rustls"))]
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

#[cfg(feature = "rustls")]
fn rustls(args: &Args) -> Result<Tls, Error> {
    let config = config(args, true)?;
    over_tls(args, "rustls, TLS 1.2 and 1.3", |identity| {
        let config = config(identity);
        Ok(Arc::new(corelane::tls::RustlsAcceptor::new(&config)?))
    })
}

#[cfg(feature = "native-tls")]
fn native_tls(args: &Args) -> Result<Tls, Error> {
    let library = openssl::version::version();
    let backend = format!("native-tls ({library}), TLS 1.2");
    let config = config(args, false)?;
    over_tls(args, &backend, |identity| {
        let config = config(identity);
        Ok(Arc::new(corelane::tls::NativeTlsAcceptor::new(&config)?))
    })
}

fn cleartext(args: &Args) -> Result<Tls, Error> {
    for (given, what) in [
        (
            args.certificates.are_given(),
            "certificate: remove --cert, --key and --write-cert",
        ),
        (
            args.client_certificates.are_given(),
            "client certificates: remove --client-ca",
        ),
        (
            args.tickets.are_given(),
            "session tickets: remove --ticket-keys and --ticket-lifetime",
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
            text: "none, HTTP/2 with prior knowledge".into(),
            curl_options: "--http2-prior-knowledge",
        },
        identities: Vec::new(),
    })
}

/// One acceptor for each --cert, or for the self-signed certificate; `make` makes them. Reads the
/// files, so that a reload is the same call.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn over_tls(
    args: &Args,
    backend: &str,
    make: impl Fn(Identity) -> Result<Arc<dyn TlsAcceptor>, Error>,
) -> Result<Tls, Error> {
    let identities = args.certificates.read()?;
    let (default, certificates) = match identities.first() {
        Some(first) => (first.clone(), args.certificates.describe()),
        None => args.certificates.self_signed()?,
    };
    let acceptor = make(default.clone())?;
    let mut acceptor = ServerNameAcceptor::new(&default, acceptor)?;
    for identity in identities.iter().skip(1) {
        acceptor = acceptor.add(identity, make(identity.clone())?)?;
    }
    args.certificates.log_state(&identities);
    Ok(Tls {
        acceptor: Arc::new(acceptor.unknown_name(args.certificates.unknown_name())),
        description: Description {
            scheme: "https",
            text: format!("{backend}; ALPN h2; {certificates}"),
            curl_options: args.client_certificates.curl_options(),
        },
        identities,
    })
}

/// The configuration that all certificates share. Reads the files, so that a reload is the same
/// call.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn config(args: &Args, takes_ticket_keys: bool) -> Result<impl Fn(Identity) -> TlsConfig, Error> {
    let client_auth = args.client_certificates.client_auth()?;
    if let Some(auth) = &client_auth {
        args.client_certificates.log_state(auth);
    }
    let ticket_keys = args.tickets.keys(takes_ticket_keys)?;
    Ok(move |identity| {
        TlsConfig::new(identity)
            .client_auth(client_auth.clone())
            .ticket_keys(ticket_keys.clone())
    })
}
