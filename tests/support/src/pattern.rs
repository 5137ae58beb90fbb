//! A body of any length in which every part is different.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use corelane::Error;
use http_body::Frame;
use sha2::{Digest, Sha256};

const BLOCK: usize = 64 * 1024;

/// Bytes that show their position: each block is filled with its number.
pub struct Pattern {
    left: u64,
    block: u8,
}

impl Pattern {
    pub fn of(left: u64) -> Self {
        Self { left, block: 0 }
    }

    pub fn sha256(self) -> Vec<u8> {
        let mut sha256 = Sha256::new();
        for block in self {
            sha256.update(&block);
        }
        sha256.finalize().to_vec()
    }
}

impl Iterator for Pattern {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let n = usize::try_from(self.left).unwrap_or(BLOCK).min(BLOCK);
        self.left -= n as u64;
        self.block = self.block.wrapping_add(1);
        (n > 0).then(|| vec![self.block; n].into())
    }
}

impl http_body::Body for Pattern {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.next().map(|block| Ok(Frame::data(block))))
    }
}
