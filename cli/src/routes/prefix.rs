//! Path prefixes, and the paths that are below them.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    str::FromStr,
};

use percent_encoding::percent_decode_str;

/// A path prefix of whole segments: `/a` has `/a`, `/a/` and `/a/b` below it, but not `/ab`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Prefix(String);

impl Prefix {
    /// The prefix of all paths.
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    /// Without the slash at its end; empty for that of all paths.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// As its derived `Hash` and `Eq` do, which are those of the text.
impl Borrow<str> for Prefix {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '%' | '?' | '#' | '\\');
        if !text.starts_with('/') || !text.chars().all(is_plain) {
            return Err(format!(
                "the prefix {text:?} has to begin with a slash and to be plain text, without %, ? and #"
            ));
        }
        let segments = text.trim_end_matches('/').split('/').skip(1);
        if segments.clone().any(|it| matches!(it, "" | "." | "..")) {
            return Err(format!("the prefix {text:?} has an empty segment, . or .."));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// The path as routes are matched with it: decoded, without empty segments. `None` if a segment is `.`
/// or `..`: the target of the route might resolve it to a path of another route.
pub(super) fn normalize(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains(['%', '\\']) && !path.contains("//") && !path.contains("/.") {
        return Some(path.into());
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut normal = String::with_capacity(decoded.len());
    for segment in decoded.split(['/', '\\']) {
        match segment {
            "." | ".." => return None,
            "" => {}
            _ => normal.extend(["/", segment]),
        }
    }
    if decoded.ends_with('/') || normal.is_empty() {
        normal.push('/');
    }
    Some(normal.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_plain_paths() {
        for wrong in [
            "", "api", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/%61", "/a b", "/ä", "*",
        ] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong:?}");
        }
        assert_eq!("/".parse(), Ok(Prefix::root()));
    }

    #[test]
    fn paths_are_matched_decoded_and_without_dot_segments() {
        for (path, normal) in [
            ("/", Some("/")),
            ("//", Some("/")),
            ("/a/b/", Some("/a/b/")),
            ("//a///b", Some("/a/b")),
            ("/%61dmin", Some("/admin")),
            ("/a%2fb", Some("/a/b")),
            ("/.well-known/a", Some("/.well-known/a")),
            ("/a..b/...", Some("/a..b/...")),
            ("/a/../b", None),
            ("/a/%2e%2e/b", None),
            ("/a/..%2fb", None),
            ("/a/..%5cb", None),
            ("/a\\..\\b", None),
            ("/a/.", None),
            ("/..", None),
        ] {
            assert_eq!(normalize(path).as_deref(), normal, "{path}");
        }
    }
}
