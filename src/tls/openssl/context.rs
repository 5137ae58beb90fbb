//! Builds OpenSSL's context from the configuration that all backends share.

use std::sync::Arc;

use openssl_ticket_keys::{
    openssl::{
        error::ErrorStack,
        ssl::{
            AlpnError, SslContext, SslContextBuilder, SslMode, SslOptions, SslSessionCacheMode,
            SslVersion,
        },
    },
    set_session_lifetime, set_ticket_keys,
};

use super::{
    algorithms::{self, Groups},
    clients::{self, ClientPolicy},
    identity,
    policy::{self, BACKEND},
    proof,
    stream::tls_version,
    tickets::Tickets,
};
use crate::{
    alpn::ProtocolName,
    error::Error,
    negotiated::CipherSuite,
    tls::{OcspResponse, TicketKeys, TlsConfig, key_log::KeyLog},
};

/// Sessions in memory, for clients that resume by session id (TLS 1.2). Most clients use tickets, which
/// need no memory here.
const SESSION_CACHE: i32 = 4096;

pub(super) struct Built {
    pub(super) context: SslContext,
    pub(super) cipher_suites: Arc<[CipherSuite]>,
    pub(super) groups: Groups,
    /// The lowest version that the context accepts.
    pub(super) lowest: Option<SslVersion>,
}

pub(super) fn build(config: &TlsConfig, client_policy: &ClientPolicy) -> Result<Built, Error> {
    let mut context = policy::context(config.min_version)?;
    // The idle connection has no buffer. A write may be repeated from another buffer, and the chain is
    // sent as it was given.
    context.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::AUTO_RETRY
            | SslMode::NO_AUTO_CHAIN,
    );
    context.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
    identity::set(&mut context, &config.identity).map_err(|error| config.identity.locate(error))?;
    if let Some(response) = config.identity.ocsp_response() {
        staple(&mut context, response.clone()).map_err(|error| {
            Error::config("OpenSSL cannot send OCSP responses").with_source(error)
        })?;
    }
    if let Some(auth) = &config.client_auth {
        clients::verify(&mut context, auth)?;
    }
    resume(&mut context, config, client_policy)?;
    if config.key_log
        && let Some(log) = KeyLog::open()?
    {
        context.set_keylog_callback(move |ssl, line| {
            if !proof::is_proof(ssl) {
                log.write_line(line);
            }
        });
    }
    algorithms::set(&mut context, config)?;
    change(&mut context, config)?;
    // Last: nothing tells whether a change replaced it.
    choose_alpn(&mut context, config.alpn_protocols.clone());
    let built = Built {
        cipher_suites: algorithms::cipher_suites(&context).collect(),
        groups: Groups::new(&mut context, &config.groups),
        lowest: context.min_proto_version(),
        context: context.build(),
    };
    match built.context.max_early_data() {
        0 => Ok(built),
        size => Err(Error::unsupported(
            BACKEND,
            &format!("early data (max_early_data is {size})"),
            "requests in it would be lost: remove the call from TlsConfig::openssl",
        )),
    }
}

/// Calls the changes of the user.
fn change(context: &mut SslContextBuilder, config: &TlsConfig) -> Result<(), Error> {
    let before = context.min_proto_version().and_then(tls_version);
    for change in config.openssl.iter() {
        change(context)
            .map_err(|error| Error::config("TlsConfig::openssl failed").with_source(error))?;
    }
    // None is before all others: the lowest that OpenSSL has.
    match context.min_proto_version().and_then(tls_version) < before {
        true => Err(Error::config(
            "TlsConfig::openssl lowered the minimum version: set TlsConfig::min_version, and \
             MinProtocol in openssl.cnf",
        )),
        false => Ok(()),
    }
}

/// Sends the response to clients that ask for it, while it is valid.
fn staple(context: &mut SslContextBuilder, response: OcspResponse) -> Result<(), ErrorStack> {
    context.set_status_callback(move |ssl| {
        // Without memory for it, the client gets none.
        Ok(response.is_current() && ssl.set_ocsp_status(response.der()).is_ok())
    })
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

/// The name in a list of names, each of which follows its length (RFC 7301 section 3.1). OpenSSL has
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

fn resume(
    context: &mut SslContextBuilder,
    config: &TlsConfig,
    client_policy: &ClientPolicy,
) -> Result<(), Error> {
    let failed = |error| Error::config("OpenSSL cannot resume sessions").with_source(error);
    if !config.session_resumption {
        if config.ticket_keys.is_some() {
            return Err(Error::config(
                "ticket_keys need session resumption: remove them, or turn session_resumption on",
            ));
        }
        context.set_options(SslOptions::NO_TICKET);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        return context.set_num_tickets(0).map_err(failed);
    }
    let keys = config
        .ticket_keys
        .clone()
        .unwrap_or_else(TicketKeys::random);
    set_session_lifetime(context, keys.lifetime);
    context.set_session_cache_mode(SslSessionCacheMode::SERVER);
    context.set_session_cache_size(SESSION_CACHE);
    let tickets = Tickets::new(keys, client_policy.digest())?;
    set_ticket_keys(context, tickets).map_err(failed)
}
