//! Values by path prefix.

use std::collections::HashMap;

use super::prefix::Prefix;

/// Values by path prefix. A search looks a few prefixes up, however many there are.
pub(super) struct ByPrefix<T> {
    values: HashMap<Prefix, T>,
    /// Bytes of the longest prefix.
    longest: usize,
}

impl<T> ByPrefix<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of the longest prefix that has this normal path below it.
    pub(super) fn find(&self, path: &str) -> Option<&T> {
        let values = self.candidates(path).map(|prefix| self.values.get(prefix));
        values.flatten().last()
    }

    /// What may be a prefix of the path: its beginnings of whole segments, the shortest first. None is
    /// longer than the longest prefix, so that a long path costs no more.
    fn candidates<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let ends = path.match_indices('/').map(|(end, _)| end);
        let ends = ends.chain([path.len()]);
        let longest = self.longest;
        ends.take_while(move |end| *end <= longest)
            .map(|end| &path[..end])
    }
}

impl<T> FromIterator<(Prefix, T)> for ByPrefix<T> {
    fn from_iter<I: IntoIterator<Item = (Prefix, T)>>(all: I) -> Self {
        let values: HashMap<_, _> = all.into_iter().collect();
        let lengths = values.keys().map(|prefix: &Prefix| prefix.as_str().len());
        Self {
            longest: lengths.max().unwrap_or(0),
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_prefix<'a>(prefixes: impl IntoIterator<Item = &'a str>) -> ByPrefix<&'a str> {
        let each = |prefix: &'a str| (prefix.parse().expect("a prefix"), prefix);
        prefixes.into_iter().map(each).collect()
    }

    #[test]
    fn a_prefix_has_whole_segments_below_it() {
        let routes = by_prefix(["/api/"]);
        for (path, is_below) in [
            ("/api", true),
            ("/api/", true),
            ("/api/a", true),
            ("/apis", false),
            ("/ap", false),
            ("/", false),
            ("/a/api", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(routes.find(path).is_some(), is_below, "{path}");
        }
        assert_eq!(by_prefix([]).find("/"), None);
    }

    #[test]
    fn the_longest_prefix_applies() {
        let routes = by_prefix(["/", "/a", "/a/b/c", "/a-b"]);
        for (path, found) in [
            ("", Some("/")),
            ("/", Some("/")),
            ("/b", Some("/")),
            ("/a", Some("/a")),
            ("/a/", Some("/a")),
            ("/a/b", Some("/a")),
            ("/a/b/cd", Some("/a")),
            ("/a/b/c", Some("/a/b/c")),
            ("/a/b/c/d/e", Some("/a/b/c")),
            ("/a-b/c", Some("/a-b")),
            ("/a-bc", Some("/")),
            ("/ä/b", Some("/")),
            ("*", None),
        ] {
            assert_eq!(routes.find(path).copied(), found, "{path}");
        }
    }

    #[test]
    fn a_search_looks_as_many_prefixes_up_with_a_thousand_routes_as_with_one() {
        let path = format!("/r500{}", "/a".repeat(8_000));
        let prefixes: Vec<_> = (0..1_000).map(|index| format!("/r{index}")).collect();
        let all = by_prefix(prefixes.iter().map(String::as_str));
        assert_eq!(all.find(&path).copied(), Some("/r500"));
        for routes in [all, by_prefix(["/r500"])] {
            assert!(routes.candidates(&path).eq(["", "/r500"]));
        }
    }
}
