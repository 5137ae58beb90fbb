//! One setting: a key, its value, and its source.

use std::{any::TypeId, ffi::OsString, fmt, num, path::PathBuf};

use clap::{Arg, ArgAction, Command};

/// The key that names the configuration file, and that cannot stand in it.
pub(super) const CONFIG: &str = "config";

#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The long name of the flag.
    pub(super) key: String,
    /// What messages about it begin with: the key, or the key and what tells tables apart.
    pub(super) name: String,
    pub(super) source: Source,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    /// On the command line, which holds the value.
    Typed,
    Switch(bool),
    Count(u8),
    Values(Vec<OsString>),
}

/// The source of a setting.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Flag(String),
    Variable(String),
    /// Path and line.
    File(String, usize),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "the flag --{key}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File(path, line) => write!(f, "{path}:{line}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.key, self.source)
    }
}

impl Setting {
    fn new(key: &str, source: Source, value: Value) -> Self {
        Self {
            key: key.into(),
            name: key.into(),
            source,
            value,
        }
    }

    /// One of several tables of this key.
    pub(super) fn of_table(key: &str, name: String, source: Source, value: OsString) -> Self {
        let value = Value::Values(vec![value]);
        Self {
            name,
            ..Self::new(key, source, value)
        }
    }

    pub(super) fn typed(key: &str) -> Self {
        Self::new(key, Source::Flag(key.into()), Value::Typed)
    }

    pub(super) fn switch(key: &str, source: Source, on: bool) -> Self {
        Self::new(key, source, Value::Switch(on))
    }

    pub(super) fn count(key: &str, source: Source, count: u8) -> Self {
        Self::new(key, source, Value::Count(count))
    }

    pub(super) fn of_values(key: &str, source: Source, values: Vec<OsString>) -> Self {
        Self::new(key, source, Value::Values(values))
    }

    /// The same setting as flags. None for a switch that is off: clap would treat the flag as present,
    /// and report conflicts with it.
    pub(super) fn as_flags(&self) -> Vec<OsString> {
        let flag = OsString::from(format!("--{}", self.key));
        match &self.value {
            Value::Typed | Value::Switch(false) => Vec::new(),
            Value::Switch(true) => vec![format!("--{}=true", self.key).into()],
            Value::Count(count) => vec![flag; usize::from(*count)],
            Value::Values(values) => values
                .iter()
                .map(|value| {
                    let mut flag = flag.clone();
                    flag.push("=");
                    flag.push(value);
                    flag
                })
                .collect(),
        }
    }

    /// Whether the text names the flag, or the table.
    pub(super) fn is_named_in(&self, text: &str) -> bool {
        let flag = format!("--{}", self.name);
        text.match_indices(&flag).any(|(at, _)| {
            let behind = text[at + flag.len()..].chars().next();
            !behind.is_some_and(|c| matches!(c, '-' | '/') || c.is_alphanumeric())
        })
    }

    pub(super) fn is_off(&self) -> bool {
        matches!(self.value, Value::Switch(false))
    }

    pub(super) fn values(&self) -> &[OsString] {
        match &self.value {
            Value::Values(values) => values,
            _ => &[],
        }
    }
}

/// The values that a flag takes, read from clap's definition.
pub(super) enum Shape {
    Switch,
    Count,
    One(Kind),
    /// Repeatable.
    Many(Kind),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    /// Text that may be a number: `auto` or 4.
    Either,
}

impl Shape {
    pub(super) fn of(arg: &Arg) -> Self {
        let boolean = arg.get_value_parser().type_id() == TypeId::of::<bool>();
        match arg.get_action() {
            ArgAction::Count => Self::Count,
            ArgAction::Append => Self::Many(Kind::of(arg)),
            _ if boolean => Self::Switch,
            _ => Self::One(Kind::of(arg)),
        }
    }
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        let is = arg.get_value_parser().type_id();
        let numbers = [
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<num::NonZeroU8>(),
            TypeId::of::<num::NonZeroU16>(),
            TypeId::of::<num::NonZeroU32>(),
            TypeId::of::<num::NonZeroU64>(),
            TypeId::of::<num::NonZeroUsize>(),
        ];
        let texts = [
            TypeId::of::<String>(),
            TypeId::of::<OsString>(),
            TypeId::of::<PathBuf>(),
        ];
        if numbers.iter().any(|number| is == *number) {
            Self::Number
        } else if texts.iter().any(|text| is == *text) {
            Self::Text
        } else {
            Self::Either
        }
    }
}

/// Describes the values that a flag takes, for messages.
pub(super) fn expected(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first());
    let name = name.map_or("", |name| name.as_str());
    let one = |kind| match kind {
        Kind::Number => format!("a number ({name})"),
        Kind::Text => format!("a string ({name})"),
        Kind::Either => {
            let possible = arg.get_possible_values();
            let possible: Vec<_> = possible.iter().map(|value| value.get_name()).collect();
            match possible.is_empty() {
                true => format!("a string or a number ({name})"),
                false => format!("one of {}", possible.join(", ")),
            }
        }
    };
    match Shape::of(arg) {
        Shape::Switch => "true or false".into(),
        Shape::Count => "a number from 0 to 255".into(),
        Shape::One(kind) => one(kind),
        Shape::Many(kind) => format!("a list, each element {}", one(kind)),
    }
}

/// The flag of this long name.
pub(super) fn find<'a>(server: &'a Command, key: &str) -> Option<&'a Arg> {
    server
        .get_arguments()
        .find(|arg| arg.get_long() == Some(key))
}

/// clap's message without the usage.
pub(super) fn without_usage(text: &str) -> String {
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more").next().unwrap_or_default();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    text.trim_end().to_owned()
}
