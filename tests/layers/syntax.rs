//! Parses a Rust file: the modules that it declares, its imports, the paths in its code and the items
//! that it defines. Works on tokens, so that the input of macros counts too.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file, or a module with a body.
#[derive(Debug, Default)]
pub struct Scope {
    pub modules: Vec<Module>,
    pub imports: Vec<Import>,
    /// Paths of two segments or more, outside of `use`.
    pub paths: Vec<Vec<String>>,
    /// Names of the items that are defined here.
    pub items: BTreeSet<String>,
    /// The whole scope is compiled for tests only.
    pub test: bool,
}

#[derive(Debug)]
pub struct Module {
    pub name: String,
    /// The value of `#[path]`.
    pub path: Option<String>,
    pub test: bool,
    /// None if the module has its own file.
    pub body: Option<Scope>,
}

/// One leaf of a `use` tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    pub path: Vec<String>,
    pub name: Name,
    /// A re-export.
    pub public: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Name {
    Is(String),
    Glob,
}

pub fn parse(text: &str) -> Result<Scope, String> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error| format!("cannot be read: {error}"))?;
    let mut scope = Scope::default();
    read(tokens, &mut scope, Level::Items);
    Ok(scope)
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// A module's items.
    Items,
    /// The input of a macro at that level, which may hold items at any depth, as in `cfg_if!`.
    Macro,
    /// Function bodies, fields, arguments.
    Inner,
}

/// Keywords before the name of an item.
const ITEMS: [&str; 9] = [
    "const", "enum", "fn", "macro", "static", "struct", "trait", "type", "union",
];

#[derive(Default)]
struct Attributes {
    test: bool,
    path: Option<String>,
}

fn read(tokens: TokenStream, scope: &mut Scope, level: Level) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut attributes = Attributes::default();
    let mut public = false;
    let mut at = 0;
    while at < tokens.len() {
        if let Some((inner, text, next)) = attribute(&tokens, at) {
            let test = text.starts_with("cfg (test") || text.starts_with("cfg (all (test");
            if test && inner {
                scope.test = true;
                return;
            }
            attributes.test |= test;
            if let Some(path) = text.strip_prefix("path = ") {
                attributes.path = Some(path.trim_matches('"').to_owned());
            }
            at = next;
            continue;
        }
        let word = word(tokens.get(at));
        if word.as_deref() == Some("pub") {
            public = true;
            at += 1;
            if is_group(tokens.get(at), Delimiter::Parenthesis) {
                at += 1;
            }
            continue;
        }
        let next = word_after(&tokens, at);
        at = match (word.as_deref(), &next) {
            (Some("mod"), Some(name)) => {
                let body = body(&tokens, at + 2).map(|tokens| {
                    let mut body = Scope::default();
                    read(tokens, &mut body, Level::Items);
                    body
                });
                scope.modules.push(Module {
                    name: name.clone(),
                    path: attributes.path.take(),
                    test: attributes.test,
                    body,
                });
                at + 3
            }
            _ if attributes.test => end_of_item(&tokens, at, level),
            (Some("use"), _) if !is_punct(tokens.get(at + 1), '<') => {
                let end = position(&tokens, at, ';');
                import(&tokens[at + 1..end], &[], public, &mut scope.imports);
                end + 1
            }
            (Some(word), _) if level != Level::Inner && ITEMS.contains(&word) => {
                let name = next
                    .filter(|it| it != "mut")
                    .or(word_after(&tokens, at + 1));
                scope.items.extend(name);
                at + 1
            }
            (Some("macro_rules"), _) if level != Level::Inner => {
                scope.items.extend(word_after(&tokens, at + 1));
                at + 1
            }
            (Some(_), _) => path(&tokens, at, &mut scope.paths),
            (None, _) => {
                if let TokenTree::Group(group) = &tokens[at] {
                    let level = match level {
                        Level::Items if is_macro_input(&tokens, at) => Level::Macro,
                        Level::Macro => Level::Macro,
                        _ => Level::Inner,
                    };
                    read(group.stream(), scope, level);
                }
                at + 1
            }
        };
        (attributes, public) = (Attributes::default(), false);
    }
}

/// Whether the code contains the word, other than in a comment or a text.
pub fn has_word(text: &str, word: &str) -> bool {
    fn contains(tokens: TokenStream, word: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => contains(group.stream(), word),
            TokenTree::Ident(ident) => ident == word,
            _ => false,
        })
    }
    contains(text.parse().expect("Rust"), word)
}

/// Returns whether the attribute is an inner one (`#![..]`), its content and its end.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(bool, String, usize)> {
    let inner = is_punct(tokens.get(at + 1), '!');
    let group = at + 1 + usize::from(inner);
    match (tokens.get(at), tokens.get(group)) {
        (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(it)))
            if hash.as_char() == '#' && it.delimiter() == Delimiter::Bracket =>
        {
            Some((inner, it.stream().to_string(), group + 1))
        }
        _ => None,
    }
}

/// Returns the end of the item, field, variant or expression that follows an attribute.
fn end_of_item(tokens: &[TokenTree], begin: usize, level: Level) -> usize {
    const BEGIN: [&str; 6] = ["async", "extern", "impl", "mod", "unsafe", "use"];
    let first = word(tokens.get(begin)).unwrap_or_default();
    let is_item = level != Level::Inner || BEGIN.contains(&&*first) || ITEMS.contains(&&*first);
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        let ends = match token {
            TokenTree::Group(it) => it.delimiter() == Delimiter::Brace && first != "use",
            TokenTree::Punct(it) => it.as_char() == ';' || it.as_char() == ',' && !is_item,
            _ => false,
        };
        if ends {
            return at + 1;
        }
    }
    tokens.len()
}

/// `a::{b, c as d, e::*}`.
fn import(tree: &[TokenTree], prefix: &[String], public: bool, imports: &mut Vec<Import>) {
    let comma = |token: &TokenTree| is_punct(Some(token), ',');
    for branch in tree.split(comma).filter(|branch| !branch.is_empty()) {
        let mut path = prefix.to_vec();
        let mut name = None;
        let mut at = 0;
        while at < branch.len() {
            match &branch[at] {
                TokenTree::Ident(word) if word == "as" => {
                    name = word_after(branch, at).map(Name::Is);
                    at += 1;
                }
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(plain(word)),
                TokenTree::Punct(star) if star.as_char() == '*' => name = Some(Name::Glob),
                TokenTree::Group(group) => {
                    let tree: Vec<_> = group.stream().into_iter().collect();
                    import(&tree, &path, public, imports);
                    path.clear();
                }
                _ => {}
            }
            at += 1;
        }
        if let Some(name) = name.or(path.last().cloned().map(Name::Is)) {
            imports.push(Import { path, name, public });
        }
    }
}

/// Adds the path that begins at `begin`. Returns its end.
fn path(tokens: &[TokenTree], begin: usize, paths: &mut Vec<Vec<String>>) -> usize {
    let mut segments = Vec::new();
    let mut at = begin;
    while let Some(segment) = word(tokens.get(at)) {
        segments.push(segment);
        at += 1;
        let colons = is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':');
        if !colons || word(tokens.get(at + 2)).is_none() {
            break;
        }
        at += 2;
    }
    let before = |n: usize| begin.checked_sub(n).and_then(|at| tokens.get(at));
    // `$name::x` of a macro, or the end of `<T as Trait>::x`.
    let unknown = is_punct(before(1), '$') && segments[0] != "crate"
        || is_punct(before(1), ':') && is_punct(before(2), ':');
    if segments.len() > 1 && !unknown {
        paths.push(segments);
    }
    at
}

fn body(tokens: &[TokenTree], at: usize) -> Option<TokenStream> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => Some(group.stream()),
        _ => None,
    }
}

/// `name! {..}` or `name! other {..}`.
fn is_macro_input(tokens: &[TokenTree], group: usize) -> bool {
    let before = |n: usize| group.checked_sub(n).and_then(|at| tokens.get(at));
    is_punct(before(1), '!') || word(before(1)).is_some() && is_punct(before(2), '!')
}

fn position(tokens: &[TokenTree], begin: usize, wanted: char) -> usize {
    (begin..tokens.len())
        .find(|&at| is_punct(tokens.get(at), wanted))
        .unwrap_or(tokens.len())
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(it)) if it.as_char() == wanted)
}

fn is_group(token: Option<&TokenTree>, wanted: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(it)) if it.delimiter() == wanted)
}

fn word_after(tokens: &[TokenTree], at: usize) -> Option<String> {
    word(tokens.get(at + 1))
}

fn word(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(word)) => Some(plain(word)),
        _ => None,
    }
}

/// Without the prefix of a raw identifier.
fn plain(word: &proc_macro2::Ident) -> String {
    let word = word.to_string();
    word.strip_prefix("r#").map(str::to_owned).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let show = |it: &Import| match &it.name {
            Name::Glob => format!("{}::*", it.path.join("::")),
            Name::Is(name) => format!("{} as {name}", it.path.join("::")),
        };
        let scope = parse(text).expect("Rust");
        scope.imports.iter().map(show).collect()
    }

    #[test]
    fn use_trees_are_taken_apart() {
        assert_eq!(
            imports("use a::{self, b::{c as d, *}, r#type};"),
            ["a as a", "a::b::c as d", "a::b::*", "a::type as type"]
        );
    }

    #[test]
    fn comments_strings_and_tests_are_not_code() {
        let text = "/// crate::a::B\n\
                    fn f() { let x = \"use crate::a::B;\"; }\n\
                    #[cfg(test)] use crate::{a, b};\n\
                    #[cfg(test)] mod tests { use crate::c; }\n\
                    struct S { #[cfg(test)] x: crate::a::X, y: crate::b::Y }\n\
                    #[cfg(test)] fn g() -> crate::d::D { crate::d::D {} }";
        let scope = parse(text).expect("Rust");
        assert!(scope.imports.is_empty(), "{:?}", scope.imports);
        assert_eq!(scope.paths, [["crate", "b", "Y"]]);
        assert!(scope.modules[0].test);
        assert!(parse("#![cfg(test)]\nuse crate::a;").expect("Rust").test);
    }

    #[test]
    fn items_and_modules_within_cfg_if_count() {
        let text = "cfg_if::cfg_if! { if #[cfg(unix)] { mod a; pub use a::B; } else { \
                    #[path = \"c.rs\"] mod a; struct D; } }";
        let scope = parse(text).expect("Rust");
        assert_eq!(scope.modules.len(), 2);
        assert_eq!(scope.modules[1].path.as_deref(), Some("c.rs"));
        assert_eq!(imports(text), ["a::B as B"]);
        assert!(scope.items.contains("D"));
    }

    #[test]
    fn paths_end_at_generic_arguments() {
        let scope = parse("fn f() { a::b::<c::D>(); <T as e::F>::g(); $h::i(); $crate::j(); }");
        let paths: Vec<_> = scope
            .expect("Rust")
            .paths
            .iter()
            .map(|it| it.join("::"))
            .collect();
        assert_eq!(paths, ["a::b", "c::D", "e::F", "crate::j"]);
    }
}
