//! The server's options: a flag wins over the environment, the environment over the file of
//! `--config`, and that over the default.
//!
//! clap's definition of the flags is the only list of options. Settings of the environment and of the
//! file become flags before those of the command line, so that clap checks all of them, alone and
//! together, as if they had been typed.
//!
//! Not figment: it would need a second list of the options, and knows the file of a mistake but not
//! its line.

mod conflicts;
mod effective;
mod environment;
mod file;
mod judge;
mod secret;
mod setting;
mod sources;
mod stop;
mod tables;

#[cfg(test)]
mod tests;

use std::{ffi::OsString, path::Path};

use clap::{
    ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, builder::ValueParser,
    error::ErrorKind, parser::ValueSource,
};

pub(crate) use self::{effective::Values, sources::Sources, stop::Stop};
use self::{
    environment::CHECK,
    setting::{CONFIG, Setting, Shape, Source},
};
use crate::{
    alpn::AlpnArgs,
    args::{self, Args, CommandLine},
    restart::{ReloadArgs, UpgradeArgs},
};

/// The action to perform.
pub(crate) enum Invocation {
    Serve(Box<Args>, Values),
    /// With the effective configuration to print, TOML; empty if it is not to be printed.
    Check(Box<Args>, String),
    Alpn(Box<AlpnArgs>),
    Upgrade(UpgradeArgs),
    Reload(ReloadArgs),
}

/// Reads the options from all sources. `arguments` begins with the command's name; `variable` reads
/// the environment.
pub(crate) fn read(
    arguments: Vec<OsString>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Invocation, Stop> {
    for argument in &arguments {
        secret::check(argument).map_err(Stop::Mistakes)?;
    }
    let command = with_switches(CommandLine::command());
    let typed = typed(&command, &arguments)?;
    let (checks, typed) = match typed.subcommand() {
        Some((CHECK, matches)) => (true, matches),
        Some(_) => {
            let matches = command
                .try_get_matches_from(&arguments)
                .map_err(Stop::Clap)?;
            return invocation(&matches, String::new(), Values::default());
        }
        None => (false, &typed),
    };
    let server = with_switches(Args::command().name("corelane"));
    let by_flag = by_flag(&server, typed);
    let (by_environment, mut overridden) =
        prefer(&server, environment::read(&server, variable)?, &[&by_flag]);
    let by_file = match path(typed, &by_environment) {
        Some(path) => file::read(&server, Path::new(&path))?,
        None => Vec::new(),
    };
    let (by_file, overridden_in_file) = prefer(&server, by_file, &[&by_flag, &by_environment]);
    overridden.extend(overridden_in_file);
    let all = by_flag.iter().chain(&by_environment).chain(&by_file);
    conflicts::check(&server, &all.collect::<Vec<_>>())?;

    // After the subcommand, before the typed arguments.
    let at = arguments.len().min(if checks { 2 } else { 1 });
    let mut settings = [by_environment, by_file].concat();
    // `--switch=false` has overridden the other sources; clap would treat it as present.
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
    let (text, values) = match matches.subcommand() {
        Some((CHECK, matches)) => {
            let text = effective::text(&server, matches, &settings, &overridden);
            (text, Values::default())
        }
        _ => (String::new(), Values::new(&server, &matches)),
    };
    let mut invocation = invocation(&matches, text, values)?;
    if let Invocation::Serve(args, _) | Invocation::Check(args, _) = &mut invocation {
        args.sources = Sources::new(&settings);
    }
    Ok(invocation)
}

fn invocation(matches: &ArgMatches, text: String, values: Values) -> Result<Invocation, Stop> {
    let line = CommandLine::from_arg_matches(matches).map_err(Stop::Clap)?;
    Ok(match line.command {
        None => Invocation::Serve(Box::new(line.args), values),
        Some(args::Command::Check(check)) => {
            let text = if check.quiet { String::new() } else { text };
            Invocation::Check(Box::new(check.args), text)
        }
        Some(args::Command::Alpn(args)) => Invocation::Alpn(args),
        Some(args::Command::Upgrade(args)) => Invocation::Upgrade(args),
        Some(args::Command::Reload(args)) => Invocation::Reload(args),
    })
}

/// Lets a flag turn off a switch of the file or the environment: `--takeover=false`.
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

/// The command line alone. Other sources may add missing options.
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
            .map_err(Stop::Clap),
        ErrorKind::DisplayHelp => {
            let with_names = environment::with_names(command.clone());
            let help = with_names.try_get_matches_from(arguments);
            Err(Stop::Clap(help.err().unwrap_or(error)))
        }
        _ => Err(Stop::Clap(error)),
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

/// Removes the settings that a `stronger` source sets or conflicts with. Returns the others, and a
/// line for each removed one.
fn prefer(
    server: &Command,
    settings: Vec<Setting>,
    stronger: &[&[Setting]],
) -> (Vec<Setting>, Vec<String>) {
    let mut overridden = Vec::new();
    let kept = settings
        .into_iter()
        .filter(|setting| {
            let over = stronger.iter().copied().flatten().find(|stronger| {
                setting.key == stronger.key || conflicts::exclude(server, setting, stronger)
            });
            if let Some(over) = over {
                overridden.push(format!("{setting}: overridden by {}", over.source));
            }
            over.is_none()
        })
        .collect();
    (kept, overridden)
}

/// The configuration file.
fn path(typed: &ArgMatches, by_environment: &[Setting]) -> Option<OsString> {
    let flag = typed.get_raw(CONFIG).and_then(|mut raw| raw.next());
    let variable = by_environment.iter().find(|setting| setting.key == CONFIG);
    flag.map(OsString::from)
        .or_else(|| variable?.values().first().cloned())
}

/// Adds to clap's message the source of each flag that was not typed.
fn explain(error: clap::Error, settings: &[Setting]) -> Stop {
    let text = error.to_string();
    let named: Vec<_> = settings
        .iter()
        .filter(|setting| setting.is_named_in(&text))
        .map(|setting| format!("{}: --{} is set here", setting.source, setting.key))
        .collect();
    if named.is_empty() {
        return Stop::Clap(error);
    }
    Stop::Mistakes(format!(
        "{}\n{}",
        setting::without_usage(&text),
        named.join("\n")
    ))
}
