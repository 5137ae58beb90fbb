//! Bytes that clients send.

use corelane::tls::TlsVersion;

use crate::session::{Client, Peer, Wire};

/// An unencrypted record of application data.
pub(super) const GARBAGE: [u8; 37] = {
    let mut record = [0x55; 37];
    (record[0], record[1], record[2], record[3], record[4]) = (23, 3, 3, 0, 32);
    record
};

/// The record with the ClientHello of a client.
pub(super) fn client_hello(version: TlsVersion) -> Vec<u8> {
    let mut wire = Wire::default();
    Client::new(Peer::Tls(version)).turn(&mut wire);
    wire.incoming.into()
}
