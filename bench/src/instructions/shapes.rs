//! The shapes: the requests of a round.

use crate::fixtures::Resource;

#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    pub load: Load,
    /// How often a round does this.
    pub times: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// `streams` requests in one write, on a connection that stays open.
    Batch { resource: Resource, streams: u32 },
    /// A connection with one request.
    Connection { resumed: bool },
}

const fn batches(name: &'static str, (resource, streams): (Resource, u32), times: u32) -> Shape {
    Shape {
        name,
        load: Load::Batch { resource, streams },
        times,
    }
}

const fn connections(name: &'static str, resumed: bool) -> Shape {
    Shape {
        name,
        load: Load::Connection { resumed },
        times: 6,
    }
}

pub static SHAPES: [Shape; 7] = [
    batches("tiny-x32", (Resource::Tiny, 32), 12),
    batches("tiny-x1", (Resource::Tiny, 1), 150),
    batches("16k", (Resource::K16, 8), 10),
    batches("1m", (Resource::M1, 1), 2),
    batches("upload-1m", (Resource::Upload, 1), 2),
    connections("handshake", false),
    connections("resumed", true),
];

impl Shape {
    /// Requests each time.
    pub fn requests(&self) -> u32 {
        match self.load {
            Load::Batch { streams, .. } => streams,
            Load::Connection { .. } => 1,
        }
    }
}
