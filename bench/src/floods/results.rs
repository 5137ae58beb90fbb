//! The results of the floods.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{attacked::Attacked, catalogue::Flood};
use crate::{
    machine::Machine,
    server::Server,
    statistics::{Spread, Verdict},
    terms::Group,
};

#[derive(Debug, Serialize)]
pub struct Run {
    pub machine: Machine,
    pub rows: Vec<Row>,
}

/// A flood under one version of TLS.
#[derive(Debug, Serialize)]
pub struct Row {
    pub flood: &'static str,
    pub what: &'static str,
    pub counted: &'static str,
    /// How many of these per second the attackers offer.
    pub rate: u32,
    pub group: Group,
    pub servers: Vec<ServerResult>,
    /// corelane's CPU time divided by that of the peer with the highest, round by round.
    pub to_the_worst_peer: Option<Spread>,
    /// Whether a peer needs as much CPU time as corelane, or more.
    pub not_the_worst: Option<Verdict>,
    /// Whether, with corelane, the other client's median latency stays below twice its usual one.
    pub others_served: Option<Verdict>,
}

#[derive(Debug)]
pub struct ServerResult {
    pub server: Server,
    pub samples: Vec<Sample>,
    pub error: Option<String>,
}

/// One round of one server.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// CPU time of the server for the attack, without that of the other client's requests.
    pub cpu_seconds: f64,
    /// The rate that the attackers offer, per second.
    pub offered: u32,
    /// Median latencies of the other client, in microseconds.
    pub latency_before: f64,
    pub latency_attacked: f64,
    pub attack: Attacked,
}

impl Sample {
    /// CPU time per second of attack.
    pub fn core_share(&self) -> f64 {
        self.cpu_seconds / self.attack.seconds
    }

    /// The rate that the attackers reached, per second.
    pub fn rate(&self) -> f64 {
        self.attack.sent as f64 / self.attack.seconds
    }

    /// CPU time in microseconds for each frame, record or connection that the attackers offer.
    fn microseconds_each_offered(&self) -> f64 {
        self.core_share() * 1e6 / f64::from(self.offered)
    }

    fn microseconds_each(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.attack.sent as f64
    }

    fn milliseconds_per_mebibyte(&self) -> f64 {
        self.cpu_seconds * 1e3 * f64::from(1 << 20) / self.attack.bytes as f64
    }

    fn by_attackers_cpu(&self) -> f64 {
        self.cpu_seconds / self.attack.cpu_seconds
    }

    fn latency_ratio(&self) -> f64 {
        self.latency_attacked / self.latency_before
    }
}

/// Medians of the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    pub core_share: f64,
    pub rate: f64,
    pub microseconds_each_offered: f64,
    pub microseconds_each: f64,
    pub milliseconds_per_mebibyte: f64,
    /// The server's CPU time divided by the attackers'.
    pub by_attackers_cpu: f64,
    pub connections_per_second: f64,
    pub latency_before: f64,
    pub latency_attacked: f64,
    pub latency_ratio: f64,
}

impl Run {
    /// The flood, the server and its error.
    pub fn errors(&self) -> impl Iterator<Item = (&Row, &ServerResult, &str)> {
        self.rows.iter().flat_map(|row| {
            let servers = row.servers.iter();
            servers.filter_map(move |it| Some((row, it, it.error.as_deref()?)))
        })
    }
}

impl Row {
    pub fn new(flood: &Flood, group: Group, servers: Vec<ServerResult>) -> Self {
        let is_ours = |it: &&ServerResult| it.server.is_corelane();
        let share = |it: &ServerResult| it.figures().map(|figures| figures.core_share);
        let ours = servers.iter().find(is_ours).filter(|it| it.error.is_none());
        let worst = servers
            .iter()
            .filter(|it| !is_ours(it))
            .max_by(|a, b| share(a).unwrap_or(0.0).total_cmp(&share(b).unwrap_or(0.0)))
            .filter(|it| it.error.is_none());
        let shares = |it: &ServerResult| it.each(Sample::core_share);
        let to_the_worst_peer = ours
            .zip(worst)
            .and_then(|(ours, worst)| Spread::of_ratios(&shares(ours), &shares(worst)));
        let latency = ours.and_then(|it| Spread::of(it.each(Sample::latency_ratio)));
        Self {
            flood: flood.name,
            what: flood.what,
            counted: flood.attack.counted(),
            rate: flood.rate,
            group,
            to_the_worst_peer,
            not_the_worst: to_the_worst_peer.map(|it| it.against(1.0)),
            others_served: latency.map(|it| it.against(2.0)),
            servers,
        }
    }
}

impl ServerResult {
    fn each(&self, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().map(figure).collect()
    }

    pub fn figures(&self) -> Option<Figures> {
        let median = |figure: fn(&Sample) -> f64| Some(Spread::of(self.each(figure))?.median);
        Some(Figures {
            core_share: median(Sample::core_share)?,
            rate: median(Sample::rate)?,
            microseconds_each_offered: median(Sample::microseconds_each_offered)?,
            microseconds_each: median(Sample::microseconds_each)?,
            milliseconds_per_mebibyte: median(Sample::milliseconds_per_mebibyte)?,
            by_attackers_cpu: median(Sample::by_attackers_cpu)?,
            connections_per_second: median(|it| it.attack.connections as f64 / it.attack.seconds)?,
            latency_before: median(|it| it.latency_before)?,
            latency_attacked: median(|it| it.latency_attacked)?,
            latency_ratio: median(Sample::latency_ratio)?,
        })
    }

    /// How the server most often closed attackers' connections, and the median of what had been sent.
    pub fn cut_off(&self) -> Option<(&str, f64)> {
        let mut ends: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (how, after) in self.samples.iter().flat_map(|it| &it.attack.cut_off) {
            let after = after.iter().map(|&sent| sent as f64);
            ends.entry(how).or_default().extend(after);
        }
        let (how, after) = ends.into_iter().max_by_key(|(_, after)| after.len())?;
        Some((how, Spread::of(after)?.median))
    }
}

impl Serialize for ServerResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut it = serializer.serialize_struct("server", 5)?;
        it.serialize_field("name", self.server.name())?;
        it.serialize_field("figures", &self.figures())?;
        it.serialize_field("cut_off", &self.cut_off())?;
        it.serialize_field("rounds", &self.samples)?;
        it.serialize_field("error", &self.error)?;
        it.end()
    }
}
