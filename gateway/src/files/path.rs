//! Which paths may name a file.

use http::Uri;
use percent_encoding::percent_decode_str;

/// The folder of RFC 8615, which is served although its name begins with a dot.
const WELL_KNOWN: &str = ".well-known";

/// Whether the path of a request may name a file below the root.
///
/// It may not if a segment is `.` or `..`, contains a slash, a backslash or NUL, is not UTF-8, or,
/// without `hidden`, begins with a dot. All that applies to the decoded path.
pub(super) fn is_servable(path: &str, hidden: bool) -> bool {
    let has_no_dots = !path.contains("/.");
    if has_no_dots && !path.contains(['%', '\\']) {
        return true;
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.enumerate().all(|(index, segment)| {
        let Ok(segment) = percent_decode_str(segment).decode_utf8() else {
            return false;
        };
        let is_hidden = segment.starts_with('.') && !(index == 0 && segment == WELL_KNOWN);
        !matches!(&*segment, "." | "..")
            && !segment.contains(['/', '\\', '\0'])
            && (hidden || !is_hidden)
    })
}

/// The URI for `ServeDir`: the path without empty segments, and the query.
///
/// Of `//example.org` `ServeDir` would make a redirect to another host. `None`: too long.
pub(super) fn uri(path: &str, query: Option<&str>) -> Option<Uri> {
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    if let Some(query) = query {
        merged.extend(["?", query]);
    }
    merged.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_name_no_file() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/%2E./etc/passwd",
            "/.%2e",
            "/./a",
            "/a/.",
            "/a%2fb",
            "/..%2fetc%2fpasswd",
            "/a%5c..%5cb",
            "/a\\..\\b",
            "/a%00.html",
            "/%ff%fe",
            "/.git/config",
            "/%2egit/config",
            "/a/.htpasswd",
            "/a/.well-known/b",
            "/.well-known/.secret",
        ] {
            assert!(!is_servable(path, false), "{path}");
        }
    }

    #[test]
    fn paths_that_may_name_a_file() {
        for path in [
            "/",
            "/a.b/c..d",
            "//a//b/",
            "/a%20b",
            "/gr%C3%BC%C3%9Fe",
            "/100%",
            "/%zz",
            "/%252e%252e/a",
            "/.well-known/security.txt",
        ] {
            assert!(is_servable(path, false), "{path}");
        }
        assert!(is_servable("/.git/config", true));
        assert!(!is_servable("/../a", true));
        assert!(!is_servable("/a/%2e", true));
    }

    #[test]
    fn a_path_begins_with_one_slash() {
        let merged = |path, query| uri(path, query).expect("a URI").to_string();
        assert_eq!(merged("//example.org//a/", None), "/example.org/a/");
        assert_eq!(merged("/", Some("a=//b")), "/?a=//b");
    }

    proptest! {
        /// By the decoding that `ServeDir` does, of the whole path at once.
        #[test]
        fn no_path_leaves_the_root(
            segments in prop::collection::vec(
                prop_oneof![
                    "[.]{1,3}",
                    "(%2[eEfF]|%5[cC]|%00|[.]|\\\\|%25|a){1,6}",
                    "[ -~]{0,8}",
                ],
                0..6,
            ),
            hidden: bool,
        ) {
            let path = format!("/{}", segments.join("/"));
            if is_servable(&path, hidden) {
                let decoded = percent_decode_str(&path).decode_utf8().expect("checked");
                let components = Path::new(&*decoded).components();
                prop_assert!(!decoded.contains('\0'), "{path}");
                for component in components.skip(1) {
                    let Component::Normal(name) = component else {
                        panic!("{path}: {component:?}");
                    };
                    let name = name.to_str().expect("text");
                    prop_assert!(hidden || !name.starts_with('.') || name == WELL_KNOWN, "{path}");
                }
            }
        }
    }
}
