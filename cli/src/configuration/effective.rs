//! What the server goes by in the end, as a file that says the same.

use std::{ffi::OsStr, fmt::Write};

use clap::{Arg, ArgMatches, Command};

use super::{
    CONFIG,
    setting::{Kind, Setting, Shape, Source},
};

/// TOML, each value with its source. A flag whose values are secret (clap's `hide_env_values`) is
/// named without them.
pub(super) fn text(
    server: &Command,
    matches: &ArgMatches,
    settings: &[Setting],
    aside: &[String],
) -> String {
    let mut text = String::new();
    for line in aside {
        let _ = writeln!(text, "# {line}");
    }
    let mut heading = None;
    for arg in server.get_arguments() {
        let Some(key) = arg.get_long().filter(|key| *key != CONFIG) else {
            continue;
        };
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            let _ = writeln!(text, "\n# {}", heading.unwrap_or("Options"));
        }
        let setting = settings.iter().find(|setting| setting.key == key);
        let source = source(arg, matches, setting);
        let _ = match value(arg, matches) {
            _ if arg.is_hide_env_values_set() => writeln!(text, "#{key} = secret  # {source}"),
            Some(value) => writeln!(text, "{key} = {value}  # {source}"),
            None => {
                let names = arg.get_value_names().and_then(|names| names.first());
                let name = names.map_or("VALUE", |name| name.as_str());
                writeln!(text, "#{key} = {name}  # {source}")
            }
        };
    }
    text
}

fn source(arg: &Arg, matches: &ArgMatches, setting: Option<&Setting>) -> String {
    use clap::parser::ValueSource::CommandLine;
    if let Some(setting) = setting {
        return match &setting.source {
            Source::Flag(_) => "flag".into(),
            source => source.to_string(),
        };
    }
    match matches.value_source(arg.get_id().as_str()) {
        Some(CommandLine) => "flag".into(),
        Some(_) => "default".into(),
        None => "default: not set".into(),
    }
}

fn value(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = arg.get_id().as_str();
    match Shape::of(arg) {
        Shape::Switch => Some(matches.get_one::<bool>(id)?.to_string()),
        Shape::Count => Some(matches.get_count(id).to_string()),
        Shape::One(kind) => matches.get_raw(id)?.next().map(|raw| literal(kind, raw)),
        Shape::Many(kind) => {
            let values: Vec<_> = matches.get_raw(id)?.map(|raw| literal(kind, raw)).collect();
            Some(format!("[{}]", values.join(", ")))
        }
    }
}

fn literal(kind: Kind, raw: &OsStr) -> String {
    let text = raw.to_string_lossy();
    match text.parse::<i64>() {
        Ok(number) if kind != Kind::Text => number.to_string(),
        _ => toml::Value::String(text.into_owned()).to_string(),
    }
}
