//! What the client does, as the harness tells it.

use serde::{Deserialize, Serialize};

/// An order is a number of requests, or of connections for [`Load::Handshakes`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Load {
    /// Connects with one of the server names after the other, sends one request and closes.
    Handshakes { names: u32 },
    /// Sends requests on connections that stay open.
    Requests(Requests),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Requests {
    /// All are opened, and have one request each, before the first order.
    pub connections: u32,
    /// As many of them have requests, in turn.
    pub active: u32,
    /// Requests at once, all on the same connection.
    pub streams: u32,
    pub asked: Asked,
    pub fields: Fields,
    /// Bytes of each request's body, if it is a POST.
    pub upload: Option<u32>,
    /// Bytes of each response's body.
    pub answered: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Asked {
    Path(String),
    /// `/r0/tiny`, `/r1/tiny` and so on, one after the other.
    Routes(u32),
}

/// Header fields of each request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Fields {
    pub count: u32,
    /// Whether the values differ from those of the requests before.
    pub are_new: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            connections: 1,
            active: 1,
            streams: 1,
            asked: Asked::Path("tiny".into()),
            fields: Fields {
                count: 0,
                are_new: false,
            },
            upload: None,
            answered: 13,
        }
    }
}

/// The server name of an identity.
pub fn server_name(index: u32) -> String {
    format!("{index}.example")
}

/// The path prefix of a route.
pub fn prefix(index: u32) -> String {
    format!("/r{index}")
}
