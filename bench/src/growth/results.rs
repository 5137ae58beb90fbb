//! The results: the figures of each point, and the growth of each curve.

use serde::Serialize;

use super::{
    exponent::exponent,
    sweeps::{Curve, Rule, Sweep},
};
use crate::{
    machine::Machine,
    statistics::{Spread, Verdict},
};

/// An exponent that is above the expected one by less is noise: cold caches, or a machine that changes
/// its speed. It is a quarter more from one hundred to ten thousand.
const TOLERANCE: f64 = 0.05;

#[derive(Serialize)]
pub struct Run {
    pub machine: Machine,
    pub server: &'static str,
    pub rows: Vec<Row>,
}

/// A sweep's figures.
#[derive(Serialize)]
pub struct Row {
    #[serde(skip)]
    pub sweep: &'static Sweep,
    pub name: &'static str,
    /// The points, and in the rounds the figures of all curves.
    pub points: Vec<Point>,
    pub error: Option<String>,
}

#[derive(Serialize)]
pub struct Point {
    pub n: u32,
    pub rounds: Vec<Vec<f64>>,
}

/// How a curve grows.
pub struct Growth {
    /// The exponent, or the difference between the last and the first point.
    pub found: Option<Spread>,
    pub verdict: Option<Verdict>,
}

impl Row {
    pub fn new(sweep: &'static Sweep) -> Self {
        let point = |&n| Point {
            n,
            rounds: Vec::new(),
        };
        Self {
            sweep,
            name: sweep.name,
            points: sweep.points.iter().map(point).collect(),
            error: None,
        }
    }

    /// The median of a curve at a point.
    pub fn median(&self, point: &Point, curve: usize) -> Option<f64> {
        let figures = point.rounds.iter().map(|figures| figures[curve]);
        Some(Spread::of(figures)?.median)
    }

    pub fn growth(&self, index: usize, curve: &Curve) -> Growth {
        let rounds = self.points.iter().map(|point| point.rounds.len()).min();
        let rounds = (0..rounds.unwrap_or(0)).map(|round| {
            let points = self.points.iter();
            let points = points.map(|point| (point.n, point.rounds[round][index]));
            points.collect::<Vec<_>>()
        });
        let (found, limit) = match curve.rule {
            Rule::Exponent(expected) => (
                Spread::of(rounds.filter_map(|points| exponent(&points))),
                expected + TOLERANCE,
            ),
            Rule::Difference(most) => (Spread::of(rounds.filter_map(|it| difference(&it))), most),
            Rule::Aside => {
                return Growth {
                    found: None,
                    verdict: None,
                };
            }
        };
        let verdict = found.map(|found| found.against(limit));
        Growth { found, verdict }
    }
}

fn difference(points: &[(u32, f64)]) -> Option<f64> {
    Some(points.last()?.1 - points.first()?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::sweeps::named;

    fn row(name: &str, cost: impl Fn(u32) -> f64) -> Row {
        let mut row = Row::new(named(name).expect("a row"));
        for point in &mut row.points {
            point.rounds = vec![vec![cost(point.n); row.sweep.curves.len()]; 3];
        }
        row
    }

    fn verdict(row: &Row) -> Option<Verdict> {
        row.growth(0, &row.sweep.curves[0]).verdict
    }

    #[test]
    fn a_scan_where_a_lookup_is_expected_is_missed() {
        assert_eq!(verdict(&row("routes", |_| 7.0)), Some(Verdict::Met));
        let scan = row("routes", |n| 1.0 + f64::from(n) / 100.0);
        assert_eq!(verdict(&scan), Some(Verdict::Missed));
    }

    #[test]
    fn a_wake_up_of_each_connection_is_missed() {
        assert_eq!(verdict(&row("idle", |_| 6.0)), Some(Verdict::Met));
        let each = row("idle", |n| 6.0 + f64::from(n) / 100.0);
        assert_eq!(verdict(&each), Some(Verdict::Missed));
    }

    #[test]
    fn without_rounds_there_is_no_verdict() {
        assert_eq!(verdict(&Row::new(named("idle").expect("a row"))), None);
    }
}
