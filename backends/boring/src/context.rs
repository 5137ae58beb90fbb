//! Builds BoringSSL's context from the configuration that all backends share.

use boring::{
    error::ErrorStack,
    ssl::{
        AlpnError, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions,
        SslSessionCacheMode, SslVersion,
    },
};
use corelane::{
    Error, ProtocolName,
    tls::{KeyLog, OcspResponse, TlsConfig, TlsOption, TlsVersion},
};

use crate::{
    clients, groups,
    identity::{self, BACKEND},
};

/// What the backend supports of the options that not every backend does.
const SUPPORTED: &[TlsOption] = &[
    TlsOption::NoSessionResumption,
    TlsOption::ClientAuth,
    TlsOption::KeyLog,
    TlsOption::OcspResponse,
    TlsOption::Groups,
    TlsOption::Exporters,
];

/// The suites with ECDHE of <https://wiki.mozilla.org/Security/Server_Side_TLS>, intermediate, version 5.7.
/// BoringSSL itself would also enable CBC suites and those without forward secrecy.
const INTERMEDIATE: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:\
    ECDHE-RSA-CHACHA20-POLY1305";

/// Sessions in memory, for clients that resume by session id (TLS 1.2). Most clients use tickets, which
/// need no memory here.
const SESSION_CACHE: u32 = 4096;

pub(crate) fn build(config: &TlsConfig) -> Result<SslContext, Error> {
    check(config)?;
    let failed =
        |error: ErrorStack| Error::config("BoringSSL cannot make a context").with_source(error);
    let mut context = SslContext::builder(SslMethod::tls()).map_err(failed)?;
    let version = match config.min_version {
        TlsVersion::TLS_1_3 => SslVersion::TLS1_3,
        _ => SslVersion::TLS1_2,
    };
    context
        .set_min_proto_version(Some(version))
        .map_err(failed)?;
    context
        .set_max_proto_version(Some(SslVersion::TLS1_3))
        .map_err(failed)?;
    groups::set(&mut context, config)?;
    context
        .set_strict_cipher_list(INTERMEDIATE)
        .map_err(failed)?;
    // A write may be repeated from another buffer, and the chain is sent as it was given.
    context.set_mode(
        SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::NO_AUTO_CHAIN,
    );
    identity::set(&mut context, &config.identity).map_err(|error| config.identity.locate(error))?;
    if let Some(response) = config.identity.ocsp_response() {
        staple(&mut context, response.clone()).map_err(failed)?;
    }
    choose_alpn(&mut context, config.alpn_protocols.clone());
    if let Some(auth) = &config.client_auth {
        clients::verify(&mut context, auth)?;
    }
    if config.session_resumption {
        context.set_session_cache_mode(SslSessionCacheMode::SERVER);
        context.set_session_cache_size(SESSION_CACHE);
    } else {
        context.set_options(SslOptions::NO_TICKET);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
    }
    if config.key_log
        && let Some(log) = KeyLog::open()?
    {
        context.set_keylog_callback(move |_, line| log.write_line(line));
    }
    Ok(context.build())
}

/// Sends the response to clients that ask for it, while it is valid.
fn staple(context: &mut SslContextBuilder, response: OcspResponse) -> Result<(), ErrorStack> {
    context.set_status_callback(move |ssl| {
        // Without memory for it, the client gets none.
        Ok(response.is_current() && ssl.set_ocsp_status(response.der()).is_ok())
    })
}

fn check(config: &TlsConfig) -> Result<(), Error> {
    if ![TlsVersion::TLS_1_2, TlsVersion::TLS_1_3].contains(&config.min_version) {
        return Err(Error::unsupported(
            BACKEND,
            &format!("min_version {}", config.min_version),
            "use TLS 1.2 or TLS 1.3",
        ));
    }
    if config.ticket_keys.is_some() {
        return Err(Error::unsupported(
            BACKEND,
            "ticket keys",
            "crate boring has only an unsafe call for them, and this backend has no unsafe code; its \
             sessions resume within one acceptor only",
        ));
    }
    let auth = config.client_auth.as_ref();
    if auth.is_some_and(|auth| !auth.revocation_lists().is_empty()) {
        return Err(Error::unsupported(
            BACKEND,
            "revocation lists",
            "crate boring has no call for them",
        ));
    }
    if !config.cipher_suites.is_empty() {
        return Err(Error::unsupported(
            BACKEND,
            "cipher_suites",
            "BoringSSL has no choice of the suites of TLS 1.3",
        ));
    }
    config.check_support(BACKEND, SUPPORTED)
}

/// The first of these protocols that the client offers; without one, the alert
/// `no_application_protocol` (120).
fn choose_alpn(context: &mut SslContextBuilder, protocols: Vec<ProtocolName>) {
    if protocols.is_empty() {
        return;
    }
    context.set_alpn_select_callback(move |_, offered| {
        let mut protocols = protocols.iter();
        let chosen = protocols.find_map(|it| find(offered, it.as_bytes()));
        chosen.ok_or(AlpnError::ALERT_FATAL)
    });
}

/// The name in a list of names, each of which follows its length (RFC 7301 section 3.1). BoringSSL has
/// checked the list.
fn find<'a>(mut offered: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    while let [length, rest @ ..] = offered {
        let (first, more) = rest.split_at_checked(usize::from(*length))?;
        if first == name {
            return Some(first);
        }
        offered = more;
    }
    None
}
