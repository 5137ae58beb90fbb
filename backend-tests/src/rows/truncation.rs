//! The end of the wire, at every byte.

use std::io::ErrorKind;

use crate::{
    backend::Backend,
    session::{Client, Pair, Peer, Wire, kind, start},
};

pub(super) fn handshake_cut_off_at_any_byte_is_unexpected_eof(backend: &Backend) {
    for version in backend.versions() {
        let client = || Client::new(Peer::Tls(version));
        // The first flight.
        let mut first = Wire::default();
        client().turn(&mut first);
        let flight: Vec<_> = first.incoming.into();
        for cut in 0..flight.len() {
            let mut wire = Wire::default();
            wire.incoming.extend(&flight[..cut]);
            wire.ended = true;
            let mut session = start(backend.acceptor(), &flight).expect("a session");
            for _ in 0..2 {
                let got = kind(session.handshake(&mut wire));
                assert_eq!(
                    got,
                    ErrorKind::UnexpectedEof,
                    "{version}, after {cut} bytes"
                );
            }
        }
        // The second flight.
        let mut cut = 0;
        loop {
            let mut pair = Pair::begin(backend.acceptor(), client());
            assert_eq!(kind(pair.handshake()), ErrorKind::WouldBlock);
            pair.flush();
            if cut == pair.wire.incoming.len() {
                break;
            }
            pair.wire.incoming.truncate(cut);
            pair.wire.ended = true;
            let got = kind(pair.handshake());
            assert_eq!(
                got,
                ErrorKind::UnexpectedEof,
                "{version}, after {cut} bytes"
            );
            cut += 1;
        }
        assert!(cut > 0, "the client has a second flight");
    }
}

pub(super) fn records_cut_off_at_any_byte_are_unexpected_eof(backend: &Backend) {
    for version in backend.versions() {
        let peer = Peer::Tls(version);
        let sent = |pair: &mut Pair| {
            let mut transit = Wire::default();
            pair.client.send(b"data", &mut transit);
            let data = transit.incoming.len();
            pair.client.close(&mut transit);
            (data, Vec::from(transit.incoming))
        };
        let (data, all) = sent(&mut Pair::open(backend.acceptor(), peer));
        for cut in 0..all.len() {
            let mut pair = Pair::open(backend.acceptor(), peer);
            let (_, all) = sent(&mut pair);
            pair.wire.incoming.extend(&all[..cut]);
            pair.wire.ended = true;
            if cut >= data {
                assert_eq!(pair.read().expect("a whole record"), b"data");
            }
            for _ in 0..3 {
                let got = kind(pair.read());
                assert_eq!(
                    got,
                    ErrorKind::UnexpectedEof,
                    "{version}, after {cut} bytes"
                );
            }
        }
    }
}
