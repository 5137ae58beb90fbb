//! The actions of a flood's attackers, and the server's reactions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Attacked {
    pub seconds: f64,
    /// Frames, records or connections, as the flood counts.
    pub sent: u64,
    /// Bytes of the flood that the sockets accepted: TLS payload for HTTP/2, records for TLS.
    pub bytes: u64,
    /// Connections that were opened during the flood.
    pub connections: u64,
    pub cpu_seconds: f64,
    /// For each way in which the server closed connections: the amount sent on each of them.
    pub cut_off: BTreeMap<String, Vec<u64>>,
    /// Connections that failed before the flood.
    pub refused: u64,
}
