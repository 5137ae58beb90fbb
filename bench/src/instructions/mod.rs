//! What corelane needs for a request, counted and not timed: instructions in user space and
//! allocations, the server under callgrind. How and why: bench/README.md.

mod budget;
mod callgrind;
mod exchange;
mod revision;
mod shapes;
mod table;
mod wire;

use std::path::{Path, PathBuf};

use anyhow::Context;

use self::{
    callgrind::{Server, Unanswered},
    exchange::exchange,
    shapes::{SHAPES, Shape},
};
use crate::{
    fixtures::Fixtures,
    install::{self, Builds},
    interrupt,
    servers::Backend,
};

/// What may be more than before by so much and is still the same: a request's share in what goes by
/// the clock, such as the `date` header, in what is random, such as signatures, and in how the kernel
/// cuts what it delivers.
const INSTRUCTIONS: f64 = 0.03;
const ALLOCATIONS: f64 = 0.01;

/// Whether `now` is more allocations per request than `before`.
fn more_allocations(now: f64, before: f64) -> bool {
    now > before * (1.0 + ALLOCATIONS) + ALLOCATIONS
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Build this revision too, and fail where this tree needs 3 % more instructions for a request
    /// than it, or 1 % more allocations.
    #[arg(long, value_name = "REV", conflicts_with = "budget")]
    against: Option<String>,

    /// Fail where a request takes more allocations than bench/allocations.toml allows.
    #[arg(long)]
    budget: bool,

    /// Only this shape; repeatable.
    #[arg(long = "shape", value_name = "NAME", value_parser = shape)]
    shapes: Vec<&'static Shape>,
}

fn shape(name: &str) -> Result<&'static Shape, String> {
    let names = || SHAPES.iter().map(|shape| shape.name).collect::<Vec<_>>();
    SHAPES
        .iter()
        .find(|shape| shape.name == name)
        .ok_or_else(|| format!("the shapes are {}", names().join(", ")))
}

/// What a shape took on a backend, per request.
#[derive(Clone, Copy, Debug)]
struct Cost {
    shape: &'static Shape,
    backend: Backend,
    instructions: f64,
    allocations: f64,
}

/// Whether nothing costs more than it may.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    interrupt::catch()?;
    let directory = install::root().join("target/instructions");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    let build = |root: &Path, name: &str| -> anyhow::Result<PathBuf> {
        eprintln!("building corelane, {name}");
        let program = directory.join(name);
        Builds::make_corelane(root, &program)?;
        Ok(program)
    };
    let fixtures = Fixtures::make()?;
    let shapes = || {
        SHAPES.iter().filter(|shape| {
            args.shapes.is_empty() || args.shapes.iter().any(|it| it.name == shape.name)
        })
    };
    let measure = |program: &Path| -> anyhow::Result<Vec<Cost>> {
        let mut costs = Vec::new();
        for backend in Backend::ALL {
            for shape in shapes() {
                eprintln!("{} {}", backend.name(), shape.name);
                costs.push(cost(program, backend, shape, &fixtures)?);
            }
        }
        Ok(costs)
    };

    let this = build(install::root(), "this")?;
    if let Some(revision) = &args.against {
        let tree = revision::check_out(revision, &directory.join("tree"))?;
        let before = measure(&build(&tree, "before")?)?;
        return Ok(table::compared(revision, &before, &measure(&this)?));
    }
    let costs = measure(&this)?;
    table::plain(&costs);
    match args.budget {
        true => budget::check(&costs),
        false => Ok(true),
    }
}

fn cost(
    program: &Path,
    backend: Backend,
    shape: &'static Shape,
    fixtures: &Fixtures,
) -> anyhow::Result<Cost> {
    let count =
        || Server::start(program, backend, fixtures).and_then(|server| exchange(&server, shape));
    let mut counts = count();
    for _ in 0..2 {
        if let Err(error) = &counts
            && error.is::<Unanswered>()
        {
            eprintln!("{error}, once more");
            counts = count();
        }
    }
    let counts = counts.with_context(|| format!("{}, {}", backend.name(), shape.name))?;
    let per_request = |count: u64| count as f64 / f64::from(shape.times * shape.requests());
    Ok(Cost {
        shape,
        backend,
        instructions: per_request(counts.instructions),
        allocations: per_request(counts.allocations),
    })
}
