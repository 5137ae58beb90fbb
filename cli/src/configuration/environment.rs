//! Options in the environment: `CORELANE_` and the flag's long name in capitals.

use std::ffi::OsString;

use clap::{Arg, Command};

use super::{
    judge::judge,
    secret,
    setting::{Setting, Shape, Source, expected},
    stop::Stop,
};

/// The subcommand that checks the server's options.
pub(super) const CHECK: &str = "check";

/// The variable of a flag.
pub(super) fn name(key: &str) -> String {
    format!("CORELANE_{}", key.replace('-', "_").to_uppercase())
}

/// Names the variables in the command's help.
pub(super) fn with_names(command: Command) -> Command {
    // Not the options of a subcommand, such as --quiet of check.
    let server: Vec<_> = command.get_arguments().map(Arg::get_id).cloned().collect();
    let named = |arg: Arg| match arg.get_long().map(name) {
        // Leaked once: printing help ends the process.
        Some(name) if server.contains(arg.get_id()) => arg.env(&*name.leak()),
        _ => arg,
    };
    command
        .mut_args(&named)
        .mut_subcommand(CHECK, |check| check.mut_args(named))
}

/// Reads the settings. An empty variable sets nothing.
pub(super) fn read(
    server: &Command,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<Setting>, Stop> {
    let (mut settings, mut mistakes) = (Vec::new(), Vec::new());
    for arg in server.get_arguments() {
        let Some(key) = arg.get_long() else { continue };
        let name = name(key);
        let Some(value) = variable(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let setting = secret::check(&value)
            .and_then(|()| parse(arg, key, &name, value))
            .and_then(|setting| judge(server, &setting).map(|()| setting));
        match setting {
            Ok(setting) => settings.push(setting),
            Err(mistake) => mistakes.push(format!("{name}: {mistake}")),
        }
    }
    match mistakes.is_empty() {
        true => Ok(settings),
        false => Err(Stop::Mistakes(mistakes.join("\n"))),
    }
}

fn parse(arg: &Arg, key: &str, name: &str, value: OsString) -> Result<Setting, String> {
    let source = Source::Variable(name.into());
    let wrong = || format!("expected {}, found {value:?}", expected(arg));
    Ok(match Shape::of(arg) {
        Shape::Switch => match value.to_str() {
            Some("true" | "1") => Setting::switch(key, source, true),
            Some("false" | "0") => Setting::switch(key, source, false),
            _ => return Err(wrong()),
        },
        Shape::Count => {
            let count = value.to_str().and_then(|text| text.parse().ok());
            Setting::count(key, source, count.ok_or_else(wrong)?)
        }
        Shape::One(_) => Setting::of_values(key, source, vec![value]),
        Shape::Many(_) => {
            let text = value.to_str().ok_or_else(wrong)?;
            let values = text.split(',').map(|value| value.trim().into());
            Setting::of_values(key, source, values.collect())
        }
    })
}
