//! A connection of BoringSSL.

use std::{io, sync::Arc};

use boring::ssl::{Error, ErrorCode, NameType, SslRef, SslStream, SslVersion};
use corelane::{
    ProtocolName,
    bytes::BufMut,
    tls::{
        CipherSuite, ClientHello, Exported, Exporter, NamedGroup, Negotiated, Pipe, PipedStream,
        TlsVersion, certificate_subject, read_through,
    },
};

pub(crate) struct BoringStream {
    stream: SslStream<Pipe>,
    /// From the ClientHello.
    server_name: Option<String>,
    exporters: Arc<[Exporter]>,
    /// Whether the client supports the extended master secret (RFC 7627), as BoringSSL does. Without it a
    /// session of TLS 1.2 exports nothing.
    extended_master_secret: bool,
}

impl BoringStream {
    pub(crate) fn new(
        stream: SslStream<Pipe>,
        client: Option<&ClientHello>,
        exporters: Arc<[Exporter]>,
    ) -> Self {
        Self {
            stream,
            server_name: client.and_then(|hello| hello.server_name.clone()),
            exporters,
            extended_master_secret: client.is_some_and(|hello| hello.extended_master_secret),
        }
    }

    fn exported(&self) -> Exported {
        let ssl = self.stream.ssl();
        if ssl.version2() != Some(SslVersion::TLS1_3) && !self.extended_master_secret {
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

/// The pipe takes all output, so BoringSSL only ever waits for input.
fn from_boring(error: Error) -> io::Error {
    match error.code() {
        ErrorCode::WANT_READ => io::ErrorKind::WouldBlock.into(),
        _ => io::Error::other(error),
    }
}

/// Whether the client's certificate is missing or refused.
fn is_client_certificate(error: &Error) -> bool {
    let errors = error.ssl_error().map_or(&[][..], |stack| stack.errors());
    let mut reasons = errors.iter().filter_map(|it| it.reason());
    reasons.any(|it| {
        [
            "PEER_DID_NOT_RETURN_A_CERTIFICATE",
            "CERTIFICATE_VERIFY_FAILED",
        ]
        .contains(&it)
    })
}

impl PipedStream for BoringStream {
    fn handshake(&mut self) -> io::Result<()> {
        let result = self.stream.accept();
        result.map_err(|error| match is_client_certificate(&error) {
            true => io::Error::new(io::ErrorKind::PermissionDenied, error),
            false => from_boring(error),
        })
    }

    fn negotiated(&self) -> Negotiated {
        let ssl = self.stream.ssl();
        let version = ssl.version2();
        let mut negotiated = Negotiated::default();
        negotiated.alpn_protocol = ssl
            .selected_alpn_protocol()
            .and_then(|name| ProtocolName::new(name).ok());
        negotiated.tls_version = version.and_then(tls_version);
        negotiated.cipher_suite = ssl
            .current_cipher()
            .map(|cipher| CipherSuite(cipher.protocol_id()));
        negotiated.key_exchange_group = ssl
            .curve()
            // The session keeps the group of its full handshake.
            .filter(|_| !ssl.session_reused() || version == Some(SslVersion::TLS1_3))
            .map(NamedGroup);
        negotiated.server_name = self
            .server_name
            .clone()
            .or_else(|| Some(ssl.servername(NameType::HOST_NAME)?.to_owned()));
        negotiated.resumed = Some(ssl.session_reused());
        negotiated.peer_certificates = chain(ssl);
        negotiated.peer_subject = negotiated.peer_certificate().and_then(certificate_subject);
        negotiated.exported = self.exported();
        negotiated
    }

    fn read(&mut self, buf: &mut dyn BufMut) -> io::Result<usize> {
        read_through(buf, |slice| match self.stream.ssl_read(slice) {
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
            result => result.map_err(from_boring),
        })
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.ssl_write(buf).map_err(from_boring)
    }

    fn send_close_notify(&mut self) {
        // The pipe takes it without waiting. The result only shows whether the peer has sent its
        // close_notify.
        let _ = self.stream.shutdown();
    }
}

/// The client's certificates in DER, its own one first.
fn chain(ssl: &SslRef) -> Vec<Vec<u8>> {
    // Without it, as in a context for raw public keys, crate boring panics.
    if !ssl.ssl_context().has_x509_support() {
        return Vec::new();
    }
    let Some(own) = ssl.peer_certificate() else {
        return Vec::new();
    };
    // On the server, BoringSSL keeps the client's own certificate apart from the others.
    let issuers = ssl.peer_cert_chain().into_iter().flatten();
    let issuers = issuers.filter_map(|it| it.to_der().ok());
    own.to_der().into_iter().chain(issuers).collect()
}

/// Crate boring keeps the number to itself.
fn tls_version(version: SslVersion) -> Option<TlsVersion> {
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
