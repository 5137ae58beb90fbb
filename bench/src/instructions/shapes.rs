//! The shapes: the requests of a round.

use std::{path::Path, process::Command};

use crate::{fixtures::Resource, terms::Http};

#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    pub http: Http,
    pub load: Load,
    /// How often a round does this.
    pub times: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// `streams` requests in one write (HTTP/1.1: one), on a connection that stays open.
    Batch { resource: Resource, streams: u32 },
    /// A connection with one request.
    Connection { resumed: bool },
}

const fn batches(name: &'static str, (resource, streams): (Resource, u32), times: u32) -> Shape {
    Shape {
        name,
        http: Http::Http2,
        load: Load::Batch { resource, streams },
        times,
    }
}

const fn http1(name: &'static str, resource: Resource, times: u32) -> Shape {
    Shape {
        http: Http::Http1,
        ..batches(name, (resource, 1), times)
    }
}

const fn connections(name: &'static str, resumed: bool) -> Shape {
    Shape {
        name,
        http: Http::Http2,
        load: Load::Connection { resumed },
        times: 6,
    }
}

pub static SHAPES: [Shape; 11] = [
    batches("tiny-x32", (Resource::Tiny, 32), 12),
    batches("tiny-x1", (Resource::Tiny, 1), 150),
    batches("16k", (Resource::K16, 8), 10),
    batches("1m", (Resource::M1, 1), 2),
    batches("upload-1m", (Resource::Upload, 1), 2),
    connections("handshake", false),
    connections("resumed", true),
    http1("http1-tiny-x1", Resource::Tiny, 150),
    http1("http1-16k", Resource::K16, 30),
    http1("http1-1m", Resource::M1, 2),
    http1("http1-upload-1m", Resource::Upload, 2),
];

impl Shape {
    /// Whether this build of a server has the shape's protocol: an older one may not.
    pub fn is_known_to(&self, program: &Path) -> bool {
        let help = || Command::new(program).arg("--help").output();
        self.http == Http::Http2
            || help().is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("--http1"))
    }

    /// Requests each time.
    pub fn requests(&self) -> u32 {
        match self.load {
            Load::Batch { streams, .. } => streams,
            Load::Connection { .. } => 1,
        }
    }
}
