//! The client openssl.

mod errors;
mod stream;

use ::openssl::{
    error::ErrorStack,
    pkey::PKey,
    ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion},
    x509::{
        X509,
        store::X509StoreBuilder,
        verify::{X509CheckFlags, X509VerifyFlags},
    },
};
use corelane::tls::TlsVersion;

use self::{
    errors::{failed_io, in_words},
    stream::OpensslStream,
};
use super::{
    connect::{OfferClient, PendingOutcome, Target},
    error::Error,
    handshake,
    offer::Offer,
    options::{ClientCertificate, ProbeOptions, Trust},
    recorder::Recorder,
    server_name::ServerName,
};

pub(crate) struct Openssl {
    context: SslContext,
}

impl Openssl {
    /// Cipher suites, groups and signature algorithms are those of the system's policy, which OpenSSL
    /// applies to every context: `openssl.cnf`, or the file of `OPENSSL_CONF`.
    pub(crate) fn new(options: &ProbeOptions) -> Result<Self, Error> {
        let failed = |error: ErrorStack| {
            Error::config("OpenSSL cannot make a context: check its configuration file").with(error)
        };
        let mut context = SslContextBuilder::new(SslMethod::tls_client()).map_err(failed)?;
        if context.min_proto_version() != Some(SslVersion::TLS1_3) {
            // HTTP/2 needs it (RFC 9113 section 9.2).
            let version = Some(SslVersion::TLS1_2);
            context.set_min_proto_version(version).map_err(failed)?;
        }
        trust(&mut context, &options.trust)?;
        if let Some(certificate) = &options.client_certificate {
            identity(&mut context, certificate)?;
        }
        Ok(Self {
            context: context.build(),
        })
    }

    fn session(&self, offer: &Offer, name: &ServerName) -> Result<Ssl, String> {
        let failed = |error: ErrorStack| in_words(&error);
        let mut ssl = Ssl::new(&self.context).map_err(failed)?;
        ssl.set_connect_state();
        let mut protocols = Vec::new();
        for name in offer.protocols() {
            protocols.push(name.as_bytes().len() as u8); // at most 255, by its type
            protocols.extend_from_slice(name.as_bytes());
        }
        if !protocols.is_empty() {
            ssl.set_alpn_protos(&protocols).map_err(failed)?;
        }
        let param = ssl.param_mut();
        param.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match name {
            ServerName::Dns(name) => {
                param.set_host(name).map_err(failed)?;
                ssl.set_hostname(name).map_err(failed)?;
            }
            ServerName::Ip(ip) => param.set_ip(*ip).map_err(failed)?,
        }
        if let Some(version) = offer.version() {
            limit(&mut ssl, version)?;
        }
        Ok(ssl)
    }
}

/// Offers this version only. An application may go below the lowest version and the security level of
/// the system's policy, and the versions below TLS 1.2 need level 0, as their signatures are by SHA-1.
/// The prober sends nothing secret. A version that the policy turns off, or that needs what no provider
/// has, stays off.
fn limit(ssl: &mut Ssl, version: TlsVersion) -> Result<(), String> {
    let only = match version {
        TlsVersion(0x0301) => SslVersion::TLS1,
        TlsVersion(0x0302) => SslVersion::TLS1_1,
        TlsVersion::TLS_1_2 => SslVersion::TLS1_2,
        TlsVersion::TLS_1_3 => SslVersion::TLS1_3,
        other => return Err(format!("it has no {other}")),
    };
    if version < TlsVersion::TLS_1_2 {
        ssl.set_security_level(0);
    }
    // In this order, so that the lowest is never above the highest.
    ssl.set_max_proto_version(None)
        .and_then(|()| ssl.set_min_proto_version(Some(only)))
        .and_then(|()| ssl.set_max_proto_version(Some(only)))
        .map_err(|error| in_words(&error))
}

fn trust(context: &mut SslContextBuilder, trust: &Trust) -> Result<(), Error> {
    context.set_verify(match trust {
        Trust::Any => SslVerifyMode::NONE,
        Trust::System | Trust::Pem(_) => SslVerifyMode::PEER,
    });
    match trust {
        Trust::Any => Ok(()),
        Trust::System => {
            // If there are none, the report says that nothing is trusted.
            let found = openssl_probe::probe();
            let file = found.cert_file.iter().map(|it| (Some(&**it), None));
            let dirs = found.cert_dir.iter().map(|it| (None, Some(&**it)));
            let load = |(file, dir)| context.load_verify_locations(file, dir);
            for error in file.chain(dirs).map(load).filter_map(Result::err) {
                tracing::debug!(%error, "the system's trusted certificates");
            }
            let own = context.set_default_verify_paths();
            own.map_err(|error| {
                Error::config("OpenSSL cannot read the system's trusted certificates").with(error)
            })
        }
        Trust::Pem(pem) => {
            // Without the library's error, which says nothing to a user.
            let invalid = || Error::config("the certificates to trust are not valid PEM");
            let certificates = X509::stack_from_pem(pem).map_err(|_| invalid())?;
            if certificates.is_empty() {
                return Err(invalid());
            }
            let store = store(certificates).map_err(|_| invalid())?;
            context.set_cert_store(store.build());
            Ok(())
        }
    }
}

/// Trusts each certificate, also one that another has issued.
fn store(certificates: Vec<X509>) -> Result<X509StoreBuilder, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in certificates {
        store.add_cert(certificate)?;
    }
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    Ok(store)
}

/// The reasons of a PEM reader are left out: they may hold bytes of the key.
fn identity(context: &mut SslContextBuilder, certificate: &ClientCertificate) -> Result<(), Error> {
    let chain = X509::stack_from_pem(&certificate.chain).unwrap_or_default();
    let mut chain = chain.into_iter();
    let own = chain
        .next()
        .ok_or_else(|| Error::config("the client certificate is not valid PEM"))?;
    // A key with a password would be asked for at the terminal.
    let key = PKey::private_key_from_pem_callback(&certificate.key, |_| Err(ErrorStack::get()))
        .map_err(|_| Error::config("the key of the client certificate is not valid PEM"))?;
    let set = || {
        context.set_certificate(&own)?;
        for issuer in chain {
            context.add_extra_chain_cert(issuer)?;
        }
        context.set_private_key(&key)?;
        context.check_private_key()
    };
    set().map_err(|error| {
        let why = in_words(&error);
        Error::config(format!("the client certificate cannot be used: {why}"))
    })
}

impl OfferClient for Openssl {
    fn offer<'a>(
        &'a self,
        offer: &'a Offer,
        target: &'a Target,
    ) -> Result<PendingOutcome<'a>, String> {
        if offer.as_malformed().is_some() {
            return Err("openssl makes well-formed offers only".into());
        }
        let begun = self
            .session(offer, &target.name)
            .and_then(stream::begin)
            .map_err(|why| format!("this OpenSSL cannot make the offer: {why}"))?;
        Ok(Box::pin(async move {
            let handshake = |socket: Recorder| async move {
                let mut stream = OpensslStream::new(begun, socket);
                stream.handshake().await?;
                let protocol = stream.alpn_protocol();
                Ok((stream, protocol))
            };
            handshake::run(target, offer, handshake, failed_io).await
        }))
    }
}
