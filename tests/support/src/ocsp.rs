//! An authority with an OCSP responder: `openssl ocsp`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};

/// What the authority says about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Good,
    Revoked,
    Unknown,
}

/// An authority whose files are in a directory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    dir: PathBuf,
}

/// A certificate that it issued.
pub struct Issued {
    pub pem: String,
    pub der: Vec<u8>,
    /// PKCS#8.
    pub key: String,
    serial: u64,
}

impl Authority {
    pub fn new(dir: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        let pem = params.self_signed(&key).expect("signed").pem();
        fs::create_dir_all(dir).expect("a directory");
        fs::write(dir.join("ca.pem"), &pem).expect("written");
        fs::write(dir.join("ca.key"), key.serialize_pem()).expect("written");
        Self {
            issuer: Issuer::new(params, key),
            pem,
            dir: dir.to_owned(),
        }
    }

    pub fn issue(&self, name: &str, serial: u64) -> Issued {
        self.issue_with(name, serial, |_| {})
    }

    /// One that clients accept with an OCSP response only (RFC 7633).
    pub fn issue_must_staple(&self, name: &str, serial: u64) -> Issued {
        self.issue_with(name, serial, |params| {
            let feature = CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 5, 5, 7, 1, 24],
                // A SEQUENCE of the INTEGER 5, status_request.
                vec![0x30, 3, 2, 1, 5],
            );
            params.custom_extensions.push(feature);
        })
    }

    fn issue_with(
        &self,
        name: &str,
        serial: u64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let issued = params.signed_by(&key, &self.issuer).expect("signed");
        Issued {
            pem: issued.pem(),
            der: issued.der().to_vec(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// The response in DER, valid for a week from now.
    pub fn response(&self, issued: &Issued, status: Status) -> Vec<u8> {
        self.response_by(issued, status, "-sha1")
    }

    /// The same about a certificate that is named by another hash, an option of `openssl ocsp`.
    pub fn response_by(&self, issued: &Issued, status: Status, hash: &str) -> Vec<u8> {
        let serial = format!("{:016X}", issued.serial);
        let index = match status {
            Status::Good => format!("V\t491231000000Z\t\t{serial}\tunknown\t/CN=it\n"),
            Status::Revoked => {
                format!(
                    "R\t491231000000Z\t240102030405Z,keyCompromise\t{serial}\tunknown\t/CN=it\n"
                )
            }
            Status::Unknown => String::new(),
        };
        fs::write(self.dir.join("index"), index).expect("written");
        fs::write(self.dir.join("it.pem"), &issued.pem).expect("written");
        self.openssl(&[
            "-no_nonce",
            hash,
            "-issuer",
            "ca.pem",
            "-cert",
            "it.pem",
            "-reqout",
            "request",
        ]);
        self.openssl(&[
            "-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-ndays",
            "7", "-reqin", "request", "-respout", "response",
        ]);
        fs::read(self.dir.join("response")).expect("made")
    }

    fn openssl(&self, args: &[&str]) {
        let mut command = Command::new("openssl");
        let output = command
            .arg("ocsp")
            .args(args)
            .current_dir(&self.dir)
            .output();
        let output = output.expect("openssl runs");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}

/// A good response with another `thisUpdate` and `nextUpdate`, to the second. Its signature is no longer
/// valid, which only clients notice.
pub fn between(mut response: Vec<u8>, this_update: SystemTime, next_update: SystemTime) -> Vec<u8> {
    let places = response.windows(17).enumerate();
    let places: Vec<_> = places
        .filter(|(_, window)| is_generalized_time(window))
        .map(|(at, _)| at + 2)
        .collect();
    // producedAt is the first one.
    for (at, time) in places[1..].iter().zip([this_update, next_update]) {
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = Duration::from_secs(since_1970.expect("after 1970").as_secs());
        let time = date_time_ymd(1970, 1, 1) + seconds;
        let text = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}Z",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        response[*at..][..15].copy_from_slice(text.as_bytes());
    }
    response
}

/// Whether this is a GeneralizedTime such as 20240102030405Z, tag and length before it. A hash may hold
/// these two by chance, so all of it is compared.
fn is_generalized_time(der: &[u8]) -> bool {
    matches!(der, [0x18, 15, digits @ .., b'Z'] if digits.iter().all(u8::is_ascii_digit))
}
