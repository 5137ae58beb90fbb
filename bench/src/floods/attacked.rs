//! What a flood's attackers did, and how the server treated them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Attacked {
    pub seconds: f64,
    /// Frames, records or connections, as the flood counts.
    pub sent: u64,
    /// What the sockets took of the flood: TLS payload where it is HTTP/2, records where it is TLS.
    pub bytes: u64,
    /// Connections that were made during the flood.
    pub connections: u64,
    pub cpu_seconds: f64,
    /// How connections were ended by the server, and after how much had been sent on each.
    pub cut_off: BTreeMap<String, Vec<u64>>,
    /// Connections that failed before they could flood.
    pub refused: u64,
}
