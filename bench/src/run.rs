//! A whole run: where it was measured, the results, and which goals they meet.

use serde::Serialize;

use crate::{
    goals::{self, Judged},
    machine::Machine,
    results::{ContenderResult, ShapeResult},
};

#[derive(Debug, Serialize)]
pub struct Run {
    pub machine: Machine,
    pub shapes: Vec<ShapeResult>,
    pub goals: Vec<Judged>,
}

impl Run {
    pub fn new(machine: Machine, shapes: Vec<ShapeResult>) -> Self {
        let goals = goals::judge(&shapes);
        Self {
            machine,
            shapes,
            goals,
        }
    }

    /// The shape, the server and its error.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, &ContenderResult, &str)> {
        self.shapes.iter().flat_map(|shape| {
            let servers = shape.groups.iter().flat_map(|group| &group.servers);
            servers.filter_map(|it| Some((shape.name, it, it.error.as_deref()?)))
        })
    }
}
