//! The cost of a request, and the differences that are noise.

use std::path::Path;

use anyhow::Context;

use super::{
    callgrind::{Server, Unanswered},
    exchange::exchange,
    shapes::Shape,
    subjects::Subject,
};
use crate::{fixtures::Fixtures, options::Http2Engine};

/// Relative differences up to these are noise. A request's share of work depends on the clock (the
/// `date` header), on random numbers (signatures) and on how the kernel splits the data.
pub const INSTRUCTIONS: f64 = 0.03;
const ALLOCATIONS: f64 = 0.01;

/// Whether `now` allocations per request are more than `before`, beyond noise.
pub fn more_allocations(now: f64, before: f64) -> bool {
    now > before * (1.0 + ALLOCATIONS) + ALLOCATIONS
}

/// The cost of a request, by shape and subject.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub shape: &'static Shape,
    pub subject: &'static Subject,
    pub instructions: f64,
    pub allocations: f64,
}

pub fn cost(
    program: &Path,
    subject: &'static Subject,
    shape: &'static Shape,
    engine: Http2Engine,
    fixtures: &Fixtures,
) -> anyhow::Result<Cost> {
    let mut output = program.as_os_str().to_owned();
    output.push(format!("-{}-{}.callgrind", subject.name, shape.name));
    let count = || {
        let server = Server::start(program, subject.on, shape.http, engine, fixtures)?;
        let counts = exchange(&server, shape)?;
        server.keep_output(Path::new(&output))?;
        Ok(counts)
    };
    let mut counts: anyhow::Result<_> = count();
    for _ in 0..2 {
        if let Err(error) = &counts
            && error.is::<Unanswered>()
        {
            eprintln!("{error}, trying again");
            counts = count();
        }
    }
    let counts = counts.with_context(|| format!("{}, {}", subject.name, shape.name))?;
    let per_request = |count: u64| count as f64 / f64::from(shape.times * shape.requests());
    Ok(Cost {
        shape,
        subject,
        instructions: per_request(counts.instructions),
        allocations: per_request(counts.allocations),
    })
}
