//! One route as the operator writes it: `PREFIX=TARGET`, or a table.

use std::{fmt, num::NonZeroU64, path::PathBuf, str::FromStr};

use corelane::Chain;
use corelane_gateway::Upstream;
use http::HeaderValue;
use serde::{Deserialize, Deserializer, de};

use super::prefix::Prefix;

/// A path prefix, and what answers the requests below it.
#[derive(Clone, Debug, PartialEq)]
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

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Files(FilesSpec),
    Upstreams(UpstreamsSpec),
}

/// A folder. Options that are `None` are those of the flags.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FilesSpec {
    pub(super) root: PathBuf,
    pub(super) hidden_files: Option<bool>,
    pub(super) spa: Option<bool>,
    pub(super) cache_control: Option<HeaderValue>,
}

/// Servers that take turns. Options that are `None` are those of the flags.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct UpstreamsSpec {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) strip_prefix: bool,
    pub(super) rewrite_host: Option<bool>,
    pub(super) connect_timeout: Option<NonZeroU64>,
    pub(super) upstream_timeout: Option<NonZeroU64>,
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

    #[serde(default, deserialize_with = "parsed_upstreams")]
    upstream: Option<Vec<Upstream>>,
    strip_prefix: Option<bool>,
    rewrite_host: Option<bool>,
    connect_timeout: Option<NonZeroU64>,
    upstream_timeout: Option<NonZeroU64>,
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
        Ok(Self {
            prefix: prefix.parse()?,
            target: target.parse()?,
        })
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the target is empty: expected a folder or the URL of an upstream".into());
        }
        Ok(match is_url(text) {
            true => Self::Upstreams(UpstreamsSpec {
                upstreams: vec![upstream(text)?],
                ..UpstreamsSpec::default()
            }),
            false => Self::Files(FilesSpec {
                root: text.into(),
                ..FilesSpec::default()
            }),
        })
    }
}

impl<'de> Deserialize<'de> for RouteSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        let (prefix, target) = table.target().map_err(de::Error::custom)?;
        Ok(Self { prefix, target })
    }
}

impl Table {
    fn target(self) -> Result<(Prefix, Target), String> {
        let for_files = [
            ("hidden-files", self.hidden_files.is_some()),
            ("spa", self.spa.is_some()),
            ("cache-control", self.cache_control.is_some()),
        ];
        let for_upstreams = [
            ("strip-prefix", self.strip_prefix.is_some()),
            ("rewrite-host", self.rewrite_host.is_some()),
            ("connect-timeout", self.connect_timeout.is_some()),
            ("upstream-timeout", self.upstream_timeout.is_some()),
        ];
        let (target, other, foreign) = match (self.root, self.upstream) {
            (Some(_), Some(_)) => return Err("a route has a root or an upstream, not both".into()),
            (None, None) => return Err("a route needs a root or an upstream".into()),
            (Some(root), None) => {
                let target = Target::Files(FilesSpec {
                    root,
                    hidden_files: self.hidden_files,
                    spa: self.spa,
                    cache_control: self.cache_control,
                });
                (target, "an upstream", &for_upstreams[..])
            }
            (None, Some(upstreams)) => {
                let target = Target::Upstreams(UpstreamsSpec {
                    upstreams,
                    strip_prefix: self.strip_prefix.unwrap_or(false),
                    rewrite_host: self.rewrite_host,
                    connect_timeout: self.connect_timeout,
                    upstream_timeout: self.upstream_timeout,
                });
                (target, "a root", &for_files[..])
            }
        };
        match foreign.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(format!("{key} is for routes with {other}")),
            None => Ok((self.prefix, target)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(files) => write!(f, "files of {}", files.root.display()),
            Self::Upstreams(UpstreamsSpec { upstreams, .. }) => {
                let upstreams: Vec<_> = upstreams.iter().map(Upstream::to_string).collect();
                f.write_str(&upstreams.join(", "))
            }
        }
    }
}

/// Whether a target is an upstream; otherwise it is a folder.
fn is_url(text: &str) -> bool {
    text.starts_with("unix:") || text.contains("://")
}

fn upstream(text: &str) -> Result<Upstream, String> {
    text.parse()
        .map_err(|error: corelane::Error| Chain(&error).to_string())
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

fn parsed_header<'de, D>(deserializer: D) -> Result<Option<HeaderValue>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    header_value(&text).map(Some).map_err(de::Error::custom)
}

/// One, or a list.
fn parsed_upstreams<'de, D>(deserializer: D) -> Result<Option<Vec<Upstream>>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a URL or a list of URLs")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let texts = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    };
    if texts.is_empty() {
        return Err(de::Error::custom("upstream is an empty list"));
    }
    let upstreams = texts.iter().map(|text| upstream(text));
    let upstreams: Result<_, _> = upstreams.collect();
    upstreams.map(Some).map_err(de::Error::custom)
}
