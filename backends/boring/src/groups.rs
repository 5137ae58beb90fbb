//! Gives BoringSSL the key exchange groups of the configuration.

use boring::{
    error::ErrorStack,
    ssl::{SslContextBuilder, SslOptions},
};
use corelane::{
    Error,
    tls::{NamedGroup, TlsConfig, TlsVersion},
};

use crate::identity::BACKEND;

const P_521: NamedGroup = NamedGroup(0x0019);

/// What BoringSSL has, with its names.
const GROUPS: [(NamedGroup, &str); 5] = [
    (NamedGroup::X25519MLKEM768, "X25519MLKEM768"),
    (NamedGroup::X25519, "X25519"),
    (NamedGroup::SECP256R1, "P-256"),
    (NamedGroup::SECP384R1, "P-384"),
    (P_521, "P-521"),
];

/// BoringSSL itself leaves P-521 out too.
const DEFAULT: &str = "X25519MLKEM768:X25519:P-256:P-384";

/// # Errors
///
/// [`Error::is_unsupported`] for a group that BoringSSL does not have, [`Error::is_config`] if a version is
/// left without one or a group is listed twice.
pub(crate) fn set(context: &mut SslContextBuilder, config: &TlsConfig) -> Result<(), Error> {
    let failed = |error: ErrorStack| {
        Error::config("groups: BoringSSL cannot use this list").with_source(error)
    };
    if config.groups.is_empty() {
        return context.set_curves_list(DEFAULT).map_err(failed);
    }
    let mut names = Vec::new();
    for group in &config.groups {
        let mut known = GROUPS.iter();
        let Some((_, name)) = known.find(|(it, _)| it == group) else {
            let has = GROUPS.map(|(group, _)| group.to_string()).join(", ");
            let option = format!("the group {group}");
            return Err(Error::unsupported(
                BACKEND,
                &option,
                &format!("remove it; it has {has}"),
            ));
        };
        if names.contains(name) {
            return Err(Error::config(format!("groups: {group} is listed twice")));
        }
        names.push(*name);
    }
    let mut hybrid = config.groups.iter();
    if config.min_version < TlsVersion::TLS_1_3
        && hybrid.all(|it| *it == NamedGroup::X25519MLKEM768)
    {
        return Err(Error::config(
            "groups: TLS 1.2 has none of X25519MLKEM768: add one, for example x25519, or accept TLS 1.3 only",
        ));
    }
    // The server's order decides, by a HelloRetryRequest if the client sent no share for the group. It
    // decides about the cipher suites of TLS 1.2 too: BoringSSL has one option for both.
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    context.set_curves_list(&names.join(":")).map_err(failed)
}
