//! The effective configuration, as a file for `--config`.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fmt::Write,
};

use clap::{Arg, ArgMatches, Command};

use super::setting::{CONFIG, Kind, Setting, Shape, Source};

/// The effective value of each flag, to find what a reload changes.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<String, Option<String>>);

impl Values {
    pub(super) fn new(server: &Command, matches: &ArgMatches) -> Self {
        let flags = server.get_arguments().filter_map(|arg| {
            let key = arg.get_long()?.to_owned();
            Some((key, value(arg, matches)))
        });
        Self(flags.collect())
    }

    /// The flags whose values differ.
    pub(crate) fn changed<'a>(&'a self, now: &'a Self) -> impl Iterator<Item = &'a str> {
        let changed = |(key, value): &(&String, &Option<String>)| now.0.get(*key) != Some(value);
        self.0.iter().filter(changed).map(|(key, _)| &**key)
    }
}

/// TOML, each value with its source. Secret values (clap's `hide_env_values`) are left out.
pub(super) fn text(
    server: &Command,
    matches: &ArgMatches,
    settings: &[Setting],
    overridden: &[String],
) -> String {
    let mut text = String::new();
    for line in overridden {
        let _ = writeln!(text, "# {line}");
    }
    let mut headings: Vec<_> = server.get_arguments().map(Arg::get_help_heading).collect();
    let mut known = HashSet::new();
    headings.retain(|heading| known.insert(*heading));
    for heading in headings {
        if let Some(heading) = heading {
            let _ = writeln!(text, "\n# {heading}");
        }
        let args = server.get_arguments();
        for arg in args.filter(|arg| arg.get_help_heading() == heading) {
            line(&mut text, arg, matches, settings);
        }
    }
    text
}

fn line(text: &mut String, arg: &Arg, matches: &ArgMatches, settings: &[Setting]) {
    let Some(key) = arg.get_long().filter(|key| *key != CONFIG) else {
        return;
    };
    let setting = settings.iter().find(|setting| setting.key == key);
    let source = source(arg, matches, setting);
    // Writing to a String cannot fail.
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
        None => format!("default: {}", in_words(arg).unwrap_or("not set".into())),
    }
}

/// A default that only the help describes.
fn in_words(arg: &Arg) -> Option<String> {
    let help = arg.get_help()?.to_string();
    let (_, default) = help.split_once("[default: ")?;
    Some(default.strip_suffix(']')?.to_owned())
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
    // The value of a table is the table, in one line.
    if kind == Kind::Either && text.starts_with('{') {
        return text.into_owned();
    }
    match text.parse::<i64>() {
        Ok(number) if kind != Kind::Text => number.to_string(),
        _ => toml::Value::String(text.into_owned()).to_string(),
    }
}
