//! What is varied, and how fast each cost may grow with it.

use super::measure::{self, Bench};

#[derive(Debug)]
pub struct Sweep {
    pub name: &'static str,
    pub what: &'static str,
    /// The numbers that are measured.
    pub points: &'static [u32],
    pub curves: &'static [Curve],
    /// A figure for each curve.
    pub measure: fn(&Bench, u32) -> anyhow::Result<Vec<f64>>,
}

#[derive(Debug)]
pub struct Curve {
    pub what: &'static str,
    pub unit: &'static str,
    pub rule: Rule,
}

#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// The exponent is at most this: 0 for a lookup, 1 for what each one needs.
    Exponent(f64),
    /// The last point is above the first by this at most.
    Difference(f64),
    /// Only shown.
    Aside,
}

const fn curve(what: &'static str, unit: &'static str, rule: Rule) -> Curve {
    Curve { what, unit, rule }
}

const CPU: Curve = curve("CPU per request", "µs", Rule::Exponent(0.0));
const CPU_BY_SIZE: Curve = curve("CPU per request", "µs", Rule::Exponent(1.0));
const WAITS: Curve = curve("waits per request", "", Rule::Exponent(0.0));
const MEMORY: Curve = curve("memory", "KiB", Rule::Exponent(1.0));
const START: Curve = curve("CPU of the start", "ms", Rule::Exponent(1.0));

/// Bytes: two below the size of a record, and six from there on.
const SIZES: &[u32] = &[
    0,
    1 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
];

const STREAMS: &[u32] = &[1, 2, 5, 10, 20, 50, 100, 200];

const FIELDS: &[u32] = &[1, 2, 5, 10, 20, 50, 100];

pub static SWEEPS: [Sweep; 10] = [
    Sweep {
        name: "connections",
        what: "open connections; one request at a time, all on one connection, or on one in a hundred of them (at \
               least one) in turn",
        points: &[1, 10, 100, 1_000, 10_000],
        curves: &[
            CPU,
            WAITS,
            // A hundred active connections are not all in the core's caches.
            curve("CPU per request, 1 % active", "µs", Rule::Exponent(0.1)),
            MEMORY,
        ],
        measure: measure::connections,
    },
    Sweep {
        name: "idle",
        what: "open connections without requests",
        points: &[0, 1_000],
        curves: &[
            curve("waits in 5 s", "", Rule::Difference(5.0)),
            curve("CPU in 5 s", "µs", Rule::Aside),
        ],
        measure: measure::idle,
    },
    Sweep {
        name: "streams",
        what: "requests at once on one connection",
        points: STREAMS,
        curves: &[CPU, WAITS],
        measure: measure::streams,
    },
    Sweep {
        name: "long-streams",
        what: "requests at once on one connection, for 64 KiB each",
        points: STREAMS,
        curves: &[CPU, WAITS],
        measure: measure::long_streams,
    },
    Sweep {
        name: "downloads",
        what: "bytes of a response's body, one request at a time",
        points: SIZES,
        curves: &[CPU_BY_SIZE],
        measure: measure::downloads,
    },
    Sweep {
        name: "uploads",
        what: "bytes of a request's body, one request at a time",
        points: SIZES,
        curves: &[CPU_BY_SIZE],
        measure: measure::uploads,
    },
    Sweep {
        name: "fields",
        what: "header fields of a request, the same in all requests",
        points: FIELDS,
        curves: &[CPU_BY_SIZE],
        measure: measure::fields,
    },
    Sweep {
        name: "new-fields",
        what: "header fields of a request, with other values in each request",
        points: FIELDS,
        curves: &[CPU_BY_SIZE],
        measure: measure::new_fields,
    },
    Sweep {
        name: "identities",
        what: "certificates, of which the server name chooses one",
        points: &[1, 10, 100, 1_000, 10_000],
        curves: &[
            curve("CPU per handshake", "µs", Rule::Exponent(0.0)),
            MEMORY,
            START,
        ],
        measure: measure::by_identities,
    },
    Sweep {
        name: "routes",
        what: "routes of corelane's command, to a folder of files",
        points: &[1, 10, 100, 1_000, 10_000],
        curves: &[CPU, MEMORY, START],
        measure: measure::routes,
    },
];

pub fn named(name: &str) -> Result<&'static Sweep, String> {
    let names = || SWEEPS.iter().map(|sweep| sweep.name).collect::<Vec<_>>();
    SWEEPS
        .iter()
        .find(|sweep| sweep.name == name)
        .ok_or_else(|| format!("the rows are {}", names().join(", ")))
}
