//! A handshake of a new acceptor with a client of the same OpenSSL.
//!
//! OpenSSL checks a key, a list of cipher suites and a list of groups one by one when they are set. What its
//! policy and its FIPS provider leave of them together shows only in a handshake, so an acceptor makes one
//! before a client does. It costs as much as one of a client: less than 1 ms, and 5 ms with RSA of 4096 bits.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read, Write},
    rc::Rc,
    sync::OnceLock,
};

use super::{identity::Identity, key_kind::KeyKind, security_level, session::TlsSession};
use crate::error::Error;

cfg_if::cfg_if! {
    if #[cfg(feature = "openssl")] {
        use openssl_ticket_keys::openssl;
    }
}

use openssl::{
    error::ErrorStack,
    ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion},
};

/// Whether a client of this OpenSSL accepts the kind of key: it does not on uncommon curves, unless its
/// user adds them to the groups.
pub(super) fn is_provable(identity: &Identity) -> Result<bool, Error> {
    let key = identity.certificate()?.key;
    Ok(!matches!(
        key.kind,
        KeyKind::EcdsaSecp256k1 | KeyKind::EcdsaOther
    ))
}

/// More than a handshake takes: each round carries all messages of both sides.
const ROUNDS: usize = 8;

/// A client in its connect state that offers everything which this OpenSSL has of what clients offer,
/// whatever the system's policy says: what is missing, the server has refused. It has this version at most.
fn client(highest: SslVersion) -> Result<Ssl, ErrorStack> {
    static CONTEXT: OnceLock<SslContext> = OnceLock::new();
    let context = match CONTEXT.get() {
        Some(context) => context,
        None => {
            let context = client_context()?;
            CONTEXT.get_or_init(|| context)
        }
    };
    let mut client = Ssl::new(context)?;
    client.set_max_proto_version(Some(highest))?;
    client.set_connect_state();
    Ok(client)
}

fn client_context() -> Result<SslContext, ErrorStack> {
    const GROUPS: [&str; 22] = [
        "X25519",
        "P-256",
        "P-384",
        "P-521",
        "X448",
        "X25519MLKEM768",
        "SecP256r1MLKEM768",
        "SecP384r1MLKEM1024",
        "MLKEM512",
        "MLKEM768",
        "MLKEM1024",
        "brainpoolP256r1",
        "brainpoolP384r1",
        "brainpoolP512r1",
        "brainpoolP256r1tls13",
        "brainpoolP384r1tls13",
        "brainpoolP512r1tls13",
        "ffdhe2048",
        "ffdhe3072",
        "ffdhe4096",
        "ffdhe6144",
        "ffdhe8192",
    ];
    const SUITES: &str = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:\
        TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256";
    const SIGNATURES: &str = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:\
        rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pss_rsae_sha256:\
        rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512";
    const ML_DSA: &str = "mldsa44:mldsa65:mldsa87";
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    // The lowest security level: the server's alone is proved.
    context.set_cipher_list("ALL:@SECLEVEL=0")?;
    context.set_ciphersuites(SUITES)?;
    // One signature algorithm that this OpenSSL lacks makes it refuse the whole list.
    let with_ml_dsa = format!("{SIGNATURES}:{ML_DSA}");
    context
        .set_sigalgs_list(&with_ml_dsa)
        .or_else(|_| context.set_sigalgs_list(SIGNATURES))?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(None)?;
    // One group that this OpenSSL lacks makes it refuse the whole list.
    let groups = GROUPS.into_iter();
    let known: Vec<_> = groups
        .filter(|it| context.set_groups_list(it).is_ok())
        .collect();
    context.set_groups_list(&known.join(":"))?;
    Ok(context.build())
}

/// Completes a handshake between a session of the backend, which requires no client certificate, and a
/// client that has this version at most.
///
/// # Errors
///
/// [`Error::is_config`] if it fails.
pub(super) fn complete(
    backend: &str,
    server: Box<dyn TlsSession>,
    highest: SslVersion,
) -> Result<(), Error> {
    let client = client(highest)
        .map_err(|error| Error::config("OpenSSL has no client").with_source(error))?;
    handshake(server, client).map_err(|error| {
        let text = error.to_string();
        security_level::refusal(&text).unwrap_or_else(|| {
            Error::config(format!(
                "{backend} cannot complete a handshake with this certificate: the system's policy \
                 (openssl.cnf) or its FIPS provider leaves {}",
                missing(&text)
            ))
            .with_source(error)
        })
    })
}

/// What the server lacks, by the reason that OpenSSL gives.
fn missing(reason: &str) -> &'static str {
    const REASONS: [(&str, &str); 4] = [
        ("no suitable key share", "no group that clients offer"),
        ("no ciphers available", "no cipher suite"),
        (
            "no shared cipher",
            "no cipher suite or no signature algorithm for the key",
        ),
        ("signature algorithm", "no signature algorithm"),
    ];
    let mut reasons = REASONS.into_iter();
    let found = reasons.find(|(theirs, _)| reason.contains(theirs));
    found.map_or("too little for it", |(_, ours)| ours)
}

fn handshake(mut server: Box<dyn TlsSession>, client: Ssl) -> io::Result<()> {
    let [to_server, to_client] = [(); 2].map(|()| Queue::default());
    let mut wire = End {
        from: to_server.clone(),
        to: to_client.clone(),
    };
    let end = End {
        from: to_client,
        to: to_server,
    };
    let mut client = SslStream::new(client, end).map_err(io::Error::other)?;
    for _ in 0..ROUNDS {
        let asked = client.do_handshake();
        let served = server.handshake(&mut wire);
        server.flush(&mut wire)?;
        // The server's error is the reason. The client's may be an alert that tells less.
        match served {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            served => match asked {
                Ok(()) if served.is_ok() => return Ok(()),
                Err(error) if error.code() != ErrorCode::WANT_READ => {
                    return Err(io::Error::other(error));
                }
                _ => {}
            },
        }
    }
    Err(io::Error::other("it does not end"))
}

#[derive(Clone, Default)]
struct Queue(Rc<RefCell<VecDeque<u8>>>);

/// One end of a connection in memory.
struct End {
    from: Queue,
    to: Queue,
}

impl Read for End {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.from.0.borrow_mut().read(buf)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for End {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.to.0.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
