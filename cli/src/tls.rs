//! Which TLS backend serves, with which certificate.

use std::sync::Arc;

#[cfg(any(feature = "rustls", feature = "native-tls"))]
use corelane::tls::{Identity, TlsConfig};
use corelane::{
    Error,
    tls::{Cleartext, TlsAcceptor},
};

use crate::args::Args;

pub(crate) struct Tls {
    pub(crate) acceptor: Arc<dyn TlsAcceptor>,
    pub(crate) description: Description,
}

/// What to tell people about it.
pub(crate) struct Description {
    pub(crate) scheme: &'static str,
    pub(crate) text: String,
    pub(crate) curl_options: &'static str,
}

type Make = fn(&Args) -> Result<Tls, Error>;

/// A backend that this command knows: its name, the feature that compiles it in, and how to make
/// it if it is.
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

/// The backend asked for, or the first that is compiled in.
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
            "there is no TLS backend {:?}; compiled in: {}",
            args.tls.as_deref().unwrap_or_default(),
            compiled_in()
        )));
    };
    match backend.make {
        Some(make) => make(args),
        None => Err(Error::config(format!(
            "the TLS backend {} is not compiled in (build with `--features {}`); compiled in: {}",
            backend.name,
            backend.feature,
            compiled_in()
        ))),
    }
}

#[cfg(feature = "rustls")]
fn rustls(args: &Args) -> Result<Tls, Error> {
    let (identity, certificate) = identity(args)?;
    Ok(Tls {
        acceptor: Arc::new(corelane::tls::RustlsAcceptor::new(&config(
            args, identity, true,
        )?)?),
        description: over_tls("rustls, TLS 1.2 and 1.3", certificate),
    })
}

#[cfg(feature = "native-tls")]
fn native_tls(args: &Args) -> Result<Tls, Error> {
    let (identity, certificate) = identity(args)?;
    let library = openssl::version::version();
    Ok(Tls {
        acceptor: Arc::new(corelane::tls::NativeTlsAcceptor::new(&config(
            args, identity, false,
        )?)?),
        description: over_tls(&format!("native-tls ({library}), TLS 1.2"), certificate),
    })
}

fn cleartext(args: &Args) -> Result<Tls, Error> {
    for (given, what) in [
        (
            args.cert.is_some() || args.write_cert.is_some(),
            "a certificate makes",
        ),
        (
            args.client_certificates.are_given(),
            "client certificates make",
        ),
        (args.tickets.are_given(), "session tickets make"),
    ] {
        if given {
            return Err(Error::config(format!("{what} no sense with --tls none")));
        }
    }
    Ok(Tls {
        acceptor: Arc::new(Cleartext),
        description: Description {
            scheme: "http",
            text: "none, HTTP/2 with prior knowledge".into(),
            curl_options: "--http2-prior-knowledge",
        },
    })
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn over_tls(backend: &str, certificate: String) -> Description {
    Description {
        scheme: "https",
        text: format!("{backend}; ALPN h2; {certificate}"),
        curl_options: "-k",
    }
}

/// What the command line asks of TLS. Reads every file anew, so that a reload takes in what has
/// changed.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn config(args: &Args, identity: Identity, takes_ticket_keys: bool) -> Result<TlsConfig, Error> {
    let mut config = TlsConfig::new(identity);
    config.client_auth = args.client_certificates.client_auth()?;
    config.ticket_keys = args.tickets.keys(takes_ticket_keys)?;
    Ok(config)
}

/// The certificate of the command line or one made now, and what to say of it.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn identity(args: &Args) -> Result<(Identity, String), Error> {
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        let identity = Identity::from_pem_files(cert, key)?;
        return Ok((identity, format!("certificate {}", cert.display())));
    }
    let made = crate::self_signed::make()?;
    let mut text = String::from("self-signed certificate for localhost, made in memory");
    if let Some(file) = &args.write_cert {
        std::fs::write(file, &made.certificate)
            .map_err(|error| Error::config(format!("cannot write {}: {error}", file.display())))?;
        text = format!("{text}, written to {}", file.display());
    }
    Ok((Identity::from_pem(made.certificate, made.key)?, text))
}
