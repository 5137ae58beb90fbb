//! Files that all servers of a run share: two certificates with their keys, and the bodies of the
//! responses. They are in memory (`/dev/shm`) if the system has that.

use std::{
    borrow::Cow,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::terms::KeyType;

/// The resource that a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub enum Resource {
    Tiny,
    K16,
    K64,
    M1,
    /// POST of 1 MiB. The response is the number of bytes.
    Upload,
    /// As many bytes from the demonstration of corelane's command.
    Demonstrated(usize),
}

/// Length of an upload, in bytes.
pub const UPLOAD: usize = 1 << 20;

impl Resource {
    const ALL: [Self; 5] = [Self::Tiny, Self::K16, Self::K64, Self::M1, Self::Upload];

    /// The name of the file, and the request's path without its slash.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Tiny => "tiny".into(),
            Self::K16 => "16k".into(),
            Self::K64 => "64k".into(),
            Self::M1 => "1m".into(),
            Self::Upload => "upload".into(),
            Self::Demonstrated(length) => format!("bytes/{length}").into(),
        }
    }

    /// As many bytes from the demonstration of corelane's command.
    #[must_use]
    pub fn demonstrated(self) -> Self {
        Self::Demonstrated(self.body().len())
    }

    /// The response's body.
    pub fn body(self) -> Vec<u8> {
        match self {
            Self::Tiny => noise(13),
            Self::K16 => noise(16 << 10),
            Self::K64 => noise(64 << 10),
            Self::M1 => noise(1 << 20),
            Self::Upload => format!("{UPLOAD}\n").into(),
            Self::Demonstrated(length) => {
                const LINE: &[u8; 64] =
                    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n";
                LINE.iter().copied().cycle().take(length).collect()
            }
        }
    }
}

/// The same bytes in every run. No layer can compress them.
fn noise(length: usize) -> Vec<u8> {
    let blocks = (0u64..).flat_map(|index| Sha256::digest(index.to_be_bytes()));
    blocks.take(length).collect()
}

#[derive(Debug)]
pub struct Fixtures {
    directory: TempDir,
}

#[derive(Clone, Debug)]
pub struct Credentials {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Fixtures {
    pub fn make() -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let directory = tempfile::Builder::new()
            .prefix("corelane-bench-")
            // Some servers give up root before they read the files.
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(&place)
            .with_context(|| format!("cannot write to {}", place.display()))?;
        let fixtures = Self { directory };
        fs::create_dir(fixtures.bodies())?;
        for resource in Resource::ALL {
            fs::write(fixtures.body(resource), resource.body())?;
        }
        let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        fixtures.certify(KeyType::P256, &p256)?;
        let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        fixtures.certify(KeyType::Rsa2048, &rsa)?;
        Ok(fixtures)
    }

    fn certify(&self, key_type: KeyType, key: &KeyPair) -> anyhow::Result<()> {
        let files = self.credentials(key_type);
        let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(key)?;
        fs::write(files.certificate, certificate.pem())?;
        fs::write(files.key, key.serialize_pem())?;
        Ok(())
    }

    pub fn credentials(&self, key_type: KeyType) -> Credentials {
        let name = match key_type {
            KeyType::P256 => "p256",
            KeyType::Rsa2048 => "rsa2048",
        };
        Credentials {
            certificate: self.directory.path().join(format!("{name}.cert.pem")),
            key: self.directory.path().join(format!("{name}.key.pem")),
        }
    }

    /// The directory of the response bodies.
    pub fn bodies(&self) -> PathBuf {
        self.directory.path().join("bodies")
    }

    pub fn body(&self, resource: Resource) -> PathBuf {
        self.bodies().join(&*resource.name())
    }

    /// A new directory for the files of one server.
    pub fn scratch(&self) -> anyhow::Result<TempDir> {
        Ok(tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(self.directory.path())?)
    }
}
