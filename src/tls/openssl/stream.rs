//! A connection of OpenSSL.

use std::{ffi::c_int, fmt, io, sync::Arc};

use bytes::BufMut;

use openssl_ticket_keys::{
    has_pending, key_exchange_group,
    openssl::{
        self,
        ssl::{Error, ErrorCode, NameType, SslStream, SslVersion},
    },
    read_into,
};

use super::{clients, lent_transport::LentTransport, tickets};
use crate::{
    alert::AlertDescription,
    alpn::ProtocolName,
    negotiated::{CipherSuite, Exported, NamedGroup, Negotiated, TlsVersion},
    tls::{certificate::subject, exporter::Exporter, piped_stream::PipedStream},
};

pub(super) struct OpensslStream {
    stream: SslStream<LentTransport>,
    /// From the ClientHello. OpenSSL reports the name of a resumed session's full handshake.
    server_name: Option<String>,
    exporters: Arc<[Exporter]>,
}

impl OpensslStream {
    pub(super) fn new(
        stream: SslStream<LentTransport>,
        server_name: Option<String>,
        exporters: Arc<[Exporter]>,
    ) -> Self {
        Self {
            stream,
            server_name,
            exporters,
        }
    }

    fn exported(&self) -> Exported {
        let ssl = self.stream.ssl();
        if self.exporters.is_empty()
            || ssl.version2() != Some(SslVersion::TLS1_3) && ssl.extms_support() != Some(true)
        {
            return Exported::default();
        }
        let all = self.exporters.iter().filter_map(|exporter| {
            let mut material = vec![0; exporter.length];
            let context = exporter.context.as_deref();
            let exported = ssl.export_keying_material(&mut material, &exporter.label, context);
            exported.ok()?;
            Some((Arc::clone(&exporter.label), material))
        });
        all.collect()
    }
}

/// The transport takes all output, so OpenSSL only ever waits for input.
fn from_openssl(error: Error) -> io::Error {
    match error.code() {
        ErrorCode::WANT_READ => io::ErrorKind::WouldBlock.into(),
        _ => io::Error::other(error),
    }
}

/// Whether the client's certificate is missing or refused: OpenSSL judges it in one function.
fn is_client_certificate(error: &Error) -> bool {
    let mut functions = errors(error).filter_map(|it| it.function());
    functions.any(|it| it == "tls_process_client_certificate")
}

/// Whether the client has none.
fn is_missing_certificate(error: &Error) -> bool {
    /// SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE of openssl/sslerr.h.
    const NO_CERTIFICATE: c_int = 199;
    errors(error).any(|it| it.reason_code() == NO_CERTIFICATE)
}

fn errors(error: &Error) -> impl Iterator<Item = &openssl::error::Error> {
    let stack = error.ssl_error().map_or(&[][..], |stack| stack.errors());
    stack.iter()
}

/// A client certificate that is missing or refused.
#[derive(Debug)]
struct CertificateRefused {
    why: Option<&'static str>,
    error: Error,
}

impl fmt::Display for CertificateRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Some(why) => write!(f, "the client's certificate is refused: {why}"),
            None => write!(f, "the client has no usable certificate"),
        }
    }
}

impl std::error::Error for CertificateRefused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The error itself would repeat it.
        Some(self.error.ssl_error()?)
    }
}

impl PipedStream for OpensslStream {
    fn handshake(&mut self) -> io::Result<()> {
        let Err(error) = self.stream.do_handshake() else {
            let ssl = self.stream.ssl();
            if clients::is_asked(ssl) {
                tickets::limit_cache(ssl);
            }
            return Ok(());
        };
        if !is_client_certificate(&error) {
            return Err(from_openssl(error));
        }
        let ssl = self.stream.ssl();
        // Under TLS 1.2, OpenSSL sends handshake_failure (40) in place of certificate_required (116), as in
        // RFC 5246 section 7.4.6. Nothing is encrypted yet.
        if is_missing_certificate(&error) && ssl.version2() == Some(SslVersion::TLS1_2) {
            let (sent, by) = (
                AlertDescription::HandshakeFailure,
                AlertDescription::CertificateRequired,
            );
            self.stream.get_ref().replace_alert(sent, by);
        }
        let why = clients::refusal(ssl);
        let refused = CertificateRefused { why, error };
        Err(io::Error::new(io::ErrorKind::PermissionDenied, refused))
    }

    fn negotiated(&self) -> Negotiated {
        let ssl = self.stream.ssl();
        let chain = tickets::chain(ssl);
        Negotiated {
            alpn_protocol: ssl
                .selected_alpn_protocol()
                .and_then(|name| ProtocolName::new(name).ok()),
            tls_version: ssl.version2().and_then(tls_version),
            cipher_suite: ssl
                .current_cipher()
                .map(|cipher| CipherSuite(u16::from_be_bytes(cipher.protocol_id()))),
            key_exchange_group: key_exchange_group(ssl)
                // The session keeps the group of its full handshake.
                .filter(|_| !ssl.session_reused() || ssl.version2() == Some(SslVersion::TLS1_3))
                .map(NamedGroup),
            server_name: self
                .server_name
                .clone()
                .or_else(|| Some(ssl.servername(NameType::HOST_NAME)?.to_owned())),
            resumed: Some(ssl.session_reused()),
            peer_subject: chain.first().and_then(|own| subject(own)),
            peer_certificates: chain,
            exported: self.exported(),
            ..Negotiated::default()
        }
    }

    fn read(&mut self, buf: &mut dyn BufMut) -> io::Result<usize> {
        match read_into(&mut self.stream, buf) {
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
            result => result.map_err(from_openssl),
        }
    }

    fn has_pending(&self) -> bool {
        has_pending(self.stream.ssl())
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.ssl_write(buf).map_err(from_openssl)
    }

    fn send_close_notify(&mut self) {
        // The transport takes it without waiting. The result only shows whether the peer has sent its
        // close_notify.
        let _ = self.stream.shutdown();
    }
}

/// Crate openssl keeps the number to itself.
pub(super) fn tls_version(version: SslVersion) -> Option<TlsVersion> {
    const VERSIONS: [(SslVersion, TlsVersion); 4] = [
        (SslVersion::TLS1, TlsVersion(0x0301)),
        (SslVersion::TLS1_1, TlsVersion(0x0302)),
        (SslVersion::TLS1_2, TlsVersion::TLS_1_2),
        (SslVersion::TLS1_3, TlsVersion::TLS_1_3),
    ];
    let mut versions = VERSIONS.into_iter();
    let found = versions.find(|(theirs, _)| *theirs == version);
    found.map(|(_, ours)| ours)
}
