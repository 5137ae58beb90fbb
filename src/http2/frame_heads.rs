//! Reads the heads of frames out of a byte stream (RFC 9113 section 4.1).

/// Follows the frames of a client from the preface on, however they are split into reads.
pub(super) struct FrameHeads {
    /// Bytes left of the preface or of a payload.
    skip: usize,
    head: [u8; 5],
    /// Bytes read of the head, of nine.
    have: usize,
}

/// The head of a frame, without its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of payload.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
}

impl FrameHeads {
    pub(super) fn new() -> Self {
        const PREFACE: usize = 24;
        Self {
            skip: PREFACE,
            head: [0; 5],
            have: 0,
        }
    }

    /// The next complete head. Consumes `bytes` up to its end, or all of them if no head is complete.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        const LENGTH: usize = 9;
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        let (passing, rest) = bytes.split_at((LENGTH - self.have).min(bytes.len()));
        *bytes = rest;
        for &byte in passing {
            if let Some(place) = self.head.get_mut(self.have) {
                *place = byte;
            }
            self.have += 1;
        }
        if self.have < LENGTH {
            return None;
        }
        let [a, b, c, kind, flags] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        self.skip = length;
        self.have = 0;
        Some(Head {
            length,
            kind,
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_in_pieces_of_any_size() {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let sent = [(4, 0), (1, 30), (0, 200), (6, 8), (0, 0)].map(|(kind, length)| Head {
            length,
            kind,
            flags: 5,
        });
        let mut bytes = PREFACE.to_vec();
        for head in sent {
            let length = u8::try_from(head.length).expect("short");
            bytes.extend([0, 0, length, head.kind, head.flags, 0, 0, 0, 1]);
            bytes.resize(bytes.len() + head.length, 0xff);
        }
        for size in 1..bytes.len() {
            let mut heads = FrameHeads::new();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(size) {
                while let Some(head) = heads.next(&mut piece) {
                    found.push(head);
                }
                assert!(piece.is_empty());
            }
            assert_eq!(found, sent, "in pieces of {size}");
        }
    }
}
