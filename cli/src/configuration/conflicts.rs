//! Options that exclude each other. clap stops at the first conflict and does not know where an option
//! was set.

use clap::{Command, error::ErrorKind};

use super::{
    setting::{self, Setting, Source},
    stop::Stop,
};

/// Whether one of the options excludes the other.
pub(super) fn exclude(server: &Command, one: &Setting, other: &Setting) -> bool {
    let excludes = |one: &Setting, other: &Setting| {
        setting::find(server, &one.key).is_some_and(|arg| {
            let conflicts = server.get_arg_conflicts_with(arg);
            conflicts
                .iter()
                .any(|arg| arg.get_long() == Some(&other.key))
        })
    };
    // A switch that is off is as good as absent.
    !one.is_off() && !other.is_off() && (excludes(one, other) || excludes(other, one))
}

/// Lists each pair of settings that exclude each other, once.
pub(super) fn check(server: &Command, settings: &[&Setting]) -> Result<(), Stop> {
    let pairs = settings.iter().enumerate().flat_map(|(at, one)| {
        let before = settings[..at].iter();
        before
            .filter(|other| exclude(server, one, other))
            .map(move |other| (*one, *other))
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = pairs
        .iter()
        .map(|(one, other)| {
            format!(
                "{} cannot be used with {}: remove one of them",
                named(one),
                mentioned(other)
            )
        })
        .collect();
    let text = lines.join("\n");
    let is_typed = |setting: &Setting| matches!(setting.source, Source::Flag(_));
    Err(match pairs.iter().all(|(one, _)| is_typed(one)) {
        true => Stop::Clap(server.clone().error(ErrorKind::ArgumentConflict, text)),
        false => Stop::Mistakes(text),
    })
}

/// At the beginning of a line.
fn named(setting: &Setting) -> String {
    match &setting.source {
        Source::Flag(key) => format!("--{key}"),
        Source::Variable(name) => name.clone(),
        Source::File(..) => format!("{}: {}", setting.source, setting.key),
    }
}

fn mentioned(setting: &Setting) -> String {
    match &setting.source {
        Source::File(..) => format!("{} ({})", setting.key, setting.source),
        _ => named(setting),
    }
}
