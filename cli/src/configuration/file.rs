//! Options in a file: TOML whose keys are the flags' long names, and tables `[[route]]`.

use std::{ffi::OsString, path::Path};

use clap::{Arg, Command};
use corelane::read_file;
use toml::de::{DeTable, DeValue};

use super::{
    judge::judge,
    secret,
    setting::{self, CONFIG, Kind, Setting, Shape, Source, expected},
    stop::Stop,
    tables,
};

/// Reads the settings, or returns all mistakes.
pub(super) fn read(server: &Command, path: &Path) -> Result<Vec<Setting>, Stop> {
    let name = path.display().to_string();
    let text = read_file(path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".into()));
    let text = text.map_err(|error| {
        Stop::Mistakes(format!(
            "cannot read the configuration file {name}: {error}"
        ))
    })?;
    parse(server, &name, &text)
}

pub(super) fn parse(server: &Command, name: &str, text: &str) -> Result<Vec<Setting>, Stop> {
    let line = |at: usize| 1 + text[..at].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let what = error.message().trim();
        Stop::Mistakes(format!("{name}:{}: invalid TOML: {what}", line(at)))
    })?;
    let (mut settings, mut mistakes) = (Vec::new(), Vec::new());
    for (key, value) in table.get_ref() {
        if let Some(tables) = tables::of(key.get_ref(), value.get_ref()) {
            for table in tables {
                let source = |at| Source::File(name.into(), line(at));
                match tables::read(table, source) {
                    Ok(setting) => settings.push((line(table.span().start), setting)),
                    Err((at, mistake)) => {
                        mistakes.push((line(at), format!("{name}:{}: {mistake}", line(at))));
                    }
                }
            }
            continue;
        }
        let line = line(key.span().start);
        let key = key.get_ref();
        let setting = secret::check_toml(value.get_ref())
            .and_then(|()| known(server, key, value.get_ref()))
            .and_then(|arg| set(arg, key, Source::File(name.into(), line), value.get_ref()))
            .and_then(|setting| judge(server, &setting).map(|()| setting));
        match setting {
            Ok(setting) => settings.push((line, setting)),
            Err(mistake) => mistakes.push((line, format!("{name}:{line}: {mistake}"))),
        }
    }
    if !mistakes.is_empty() {
        mistakes.sort();
        let lines: Vec<_> = mistakes.into_iter().map(|(_, mistake)| mistake).collect();
        return Err(Stop::Mistakes(lines.join("\n")));
    }
    settings.sort_by_key(|(line, _)| *line);
    Ok(settings.into_iter().map(|(_, setting)| setting).collect())
}

/// The flag of this key. The error suggests a similar key.
fn known<'a>(server: &'a Command, key: &str, value: &DeValue<'_>) -> Result<&'a Arg, String> {
    if key == CONFIG {
        return Err("config: a configuration file cannot name another one".into());
    }
    if let Some(arg) = setting::find(server, key) {
        return Ok(arg);
    }
    if value.is_table() {
        return Err(format!(
            "unknown table [{key}]: the only tables are [[route]], all other keys are at the top level"
        ));
    }
    /// The least similarity for a suggestion, the same as clap's.
    const SIMILAR: f64 = 0.7;
    let keys = server.get_arguments().filter_map(Arg::get_long);
    let nearest = keys
        .filter(|known| *known != CONFIG)
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Err(match nearest {
        Some((_, nearest)) => format!("unknown key {key:?}: did you mean {nearest:?}?"),
        None => format!("unknown key {key:?}: the keys are the flags of corelane --help"),
    })
}

fn set(arg: &Arg, key: &str, source: Source, value: &DeValue<'_>) -> Result<Setting, String> {
    let wrong = |found: &DeValue<'_>| {
        let expected = expected(arg);
        format!("{key}: expected {expected}, found {}", describe(found))
    };
    Ok(match (Shape::of(arg), value) {
        (Shape::Switch, DeValue::Boolean(on)) => Setting::switch(key, source, *on),
        (Shape::Count, DeValue::Integer(number)) => {
            let count = u8::from_str_radix(number.as_str(), number.radix());
            Setting::count(key, source, count.map_err(|_| wrong(value))?)
        }
        (Shape::Many(kind), DeValue::Array(values)) => {
            let values = values.iter().map(|value| {
                let value = value.get_ref();
                one(kind, value).ok_or_else(|| wrong(value))
            });
            Setting::of_values(key, source, values.collect::<Result<_, _>>()?)
        }
        (Shape::One(kind) | Shape::Many(kind), value) => {
            let value = one(kind, value).ok_or_else(|| wrong(value))?;
            Setting::of_values(key, source, vec![value])
        }
        (Shape::Switch | Shape::Count, _) => return Err(wrong(value)),
    })
}

fn one(kind: Kind, value: &DeValue<'_>) -> Option<OsString> {
    match value {
        DeValue::String(text) if kind != Kind::Number => Some(text.as_ref().into()),
        DeValue::Integer(number) if kind != Kind::Text => {
            let radix = number.radix();
            let number = i128::from_str_radix(number.as_str(), radix).ok()?;
            Some(number.to_string().into())
        }
        _ => None,
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
        DeValue::Datetime(_) => "a date".into(),
    }
}
