//! A TLS client that sends any record, including records that no library sends.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use openssl::symm::{Cipher, encrypt_aead};
use rustls::{ClientConnection, ConnectionTrafficSecrets};
use socket2::{Domain, Socket, Type};

use crate::client::{DEADLINE, Tls, rustls_config, server_name};

/// Types of records (RFC 8446 section 5.1).
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// A connection with a small receive buffer: unread data soon blocks the server's writes.
pub fn connect_with_small_buffer(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&addr.into()).expect("connects");
    socket.into()
}

/// Seals records with the keys that a handshake by rustls has agreed on.
pub struct RawTls {
    pub tcp: TcpStream,
    cipher: Cipher,
    key: Vec<u8>,
    iv: [u8; 12],
    sequence: u64,
    tls_1_3: bool,
    explicit_nonce: bool,
}

impl RawTls {
    pub fn connect(addr: SocketAddr, tls: Tls) -> Self {
        let mut tcp = connect_with_small_buffer(addr);
        tcp.set_nodelay(true).expect("nodelay");
        tcp.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let mut config = Arc::unwrap_or_clone(rustls_config(tls, &[b"h2"]));
        config.enable_secret_extraction = true;
        let mut client = ClientConnection::new(Arc::new(config), server_name()).expect("a client");
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut tcp).expect("a handshake");
        }
        let tls_1_3 = client.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        let secrets = client.dangerous_extract_secrets().expect("allowed");
        let (sequence, secrets) = secrets.tx;
        let (cipher, key, iv, gcm) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => {
                (Cipher::aes_128_gcm(), key, iv, true)
            }
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
                (Cipher::aes_256_gcm(), key, iv, true)
            }
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (Cipher::chacha20_poly1305(), key, iv, false)
            }
            _ => panic!("an unknown cipher"),
        };
        Self {
            tcp,
            cipher,
            key: key.as_ref().to_vec(),
            iv: iv.as_ref().try_into().expect("12 bytes"),
            sequence,
            tls_1_3,
            // RFC 5288 section 3.
            explicit_nonce: gcm && !tls_1_3,
        }
    }

    /// The next record, sealed.
    pub fn record(&mut self, kind: u8, plaintext: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        self.sequence += 1;
        let mut nonce = self.iv;
        if self.explicit_nonce {
            nonce[4..].copy_from_slice(&sequence);
        } else {
            for (byte, sequence) in nonce[4..].iter_mut().zip(sequence) {
                *byte ^= sequence;
            }
        }
        let length = |n: usize| u16::try_from(n).expect("a record").to_be_bytes();
        let mut plaintext = plaintext.to_vec();
        let (outer_kind, aad) = match self.tls_1_3 {
            true => {
                plaintext.push(kind);
                let [a, b] = length(plaintext.len() + 16);
                (APPLICATION_DATA, vec![APPLICATION_DATA, 3, 3, a, b])
            }
            false => {
                let [a, b] = length(plaintext.len());
                let header = [kind, 3, 3, a, b];
                (kind, [&sequence[..], &header].concat())
            }
        };
        let mut tag = [0; 16];
        let sealed = encrypt_aead(
            self.cipher,
            &self.key,
            Some(&nonce),
            &aad,
            &plaintext,
            &mut tag,
        )
        .expect("sealed");
        let explicit: &[u8] = if self.explicit_nonce {
            &nonce[4..]
        } else {
            &[]
        };
        let [a, b] = length(explicit.len() + sealed.len() + tag.len());
        [&[outer_kind, 3, 3, a, b], explicit, &sealed, &tag].concat()
    }

    /// The type of the next record from the server, whose content is skipped.
    pub fn next_kind(&mut self) -> io::Result<u8> {
        let mut header = [0; 5];
        self.tcp.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        self.tcp.read_exact(&mut vec![0; length])?;
        Ok(header[0])
    }

    pub fn send(&mut self, kind: u8, plaintext: &[u8]) -> io::Result<()> {
        let record = self.record(kind, plaintext);
        self.tcp.write_all(&record)
    }
}
