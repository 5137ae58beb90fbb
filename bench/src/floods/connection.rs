//! A connection of an attacker: encrypts the flood and reads what the server sends back.

use std::{io::Write, sync::Arc};

use anyhow::{Context, bail};
use corelane_test_frames::{self as frames, kind};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    SupportedCipherSuite,
    crypto::cipher::{MessageEncrypter, OutboundPlainMessage},
    pki_types::ServerName,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::TlsConnector;

use super::catalogue::{Attack, Content, Flood};
use crate::client::Target;

pub struct Connection {
    pub tcp: TcpStream,
    pub session: Session,
}

pub enum Session {
    Http2 {
        tls: Box<ClientConnection>,
        scanner: GoAwayScanner,
    },
    KeyUpdates(Box<ClientConnection>),
    Sealed(Sealer),
}

pub async fn connect(target: &Target) -> std::io::Result<TcpStream> {
    let tcp = TcpStream::connect(target.addr).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

pub fn client_hello(tls: &Arc<ClientConfig>) -> anyhow::Result<Vec<u8>> {
    let name = ServerName::try_from("localhost")?;
    let mut hello = Vec::new();
    ClientConnection::new(Arc::clone(tls), name)?.write_tls(&mut hello)?;
    Ok(hello)
}

impl Connection {
    /// Connects and sends everything before the flood: handshake, preface, first frames.
    pub async fn open(
        target: &Target,
        tls: &Arc<ClientConfig>,
        flood: &Flood,
    ) -> anyhow::Result<Self> {
        let name = ServerName::try_from("localhost")?;
        let tcp = connect(target).await?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, tcp)
            .await?;
        let (mut tcp, mut tls) = stream.into_inner();
        tls.set_buffer_limit(None);
        let (settings, begin) = match &flood.attack {
            Attack::Frames(frames) => (frames.settings, (frames.begin)()),
            _ => (&[][..], Vec::new()),
        };
        let opening = [frames::PREFACE, &frames::settings(settings), &begin];
        let mut records = Vec::new();
        tls.writer().write_all(&opening.concat())?;
        tls.write_tls(&mut records)?;
        tcp.write_all(&records).await?;
        let session = match flood.attack {
            Attack::Records { .. } => Session::Sealed(Sealer::new(tls)?),
            Attack::KeyUpdates => Session::KeyUpdates(Box::new(tls)),
            _ => Session::Http2 {
                tls: Box::new(tls),
                scanner: GoAwayScanner::default(),
            },
        };
        Ok(Self { tcp, session })
    }
}

impl Session {
    /// Encrypts `pieces` pieces of the flood from number `first` on. Returns the records and the length of
    /// their content.
    pub fn seal(
        &mut self,
        flood: &Flood,
        hello: &[u8],
        first: u32,
        pieces: u32,
    ) -> anyhow::Result<(Vec<u8>, usize)> {
        let mut records = Vec::new();
        let payload = match (self, &flood.attack) {
            (Self::Http2 { tls, .. }, Attack::Frames(frames)) => {
                let pieces: Vec<u8> = (first..first + pieces).flat_map(frames.piece).collect();
                // Written at once, since each write makes a separate record.
                tls.writer().write_all(&pieces)?;
                while tls.wants_write() {
                    tls.write_tls(&mut records)?;
                }
                pieces.len()
            }
            (Self::KeyUpdates(tls), Attack::KeyUpdates) => {
                for _ in 0..pieces {
                    tls.refresh_traffic_keys()?;
                }
                while tls.wants_write() {
                    tls.write_tls(&mut records)?;
                }
                records.len()
            }
            (Self::Sealed(sealer), Attack::Records { kind, content }) => {
                let content = match content {
                    Content::Bytes(bytes) => bytes,
                    // Without the record's header.
                    Content::ClientHello => &hello[5..],
                };
                for _ in 0..pieces {
                    records.extend(sealer.record(*kind, content)?);
                }
                records.len()
            }
            _ => bail!("each flood has its kind of session"),
        };
        Ok((records, payload))
    }

    /// Reads what the server has sent. Returns how the server closed the connection, if it did.
    pub fn open(&mut self, mut records: &[u8]) -> Option<String> {
        match self {
            Self::Http2 { tls, scanner } => {
                while !records.is_empty() {
                    if tls.read_tls(&mut records).is_err() {
                        return Some("error".into());
                    }
                    match tls.process_new_packets() {
                        Ok(state) => {
                            let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
                            let read = std::io::Read::read(&mut tls.reader(), &mut plaintext);
                            let read = read.unwrap_or_default();
                            if let Some(code) = scanner.goaway(&plaintext[..read]) {
                                return Some(format!("GOAWAY {:?}", h2::Reason::from(code)));
                            }
                        }
                        Err(rustls::Error::AlertReceived(alert)) => {
                            return Some(format!("alert {alert:?}"));
                        }
                        Err(error) => return Some(error.to_string()),
                    }
                }
                None
            }
            // The keys are extracted, or rustls refuses that many KeyUpdates.
            Self::KeyUpdates(_) | Self::Sealed(_) => None,
        }
    }
}

/// Encrypts records of any type with the keys of a handshake.
pub struct Sealer {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealer {
    fn new(tls: ClientConnection) -> anyhow::Result<Self> {
        let suite = tls
            .negotiated_cipher_suite()
            .context("the handshake is not finished")?;
        let (sequence, secrets) = tls.dangerous_extract_secrets()?.tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            bail!("AES-128-GCM is all that is offered");
        };
        let encrypter = match suite {
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
            SupportedCipherSuite::Tls12(suite) => {
                // RFC 5288 section 3: the implicit part of the nonce, and the explicit one.
                let (salt, explicit) = iv.as_ref().split_at(4);
                suite.aead_alg.encrypter(key, salt, explicit)
            }
        };
        let mut sealer = Self {
            encrypter,
            sequence: 0,
        };
        // aws-lc derives later nonces from the first one, which must be that of record 0.
        while sealer.sequence < sequence {
            sealer.record(kind::DATA, b"")?;
        }
        Ok(sealer)
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        let message = OutboundPlainMessage {
            typ: ContentType::from(kind),
            version: ProtocolVersion::TLSv1_2,
            payload: content.into(),
        };
        let record = self.encrypter.encrypt(message, self.sequence)?.encode();
        self.sequence += 1;
        Ok(record)
    }
}

/// Looks for GOAWAY in a stream of frames.
#[derive(Default)]
pub struct GoAwayScanner {
    /// The received part of a frame's header and, for GOAWAY, of its payload.
    frame: Vec<u8>,
    /// Bytes of a payload that remain to skip.
    skip: usize,
}

impl GoAwayScanner {
    fn goaway(&mut self, mut bytes: &[u8]) -> Option<u32> {
        const HEAD: usize = 9;
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let (&byte, rest) = bytes.split_first()?;
            bytes = rest;
            self.frame.push(byte);
            if self.frame.len() < HEAD {
                continue;
            }
            if self.frame[3] != kind::GOAWAY {
                let length = [0, self.frame[0], self.frame[1], self.frame[2]];
                self.skip = u32::from_be_bytes(length) as usize;
                self.frame.clear();
            } else if let Some(code) = self.frame.get(HEAD + 4..HEAD + 8) {
                return code.try_into().ok().map(u32::from_be_bytes);
            }
        }
    }
}
