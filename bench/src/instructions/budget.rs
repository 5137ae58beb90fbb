//! Checks the allocations of a request against bench/allocations.toml.

use std::{collections::BTreeMap, fs};

use anyhow::Context;

use super::cost::{Cost, more_allocations};
use crate::install::root;

const FILE: &str = "bench/allocations.toml";

/// By backend and shape.
type Budget = BTreeMap<String, BTreeMap<String, f64>>;

/// Whether all shapes keep to their budget.
pub fn check(costs: &[Cost]) -> anyhow::Result<bool> {
    let text =
        fs::read_to_string(root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let budget: Budget = toml::from_str(&text).with_context(|| format!("cannot read {FILE}"))?;
    let mut kept = true;
    for cost in costs {
        let (backend, shape) = (cost.subject.name, cost.shape.name);
        let allowed = budget
            .get(backend)
            .and_then(|shapes| shapes.get(shape))
            .copied()
            .with_context(|| format!("{FILE} has no {shape} under [{backend}]"))?;
        let change = format!("`{shape}` under `[{backend}]` in {FILE}");
        if more_allocations(cost.allocations, allowed) {
            kept = false;
            eprintln!(
                "MORE: {backend}, {shape}: {:.2} allocations per request, {allowed:.2} are \
                 allowed. If this is intended, set {change} to {:.2} and give the reason in the commit.",
                cost.allocations, cost.allocations
            );
        } else if more_allocations(allowed, cost.allocations) {
            eprintln!(
                "less: {backend}, {shape}: {:.2} allocations per request. Lower {change} to this \
                 number.",
                cost.allocations
            );
        }
    }
    Ok(kept)
}
