//! Certificates for many server names, all of one authority and with one key.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::load::server_name;
use crate::{site::Site, terms::KeyType};

/// The authority that clients trust, and the directory of the certificates.
pub struct Identities {
    pub authority: PathBuf,
    pub directory: PathBuf,
}

/// Makes them, or finds those of an earlier round.
pub fn identities(count: u32, site: &Site) -> anyhow::Result<Identities> {
    let directory = site.fixtures.bodies().with_file_name(format!("{count}"));
    let made = Identities {
        authority: directory.with_extension("authority.pem"),
        directory,
    };
    if made.directory.is_dir() {
        return Ok(made);
    }
    fs::create_dir(&made.directory)?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    fs::write(&made.authority, authority.pem())?;
    let issuer = Issuer::new(params, authority_key);
    let key = fs::read_to_string(site.fixtures.credentials(KeyType::P256).key)?;
    let key = KeyPair::from_pem(&key)?;
    for index in 0..count {
        let name = server_name(index);
        let certificate = CertificateParams::new([name.clone()])?.signed_by(&key, &issuer)?;
        fs::write(made.directory.join(name), certificate.pem())?;
    }
    Ok(made)
}
