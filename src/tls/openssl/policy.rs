//! The system's policy for TLS, and what applies where the system has none.

use openssl_ticket_keys::{
    ciphers,
    openssl::{
        error::ErrorStack,
        ssl::{SslContextBuilder, SslMethod, SslVersion},
    },
};

use super::stream::tls_version;
use crate::{error::Error, negotiated::TlsVersion};

pub(super) const BACKEND: &str = "openssl";

/// The suites with ECDHE of <https://wiki.mozilla.org/Security/Server_Side_TLS>, intermediate, version
/// 5.7. Those with DHE need parameters, are slow, and no client of HTTP/2 needs them.
const INTERMEDIATE: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:\
    ECDHE-RSA-CHACHA20-POLY1305";

/// A new context for a server. OpenSSL applies the section `system_default` of its configuration file
/// to it.
pub(super) fn context(min_version: TlsVersion) -> Result<SslContextBuilder, Error> {
    if ![TlsVersion::TLS_1_2, TlsVersion::TLS_1_3].contains(&min_version) {
        return Err(Error::unsupported(
            BACKEND,
            &format!("min_version {min_version}"),
            "use TLS 1.2 or TLS 1.3",
        ));
    }
    let failed = |error| {
        Error::config("OpenSSL cannot make a context: check its configuration file")
            .with_source(error)
    };
    let mut context = SslContextBuilder::new(SslMethod::tls_server()).map_err(failed)?;
    let lowest = context.min_proto_version();
    if lowest.is_none() && names(&context) == own_ciphers().map_err(failed)? {
        context.set_cipher_list(INTERMEDIATE).map_err(failed)?;
    }
    let min_version = lowest
        .and_then(tls_version)
        .map_or(min_version, |lowest| lowest.max(min_version));
    let highest = context.max_proto_version().and_then(tls_version);
    if let Some(highest) = highest.filter(|highest| *highest < min_version) {
        return Err(Error::config(format!(
            "min_version is {min_version}, but the system's policy for OpenSSL allows {highest} at \
             most: change MaxProtocol in openssl.cnf"
        )));
    }
    let version = match min_version {
        TlsVersion::TLS_1_3 => SslVersion::TLS1_3,
        _ => SslVersion::TLS1_2,
    };
    context
        .set_min_proto_version(Some(version))
        .map_err(failed)?;
    Ok(context)
}

/// The cipher suites that this OpenSSL enables if no policy names any. If a context has others, the
/// system has a policy. One that names exactly these is not told from none: what is set instead is a
/// part of them.
fn own_ciphers() -> Result<Vec<&'static str>, ErrorStack> {
    const TLS_1_3: &str =
        "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
    context.set_cipher_list("DEFAULT")?;
    context.set_ciphersuites(TLS_1_3)?;
    Ok(names(&context))
}

fn names(context: &SslContextBuilder) -> Vec<&'static str> {
    ciphers(context).map(|cipher| cipher.name()).collect()
}
