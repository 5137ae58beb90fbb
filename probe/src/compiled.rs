//! Makes the clients that are compiled in. Only this file names the modules of TLS libraries.

use super::{client::Client, connect::OfferClient, error::Error, options::ProbeOptions, raw};

type Made = Result<Box<dyn OfferClient>, Error>;

/// Makes a client; `None` if it is not compiled in.
type Make = Option<fn(&ProbeOptions) -> Made>;

cfg_if::cfg_if! {
    if #[cfg(feature = "rustls")] {
        const RUSTLS: Make = Some(|options| Ok(Box::new(super::rustls::Rustls::new(options)?)));
    } else {
        const RUSTLS: Make = None;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "native-tls")] {
        const NATIVE_TLS: Make =
            Some(|options| Ok(Box::new(super::native_tls::NativeTls::new(options)?)));
    } else {
        const NATIVE_TLS: Make = None;
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "openssl")] {
        const OPENSSL: Make = Some(|options| Ok(Box::new(super::openssl::Openssl::new(options)?)));
    } else {
        const OPENSSL: Make = None;
    }
}

/// The client, ready to make offers.
pub(crate) fn client(client: Client, options: &ProbeOptions) -> Made {
    let make: Make = match client {
        Client::Rustls => RUSTLS,
        Client::Openssl => OPENSSL,
        Client::NativeTls => NATIVE_TLS,
        Client::Raw => Some(|_| Ok(Box::new(raw::Raw))),
    };
    match make {
        Some(make) => make(options),
        None => Err(Error::unsupported(format!(
            "the client {client} is not compiled in: turn on the cargo feature {client} of \
             corelane-probe"
        ))),
    }
}
