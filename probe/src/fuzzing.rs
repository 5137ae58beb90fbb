//! Entry points for `fuzz/` and for tests of arbitrary input: bytes that a server may send to the
//! prober. A normal build does not have them.

use std::{
    collections::VecDeque,
    io,
    mem::discriminant,
    pin::pin,
    task::{Context, Poll, Waker},
};

use monoio::{
    BufResult,
    buf::{IoBuf, IoBufMut, IoVecBuf, IoVecBufMut},
    io::{AsyncReadRent, AsyncWriteRent},
};

use super::{
    http2,
    outcome::Http2,
    server_name::ServerName,
    wire::{self, Said},
};

/// Cuts `bytes` into pieces of these sizes, repeatedly; without sizes into one piece.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let size = sizes.next().copied().unwrap_or(bytes.len());
        let (piece, rest) = bytes.split_at(size.clamp(1, bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Checks that the outcome of a server's records is decided once: later bytes do not change it; and
/// that a wrong answer is shown in one line.
pub fn records(bytes: &[u8], sizes: &[usize]) {
    let mut came = 0;
    for piece in pieces(bytes, sizes) {
        came += piece.len();
        if wire::is_decided(&bytes[..came]) {
            assert!(wire::is_decided(bytes), "decided by {came} bytes");
            break;
        }
    }
    if let Said::NotTls(line) = wire::read(bytes) {
        assert_one_line(&line);
    }
    // Any result is right.
    let _ = (
        wire::key_exchange_group(bytes),
        wire::asks_for_certificate(bytes),
    );
}

/// Checks that the result of a server's HTTP/2 does not depend on the pieces in which it arrives, and
/// is shown in one line. How much is shown may differ: the first piece can decide.
pub fn http2(bytes: &[u8], sizes: &[usize]) {
    let answer = get(pieces(bytes, sizes));
    if let Ok(Http2::Spoken(line) | Http2::NotServed(line)) = &answer {
        assert_one_line(line);
    }
    let whole = get(vec![bytes]);
    let same = match (&answer, &whole) {
        (Ok(Http2::Served(one)), Ok(Http2::Served(other))) => one == other,
        (Ok(one), Ok(other)) => discriminant(one) == discriminant(other),
        (one, other) => one.is_err() && other.is_err(),
    };
    assert!(same, "{answer:?} in pieces, {whole:?} at once");
}

fn get(pieces: Vec<&[u8]>) -> io::Result<Http2> {
    let mut server = Server(pieces.into_iter().map(<[u8]>::to_vec).collect());
    let name = ServerName::Dns("localhost".into());
    let mut received = http2::Received::default();
    let get = pin!(http2::get(&mut server, &name, &mut received));
    match get.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits, though every byte has arrived"),
    }
}

/// Checks that a text from the server is shortened and escaped.
fn assert_one_line(line: &str) {
    assert!(line.len() < 3000, "{} bytes", line.len());
    assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line:?}");
}

/// A server that sends these pieces, closes, and reads everything.
struct Server(VecDeque<Vec<u8>>);

impl AsyncReadRent for Server {
    async fn read<T: IoBufMut>(&mut self, mut buf: T) -> BufResult<usize, T> {
        let mut piece = self.0.pop_front().unwrap_or_default();
        let n = piece.len().min(buf.bytes_total());
        let rest = piece.split_off(n);
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        (&piece[..]).read(buf).await
    }

    async fn readv<T: IoVecBufMut>(&mut self, buf: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buf)
    }
}

impl AsyncWriteRent for Server {
    async fn write<T: IoBuf>(&mut self, buf: T) -> BufResult<usize, T> {
        (Ok(buf.bytes_init()), buf)
    }

    async fn writev<T: IoVecBuf>(&mut self, buf: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    /// A ServerHello of TLS 1.2 that chooses h2, ServerHelloDone, ChangeCipherSpec, an alert.
    const RECORDS: &[u8] =
        b"\x16\x03\x03\0\x35\x02\0\0\x31\x03\x0301234567890123456789012345678901\
        \0\xc0\x2f\0\0\x09\0\x10\0\x05\0\x03\x02h2\
        \x16\x03\x03\0\x04\x0e\0\0\0\x14\x03\x03\0\x01\x01\x15\x03\x03\0\x02\x02\x78";

    /// SETTINGS, their acknowledgement, `:status: 200`, one byte of DATA, GOAWAY.
    const HTTP_2: &[u8] =
        b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88\
        \0\0\x01\0\0\0\0\0\x01x\0\0\x0b\x07\0\0\0\0\0\0\0\0\0\0\0\0\x02bye";

    #[test]
    fn the_examples_are_valid() {
        assert!(wire::is_decided(RECORDS));
        assert_eq!(get(vec![HTTP_2]).expect("came"), Http2::Served(200));
        assert_eq!(
            get(vec![&HTTP_2[..18]]).expect("came"),
            Http2::Spoken("the connection was closed".into())
        );
    }

    /// An example with some bytes changed, cut off somewhere.
    fn changed(example: &[u8], changes: Vec<(Index, u8)>, keep: Index) -> Vec<u8> {
        let mut bytes = example.to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(keep.index(example.len() + 1));
        bytes
    }

    proptest! {
        #[test]
        fn arbitrary_answers_in_arbitrary_pieces(
            bytes in vec(any::<u8>(), 0..500),
            sizes in vec(1_usize..50, 1..4),
        ) {
            records(&bytes, &sizes);
            http2(&bytes, &sizes);
        }

        #[test]
        fn changed_answers_in_arbitrary_pieces(
            changes in vec((any::<Index>(), any::<u8>()), 0..4),
            keep in any::<Index>(),
            sizes in vec(1_usize..50, 1..4),
        ) {
            records(&changed(RECORDS, changes.clone(), keep), &sizes);
            http2(&changed(HTTP_2, changes, keep), &sizes);
        }
    }
}
