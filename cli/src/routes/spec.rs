//! One route as the operator writes it: `PREFIX=TARGET`, or a table.

use std::{fmt, path::PathBuf, str::FromStr};

use http::HeaderValue;
use serde::{Deserialize, Deserializer, de};

use super::prefix::Prefix;

/// A path prefix, and what answers the requests below it.
#[derive(Clone, Debug)]
pub(crate) struct RouteSpec {
    pub(super) prefix: Prefix,
    pub(super) target: Target,
}

impl RouteSpec {
    /// As messages name it.
    pub(crate) fn prefix(&self) -> String {
        self.prefix.to_string()
    }
}

#[derive(Clone, Debug)]
pub(super) enum Target {
    Files(FilesSpec),
}

/// A folder. Options that are `None` are those of the flags.
#[derive(Clone, Debug)]
pub(super) struct FilesSpec {
    pub(super) root: PathBuf,
    pub(super) hidden_files: Option<bool>,
    pub(super) spa: Option<bool>,
    pub(super) cache_control: Option<HeaderValue>,
}

impl FilesSpec {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            hidden_files: None,
            spa: None,
            cache_control: None,
        }
    }
}

/// A table `[[route]]` of the configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    #[serde(deserialize_with = "parsed")]
    prefix: Prefix,
    root: Option<PathBuf>,
    hidden_files: Option<bool>,
    spa: Option<bool>,
    #[serde(default, deserialize_with = "parsed_header")]
    cache_control: Option<HeaderValue>,
}

impl FromStr for RouteSpec {
    type Err = String;

    /// A flag, or a table in one line, which the configuration file becomes.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('{') {
            let table = toml::de::ValueDeserializer::parse(text).and_then(Self::deserialize);
            return table.map_err(|error| error.message().to_owned());
        }
        let (prefix, target) = text
            .split_once('=')
            .ok_or("expected PREFIX=TARGET, for instance /static=/srv/www")?;
        let prefix = prefix.parse()?;
        let target = Target::from_str(target)?;
        Ok(Self { prefix, target })
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the target is empty: expected a folder".into());
        }
        Ok(Self::Files(FilesSpec::new(text.into())))
    }
}

impl<'de> Deserialize<'de> for RouteSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        let target = match table.root {
            Some(root) => Target::Files(FilesSpec {
                root,
                hidden_files: table.hidden_files,
                spa: table.spa,
                cache_control: table.cache_control,
            }),
            None => return Err(de::Error::custom("a route needs a root")),
        };
        let prefix = table.prefix;
        Ok(Self { prefix, target })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(files) => write!(f, "files of {}", files.root.display()),
        }
    }
}

/// The value of a `cache-control` header.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, String> {
    match HeaderValue::from_str(text) {
        Ok(value) if !text.trim().is_empty() => Ok(value),
        _ => Err("expected the value of a header, for instance \"max-age=3600\"".into()),
    }
}

fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

fn parsed_header<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HeaderValue>, D::Error> {
    let text = String::deserialize(deserializer)?;
    header_value(&text).map(Some).map_err(de::Error::custom)
}
