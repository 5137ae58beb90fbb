//! The heads of frames, and the payload of SETTINGS.

use corelane_test_frames::{ACK, END_HEADERS, END_STREAM, kind};

#[derive(Debug)]
pub struct Head {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Head {
    pub fn parse(head: &[u8; 9]) -> Self {
        Self {
            length: number(&[0, head[0], head[1], head[2]], 0) as usize,
            kind: head[3],
            flags: head[4],
            stream: number(head, 5),
        }
    }
}

pub fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The values of one setting.
pub fn values(payload: &[u8], of: u16) -> impl Iterator<Item = i64> {
    let settings = payload.chunks_exact(6);
    let of = settings.filter(move |it| it[..2] == of.to_be_bytes());
    of.map(|it| number(it, 2).into())
}

/// The flags that a server may set.
pub fn flags(of: u8) -> u8 {
    match of {
        kind::DATA => END_STREAM,
        kind::HEADERS => END_STREAM | END_HEADERS,
        kind::CONTINUATION => END_HEADERS,
        kind::SETTINGS | kind::PING => ACK,
        _ => 0,
    }
}
