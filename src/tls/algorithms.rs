//! Judges cipher suites and key exchange groups before a backend gets them, so that every backend
//! refuses them with the same words, and prefers groups by the same rule.

use std::fmt::Display;

use super::{TlsConfig, client_hello::ClientHello, key_kind::KeyKind};
use crate::{
    error::Error,
    negotiated::{CipherSuite, NamedGroup, TlsVersion, cipher_suite::SuiteUse},
};

/// What a build of a TLS library has.
pub(super) struct Available {
    pub(super) backend: &'static str,
    pub(super) cipher_suites: Vec<CipherSuite>,
    pub(super) groups: Vec<NamedGroup>,
}

impl Available {
    /// Checks the lists of a configuration under which these versions can be negotiated.
    ///
    /// # Errors
    ///
    /// [`Error::is_unsupported`] for what this build does not have, [`Error::is_config`] for what HTTP/2
    /// forbids, and for lists that leave a version or the key of the certificate without a choice.
    pub(super) fn check(&self, config: &TlsConfig, versions: &[TlsVersion]) -> Result<(), Error> {
        if !config.cipher_suites.is_empty() {
            self.check_suites(config, versions)
                .map_err(|error| error.at("cipher_suites"))?;
        }
        if !config.groups.is_empty() {
            self.check_groups(&config.groups, versions)
                .map_err(|error| error.at("groups"))?;
        }
        Ok(())
    }

    fn check_suites(&self, config: &TlsConfig, versions: &[TlsVersion]) -> Result<(), Error> {
        let suites = &config.cipher_suites;
        check_once(suites)?;
        for suite in suites {
            match suite.usable() {
                SuiteUse::Forbidden => {
                    return Err(Error::config(format!(
                        "HTTP/2 forbids {suite}, which has no ephemeral key exchange or no \
                         authenticated encryption (RFC 9113 section 9.2.2): remove it; \
                         allowed are {}",
                        list(&self.cipher_suites)
                    )));
                }
                SuiteUse::NotByEcdhe => {
                    return Err(Error::config(format!(
                        "{suite} needs Diffie-Hellman parameters or keys shared beforehand, which a \
                         server here does not have: use one with ECDHE, of {}",
                        list(&self.cipher_suites)
                    )));
                }
                _ => self.check_has(suite, &self.cipher_suites)?,
            }
        }
        let has = |wanted: SuiteUse| suites.iter().any(|suite| suite.usable() == wanted);
        if versions.contains(&TlsVersion::TLS_1_3) && !has(SuiteUse::Tls13) {
            return Err(Error::config(
                "none is of TLS 1.3: add one, for example TLS_AES_128_GCM_SHA256",
            ));
        }
        if !versions.contains(&TlsVersion::TLS_1_2) {
            return Ok(());
        }
        let [rsa, ecdsa] = [SuiteUse::Tls12Rsa, SuiteUse::Tls12Ecdsa].map(has);
        if !rsa && !ecdsa {
            return Err(Error::config(
                "none is of TLS 1.2: add one, for example \
                 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
                 or accept TLS 1.3 only",
            ));
        }
        // A backend that cannot read the certificate says so itself.
        let key = config.identity.certificate().map(|it| it.key);
        let Ok(key) = key else {
            return Ok(());
        };
        let (fits, example) = match key.kind {
            KeyKind::MlDsa | KeyKind::Other => return Ok(()),
            kind if kind.is_rsa() => (rsa, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            _ => (ecdsa, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        };
        match fits {
            true => Ok(()),
            false => Err(config.identity.locate(Error::config(format!(
                "the key is {key}, and no suite of TLS 1.2 is for such a key: add one, for example \
                 {example}, or accept TLS 1.3 only"
            )))),
        }
    }

    fn check_groups(&self, groups: &[NamedGroup], versions: &[TlsVersion]) -> Result<(), Error> {
        check_once(groups)?;
        for group in groups {
            self.check_has(group, &self.groups)?;
        }
        for &version in versions {
            if !groups.iter().any(|group| is_in(*group, version)) {
                return Err(Error::config(format!(
                    "{version} has none of {}: add one, for example x25519{}",
                    list(groups),
                    match version {
                        TlsVersion::TLS_1_2 => ", or accept TLS 1.3 only",
                        _ => "",
                    }
                )));
            }
        }
        Ok(())
    }

    fn check_has<T: Display + PartialEq>(&self, wanted: &T, has: &[T]) -> Result<(), Error> {
        match has.contains(wanted) {
            true => Ok(()),
            false => Err(Error::unsupported(
                self.backend,
                &wanted.to_string(),
                &format!("remove it; this build has {}", list(has)),
            )),
        }
    }
}

fn check_once<T: Display + PartialEq>(all: &[T]) -> Result<(), Error> {
    let mut numbered = all.iter().enumerate();
    match numbered.find(|(at, one)| all[..*at].contains(one)) {
        Some((_, twice)) => Err(Error::config(format!("{twice} is listed twice"))),
        None => Ok(()),
    }
}

fn list<T: Display>(all: &[T]) -> String {
    let names: Vec<_> = all.iter().map(T::to_string).collect();
    names.join(", ")
}

/// Whether a version of TLS has this group. In TLS 1.2 those of RFC 7919 need other cipher suites than a
/// server of HTTP/2 has.
fn is_in(group: NamedGroup, version: TlsVersion) -> bool {
    match group.0 {
        0x1a..=0x1c => version == TlsVersion::TLS_1_2,
        0x1f..=0x21 | 0x100..=0x104 | 0x200..=0x202 | 0x11eb..=0x11ed => {
            version == TlsVersion::TLS_1_3
        }
        _ => true,
    }
}

/// The first of the server's groups that the client supports; `None` if it supports none. `tls_1_3` tells
/// whether the server speaks TLS 1.3.
///
/// Each library chooses by an order of its own: some by the client's groups, some by the key shares that
/// it sent. A session that has this group only follows the server's order, by a HelloRetryRequest if the
/// client sent no share for it (RFC 8446 section 4.1.4).
pub(super) fn preferred<'a, T>(
    groups: &'a [(NamedGroup, T)],
    client: &ClientHello,
    tls_1_3: bool,
) -> Option<&'a T> {
    let version = match tls_1_3 && client.supported_versions.contains(&TlsVersion::TLS_1_3) {
        true => TlsVersion::TLS_1_3,
        false => TlsVersion::TLS_1_2,
    };
    let mut groups = groups.iter();
    let found = groups
        .find(|(group, _)| is_in(*group, version) && client.supported_groups.contains(&group.0));
    found.map(|(_, of_group)| of_group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_prefers_the_first_group_that_client_and_version_have() {
        let [hybrid, x25519, p256] = [0x11ec, 29, 23].map(NamedGroup);
        let groups = [(hybrid, 'h'), (x25519, 'x'), (p256, 'p')];
        for (versions, offered, tls_1_3, chosen) in [
            (
                &[0x0304, 0x0303][..],
                &[23, 29, 0x11ec][..],
                true,
                Some('h'),
            ),
            (&[0x0304, 0x0303], &[23, 29], true, Some('x')),
            (&[0x0304, 0x0303], &[24, 23], true, Some('p')),
            (&[0x0304, 0x0303], &[24], true, None),
            (&[], &[0x11ec, 23, 29], true, Some('x')),
            (&[0x0304, 0x0303], &[0x11ec, 23, 29], false, Some('x')),
        ] {
            let client = ClientHello {
                supported_versions: versions.iter().copied().map(TlsVersion).collect(),
                supported_groups: offered.to_vec(),
                ..ClientHello::default()
            };
            let got = preferred(&groups, &client, tls_1_3).copied();
            assert_eq!(got, chosen, "{client:?}");
        }
    }
}
