//! The results of each shape.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use crate::{
    contenders::Contender,
    sample::Sample,
    server::{Backend, Server},
    shapes::Shape,
    statistics::Spread,
    terms::{Group, Negotiated},
};

#[derive(Debug, Serialize)]
pub struct ShapeResult {
    pub name: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub aside: Option<&'static str>,
    /// Requests per second at which latencies were measured.
    pub rates: HashMap<Group, f64>,
    pub groups: Vec<GroupResult>,
}

/// The servers of a group, which are compared with each other.
#[derive(Debug, Serialize)]
pub struct GroupResult {
    pub group: Group,
    pub servers: Vec<ContenderResult>,
    /// The peer with the lowest median.
    pub best_peer: Option<String>,
    /// corelane's figure divided by the best peer's, round by round.
    pub ratio_to_best_peer: Option<Spread>,
    /// The servers that are not measured in this shape, with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

#[derive(Debug)]
pub struct ContenderResult {
    pub name: String,
    pub contender: Contender,
    pub negotiated: Option<Negotiated>,
    pub samples: Vec<Sample>,
    pub error: Option<String>,
}

impl ShapeResult {
    pub fn new(
        shape: &Shape,
        contenders: Vec<ContenderResult>,
        left_out: Vec<(Contender, &'static str)>,
        rates: HashMap<Group, f64>,
    ) -> Self {
        let mut groups: Vec<_> = Group::ALL.map(GroupResult::new).into();
        for contender in contenders {
            let of = |group: &&mut GroupResult| group.group == contender.contender.group;
            if let Some(group) = groups.iter_mut().find(of) {
                group.servers.push(contender);
            }
        }
        for group in &mut groups {
            let of = left_out.iter().filter(|(it, _)| it.group == group.group);
            group.left_out = of.map(|(it, why)| (it.name(), *why)).collect();
            group.compare();
        }
        groups.retain(|group| !group.servers.is_empty());
        let Shape { name, what, .. } = *shape;
        Self {
            name,
            what,
            unit: shape.unit(),
            aside: shape.aside(),
            rates,
            groups,
        }
    }

    pub fn group(&self, group: Group) -> Option<&GroupResult> {
        self.groups.iter().find(|it| it.group == group)
    }
}

impl GroupResult {
    fn new(group: Group) -> Self {
        Self {
            group,
            servers: Vec::new(),
            best_peer: None,
            ratio_to_best_peer: None,
            left_out: Vec::new(),
        }
    }

    fn compare(&mut self) {
        let peers = self
            .servers
            .iter()
            .filter(|it| it.contender.workers == 1 && it.contender.server.is_peer());
        let figures = peers.filter_map(|it| Some((it, it.figure()?.median)));
        let Some((best, _)) = figures.min_by(|a, b| a.1.total_cmp(&b.1)) else {
            return;
        };
        self.best_peer = Some(best.name.clone());
        self.ratio_to_best_peer = self.subject(1).and_then(|it| it.ratio_to(best));
    }

    /// corelane, on the backend that stands for it in this group.
    pub fn subject(&self, workers: usize) -> Option<&ContenderResult> {
        self.server(Server::Corelane(Backend::of(self.group)), workers)
    }

    pub fn server(&self, server: Server, workers: usize) -> Option<&ContenderResult> {
        let wanted = Contender {
            server,
            group: self.group,
            workers,
        };
        self.servers.iter().find(|it| it.contender == wanted)
    }

    pub fn named(&self, name: &str) -> Option<&ContenderResult> {
        self.servers.iter().find(|it| it.name == name)
    }
}

impl ContenderResult {
    /// None if there was an error.
    pub fn figures(&self) -> Option<Vec<f64>> {
        let figures = self.samples.iter().map(|sample| sample.figure);
        self.error.is_none().then(|| figures.collect())
    }

    pub fn figure(&self) -> Option<Spread> {
        Spread::of(self.figures()?)
    }

    pub fn aside(&self) -> Option<f64> {
        let asides = self.samples.iter().filter_map(|sample| sample.aside);
        Some(Spread::of(asides)?.median).filter(|_| self.error.is_none())
    }

    pub fn ratio_to(&self, other: &Self) -> Option<Spread> {
        Spread::of_ratios(&self.figures()?, &other.figures()?)
    }
}

impl Serialize for ContenderResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut it = serializer.serialize_struct("server", 7)?;
        it.serialize_field("name", &self.name)?;
        it.serialize_field("workers", &self.contender.workers)?;
        it.serialize_field("negotiated", &self.negotiated)?;
        it.serialize_field("figure", &self.figure())?;
        it.serialize_field("aside", &self.aside())?;
        it.serialize_field("rounds", &self.samples)?;
        it.serialize_field("error", &self.error)?;
        it.end()
    }
}
