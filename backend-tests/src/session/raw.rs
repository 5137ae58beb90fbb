use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    SupportedCipherSuite,
    crypto::cipher::{
        AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
        OutboundPlainMessage,
    },
};

use super::{pair::Pair, peer::Client, wire::Wire};

/// A client that sends any record after its handshake, including records that no library sends.
pub struct RawClient {
    encrypter: Box<dyn MessageEncrypter>,
    sent: u64,
    decrypter: Box<dyn MessageDecrypter>,
    opened: u64,
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient").finish_non_exhaustive()
    }
}

impl RawClient {
    /// A client whose connection a [`RawClient`] can take over.
    pub fn client(mut config: ClientConfig) -> Client {
        config.enable_secret_extraction = true;
        Client::with(Arc::new(config))
    }

    /// Takes the keys of the client of `pair`, whose handshake is complete.
    ///
    /// # Panics
    ///
    /// If the client is not one of [`client`](Self::client).
    pub fn take_over(pair: &mut Pair) -> Self {
        Self::new(pair.client.tls.take().expect("a client with TLS"))
    }

    /// Takes the keys of a client whose handshake is complete.
    ///
    /// # Panics
    ///
    /// If its configuration does not have `enable_secret_extraction`.
    pub fn new(client: ClientConnection) -> Self {
        let suite = client.negotiated_cipher_suite().expect("a handshake");
        let secrets = client.dangerous_extract_secrets().expect("allowed");
        let ((sent, tx), (opened, rx)) = (secrets.tx, secrets.rx);
        let mut client = Self {
            encrypter: encrypter(suite, tx),
            sent: 0,
            decrypter: decrypter(suite, rx),
            opened,
        };
        // Some providers accept nonces in their order, from the first one, only.
        for _ in 0..sent {
            client.seal(ContentType::ApplicationData, b"");
        }
        client
    }

    /// The next record, sealed.
    ///
    /// # Panics
    ///
    /// If the provider refuses to seal it.
    pub fn seal(&mut self, kind: ContentType, plaintext: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(plaintext),
        };
        let sealed = self.encrypter.encrypt(message, self.sent);
        self.sent += 1;
        sealed.expect("a record can be sealed").encode()
    }

    /// Opens the records that the session has sent: their types and contents.
    ///
    /// # Panics
    ///
    /// If one is incomplete or does not open.
    pub fn open(&mut self, wire: &mut Wire) -> Vec<(ContentType, Vec<u8>)> {
        let mut sent: Vec<_> = wire.outgoing.drain(..).collect();
        let mut rest = &mut sent[..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            let (header, behind) = rest.split_at_mut(5);
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let (payload, behind) = behind.split_at_mut(length);
            let version = ProtocolVersion::from(u16::from_be_bytes([header[1], header[2]]));
            let message = InboundOpaqueMessage::new(header[0].into(), version, payload);
            let opened = self.decrypter.decrypt(message, self.opened);
            let opened = opened.expect("a record of the session opens");
            self.opened += 1;
            records.push((opened.typ, opened.payload.to_vec()));
            rest = behind;
        }
        records
    }
}

fn key_and_iv(secrets: ConnectionTrafficSecrets) -> (AeadKey, Iv) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("a cipher that rustls did not have"),
    }
}

fn encrypter(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Box<dyn MessageEncrypter> {
    let (key, iv) = key_and_iv(secrets);
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (iv, explicit) = iv.as_ref().split_at(fixed);
            suite.aead_alg.encrypter(key, iv, explicit)
        }
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
    }
}

fn decrypter(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Box<dyn MessageDecrypter> {
    let (key, iv) = key_and_iv(secrets);
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            suite.aead_alg.decrypter(key, &iv.as_ref()[..fixed])
        }
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
    }
}
