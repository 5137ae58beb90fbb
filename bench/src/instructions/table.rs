//! Prints the costs as tables.

use super::cost::{Cost, INSTRUCTIONS, more_allocations};

pub fn plain(costs: &[Cost]) {
    println!(
        "{:15}  {:10}  {:>20}  {:>19}",
        "backend", "shape", "instructions/request", "allocations/request"
    );
    for cost in costs {
        println!(
            "{:15}  {:10}  {:20.0}  {:19.2}",
            cost.subject.name, cost.shape.name, cost.instructions, cost.allocations
        );
    }
}

/// Prints both costs. False if a cost has grown.
pub fn compared(revision: &str, before: &[Cost], now: &[Cost]) -> bool {
    println!(
        "{:15}  {:10}  {:>9}  {:>9}  {:>7}  {:>11}  {:>7}",
        "backend", "shape", revision, "this tree", "ratio", "allocations", "now"
    );
    let mut worse = Vec::new();
    for (before, now) in before.iter().zip(now) {
        let (backend, shape) = (now.subject.name, now.shape.name);
        let ratio = now.instructions / before.instructions;
        println!(
            "{backend:15}  {shape:10}  {:9.0}  {:9.0}  {ratio:7.4}  {:11.2}  {:7.2}",
            before.instructions, now.instructions, before.allocations, now.allocations,
        );
        if ratio > 1.0 + INSTRUCTIONS {
            worse.push(format!(
                "{backend}, {shape}: {:.1} % more instructions per request than {revision}, {:.0} \
                 instead of {:.0}",
                (ratio - 1.0) * 100.0,
                now.instructions,
                before.instructions
            ));
        }
        if more_allocations(now.allocations, before.allocations) {
            worse.push(format!(
                "{backend}, {shape}: more allocations per request than {revision}, {:.2} instead \
                 of {:.2}",
                now.allocations, before.allocations
            ));
        }
    }
    for line in &worse {
        eprintln!("MORE: {line}");
    }
    worse.is_empty()
}
