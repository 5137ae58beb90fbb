//! What the server is told, from whichever source: a flag, else the environment, else the file of
//! `--config`, else the default.
//!
//! clap's definition of the flags is the only list there is. What comes from the environment and
//! from the file is put before the command line as the flags it stands for, so that clap judges it
//! all, alone and together, as if it had been typed.

mod effective;
mod environment;
mod file;
mod setting;

#[cfg(test)]
mod tests;

use std::{ffi::OsString, path::Path};

use clap::{
    ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, builder::ValueParser,
    error::ErrorKind, parser::ValueSource,
};

use self::setting::{Setting, Shape, Source};
use crate::{
    alpn::AlpnArgs,
    args::{self, Args, CommandLine},
    restart::UpgradeArgs,
};

/// What the command is to do.
pub(crate) enum Invocation {
    Serve(Box<Args>),
    /// With the effective configuration, TOML.
    Check(Box<Args>, String),
    Alpn(Box<AlpnArgs>),
    Upgrade(UpgradeArgs),
}

/// Why there is nothing to do.
#[derive(Debug)]
pub(crate) enum Stop {
    /// clap's own words, help and version among them.
    Said(clap::Error),
    /// Mistakes of the environment or the file, a line each.
    Mistakes(String),
}

/// Reads them all. `arguments` begins with the command's name, `variable` looks into the
/// environment.
pub(crate) fn read(
    arguments: Vec<OsString>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Invocation, Stop> {
    let command = with_switches(CommandLine::command());
    let typed = typed(&command, &arguments)?;
    let (checks, typed) = match typed.subcommand() {
        Some((CHECK, matches)) => (true, matches),
        Some(_) => {
            let matches = command
                .try_get_matches_from(&arguments)
                .map_err(Stop::Said)?;
            return invocation(&matches, String::new());
        }
        None => (false, &typed),
    };
    let server = with_switches(Args::command());
    let by_flag = by_flag(&server, typed);
    let (by_environment, mut aside) =
        prefer(&server, environment::read(&server, variable)?, &[&by_flag]);
    let by_file = match path(typed, &by_environment) {
        Some(path) => file::read(&server, Path::new(&path))?,
        None => Vec::new(),
    };
    let (by_file, file_aside) = prefer(&server, by_file, &[&by_flag, &by_environment]);
    aside.extend(file_aside);

    // Behind the subcommand, before what was typed.
    let at = arguments.len().min(if checks { 2 } else { 1 });
    let mut settings = [by_environment, by_file].concat();
    // A switch that was typed to be off has done its work when it has kept the others from it.
    let off = by_flag.into_iter().filter(Setting::is_off);
    let off: Vec<_> = off.collect();
    let flags = settings.iter().flat_map(Setting::as_flags);
    let mut merged = arguments;
    merged.splice(at..at, flags);
    merged.retain(|argument| {
        let is = |off: &Setting| argument.to_str() == Some(&format!("--{}=false", off.key));
        !off.iter().any(is)
    });
    settings.extend(off);
    let matches = command
        .try_get_matches_from(merged)
        .map_err(|error| explain(error, &settings))?;
    let text = match matches.subcommand() {
        Some((CHECK, matches)) => effective::text(&server, matches, &settings, &aside),
        _ => String::new(),
    };
    invocation(&matches, text)
}

/// The subcommand that only looks.
const CHECK: &str = "check";

/// The key that cannot come from the file.
const CONFIG: &str = "config";

fn invocation(matches: &ArgMatches, text: String) -> Result<Invocation, Stop> {
    let line = CommandLine::from_arg_matches(matches).map_err(Stop::Said)?;
    Ok(match line.command {
        None => Invocation::Serve(Box::new(line.args)),
        Some(args::Command::Check(args)) => Invocation::Check(args, text),
        Some(args::Command::Alpn(args)) => Invocation::Alpn(args),
        Some(args::Command::Upgrade(args)) => Invocation::Upgrade(args),
    })
}

/// A switch that a file or the environment has turned on can be turned off by a flag:
/// `--takeover=false`.
fn with_switches(command: Command) -> Command {
    let switch = |arg: clap::Arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .value_parser(ValueParser::bool())
            .value_name("BOOL")
            .hide_possible_values(true)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .hide_default_value(true)
            .default_missing_value("true"),
        _ => arg,
    };
    let has_check = command.find_subcommand(CHECK).is_some();
    let command = command.mut_args(switch);
    match has_check {
        true => command.mut_subcommand(CHECK, |check| check.mut_args(switch)),
        false => command,
    }
}

/// What was typed, for itself. What it lacks or contradicts may yet be put right by the rest.
fn typed(command: &Command, arguments: &[OsString]) -> Result<ArgMatches, Stop> {
    let error = match command.clone().try_get_matches_from(arguments) {
        Ok(matches) => return Ok(matches),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict => command
            .clone()
            .ignore_errors(true)
            .try_get_matches_from(arguments)
            .map_err(Stop::Said),
        ErrorKind::DisplayHelp => {
            let with_names = environment::with_names(command.clone());
            let help = with_names.try_get_matches_from(arguments);
            Err(Stop::Said(help.err().unwrap_or(error)))
        }
        _ => Err(Stop::Said(error)),
    }
}

fn by_flag(server: &Command, typed: &ArgMatches) -> Vec<Setting> {
    server
        .get_arguments()
        .filter(|arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
        .filter_map(|arg| {
            let key = arg.get_long()?;
            let id = arg.get_id().as_str();
            let off = matches!(Shape::of(arg), Shape::Switch)
                && typed.get_one::<bool>(id) == Some(&false);
            let source = || Source::Flag(key.into());
            Some(match off {
                true => Setting::switch(key, source(), false),
                false => Setting::typed(key),
            })
        })
        .collect()
}

/// Those of `settings` that no `stronger` source has, or contradicts; and what is set aside.
fn prefer(
    server: &Command,
    settings: Vec<Setting>,
    stronger: &[&[Setting]],
) -> (Vec<Setting>, Vec<String>) {
    let mut aside = Vec::new();
    let kept = settings
        .into_iter()
        .filter(|setting| {
            let over = stronger.iter().copied().flatten().find(|stronger| {
                setting.key == stronger.key
                    || !setting.is_off()
                        && !stronger.is_off()
                        && (contradict(server, &setting.key, &stronger.key)
                            || contradict(server, &stronger.key, &setting.key))
            });
            if let Some(over) = over {
                aside.push(format!("{setting}: set aside for {}", over.source));
            }
            over.is_none()
        })
        .collect();
    (kept, aside)
}

/// Whether clap says of the one that it conflicts with the other.
fn contradict(server: &Command, one: &str, other: &str) -> bool {
    let arg = setting::find(server, one);
    arg.is_some_and(|arg| {
        let conflicts = server.get_arg_conflicts_with(arg);
        conflicts.iter().any(|arg| arg.get_long() == Some(other))
    })
}

/// Which file to read.
fn path(typed: &ArgMatches, by_environment: &[Setting]) -> Option<OsString> {
    let flag = typed.get_raw(CONFIG).and_then(|mut raw| raw.next());
    let variable = by_environment.iter().find(|setting| setting.key == CONFIG);
    flag.map(OsString::from)
        .or_else(|| variable?.values().first().cloned())
}

/// clap speaks of flags: where they come from if nobody typed them.
fn explain(error: clap::Error, settings: &[Setting]) -> Stop {
    let text = error.to_string();
    let named: Vec<_> = settings
        .iter()
        .filter(|setting| {
            let flag = format!("--{}", setting.key);
            text.match_indices(&flag).any(|(at, _)| {
                let behind = text[at + flag.len()..].chars().next();
                !behind.is_some_and(|c| c == '-' || c.is_alphanumeric())
            })
        })
        .map(|setting| format!("{}: here --{} is set", setting.source, setting.key))
        .collect();
    if named.is_empty() {
        return Stop::Said(error);
    }
    Stop::Mistakes(format!(
        "{}\n{}",
        setting::first_words(&text),
        named.join("\n")
    ))
}

/// `Ok` where clap takes this one setting, whatever else there may have to be beside it.
fn judge(server: &Command, setting: &Setting) -> Result<(), String> {
    let flags = setting.as_flags();
    let arguments = [OsString::from("corelane")].into_iter().chain(flags);
    match server.clone().try_get_matches_from(arguments) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict
            ) =>
        {
            Err(setting::first_words(&error.to_string()))
        }
        _ => Ok(()),
    }
}
