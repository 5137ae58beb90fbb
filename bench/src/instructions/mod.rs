//! Counts the instructions in user space and the allocations of a request to corelane, hyper or the floor,
//! under callgrind.
//! bench/README.md explains the method.

mod budget;
mod callgrind;
mod cost;
mod exchange;
mod revision;
mod shapes;
mod subjects;
mod table;
mod wire;

use std::path::{Path, PathBuf};

use anyhow::Context;

use self::{
    cost::{Cost, cost},
    shapes::{SHAPES, Shape},
    subjects::{SUBJECTS, Subject},
};
use crate::{
    fixtures::Fixtures,
    install::{self, Builds},
    interrupt,
    options::Http2Engine,
    server::Backend,
    terms::Http,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Build this revision too, and fail if this tree needs 3 % more instructions or 1 % more allocations
    /// for a request.
    #[arg(long, value_name = "REV", conflicts_with_all = ["budget", "hyper", "floor"])]
    against: Option<String>,

    /// Fail if a request takes more allocations than bench/allocations.toml allows.
    #[arg(long)]
    budget: bool,

    /// Measure hyper instead of corelane.
    #[arg(long, conflicts_with = "budget")]
    hyper: bool,

    /// Measure the floor instead of corelane: what no server on rustls can do without.
    #[arg(long, conflicts_with_all = ["budget", "hyper"])]
    floor: bool,

    /// The HTTP/2 engine of corelane, or of the floor.
    #[arg(long, value_enum, default_value = "h2", conflicts_with_all = ["budget", "hyper"])]
    http2_engine: Http2Engine,

    /// Measure only this shape; repeatable.
    #[arg(long = "shape", value_name = "NAME", value_parser = shape)]
    shapes: Vec<&'static Shape>,

    /// Measure only this backend; repeatable.
    #[arg(long = "backend", value_name = "NAME", value_parser = subject)]
    subjects: Vec<&'static Subject>,
}

fn shape(name: &str) -> Result<&'static Shape, String> {
    let names = || SHAPES.iter().map(|shape| shape.name).collect::<Vec<_>>();
    SHAPES
        .iter()
        .find(|shape| shape.name == name)
        .ok_or_else(|| format!("the shapes are {}", names().join(", ")))
}

fn subject(name: &str) -> Result<&'static Subject, String> {
    let names = || SUBJECTS.iter().map(|it| it.name).collect::<Vec<_>>();
    SUBJECTS
        .iter()
        .find(|subject| subject.name == name)
        .ok_or_else(|| format!("the backends are {}", names().join(", ")))
}

/// Counts all shapes. False if a request costs more than allowed.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    interrupt::catch()?;
    let directory = install::root().join("target/instructions");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    let server = match args {
        Args { hyper: true, .. } => "hyper",
        Args { floor: true, .. } => "floor",
        _ => "corelane",
    };
    let build = |root: &Path, name: &str| -> anyhow::Result<PathBuf> {
        eprintln!("building {server}, {name}");
        let program = directory.join(name);
        Builds::make_one(server, root, &program)?;
        Ok(program)
    };
    let fixtures = Fixtures::make()?;
    let shapes = SHAPES.iter().filter(|shape| {
        let known = !args.floor || shape.http == Http::Http2;
        known && (args.shapes.is_empty() || args.shapes.iter().any(|it| it.name == shape.name))
    });
    let mut shapes: Vec<_> = shapes.collect();
    let subjects = || {
        SUBJECTS.iter().filter(|subject| {
            let known = !args.floor || subject.on.0 == Backend::Rustls;
            let wanted = args.subjects.iter().any(|it| it.name == subject.name);
            known && (args.subjects.is_empty() || wanted)
        })
    };
    let measure = |program: &Path,
                   subjects: &[&'static Subject],
                   shapes: &[&'static Shape]|
     -> anyhow::Result<Vec<Cost>> {
        let mut costs = Vec::new();
        for subject in subjects {
            for shape in shapes {
                eprintln!("{} {}", subject.name, shape.name);
                costs.push(cost(program, subject, shape, args.http2_engine, &fixtures)?);
            }
        }
        Ok(costs)
    };

    let name = if server == "corelane" { "this" } else { server };
    let this = build(install::root(), name)?;
    if let Some(revision) = &args.against {
        let tree = revision::check_out(revision, &directory.join("tree"))?;
        let before = build(&tree, "before")?;
        let known: Vec<_> = subjects().filter(|it| it.is_known_to(&before)).collect();
        shapes.retain(|it| it.is_known_to(&before));
        let costs = measure(&before, &known, &shapes)?;
        let now = measure(&this, &known, &shapes)?;
        return Ok(table::compared(revision, &costs, &now));
    }
    let costs = measure(&this, &subjects().collect::<Vec<_>>(), &shapes)?;
    table::plain(&costs);
    match args.budget {
        true => budget::check(&costs),
        false => Ok(true),
    }
}
