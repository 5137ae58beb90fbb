//! The layer rule, read from the `use` lines: what each part of `src/` may know of.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Files that know of nothing but each other.
const LEAVES: &[&str] = &[
    "alert",
    "alpn",
    "buffer",
    "config",
    "connection_info",
    "counters",
    "error",
    "negotiated",
    "scratch",
    "time",
];

/// A layer: its files, the crate's own modules that it may use, and the crates.
struct Layer {
    path: &'static str,
    modules: &'static [&'static str],
    crates: &'static [&'static str],
}

/// Crates that any layer may use: vocabulary, not machinery.
const VOCABULARY: &[&str] = &["bytes", "cfg_if", "tracing"];

const LAYERS: &[Layer] = &[
    Layer {
        path: "tls/rustls.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/client_verifier.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/session_age.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/tickets.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    Layer {
        path: "tls/no_tickets.rs",
        modules: &["tls::*"],
        crates: &["rustls"],
    },
    // Which of them seals tickets is chosen there.
    Layer {
        path: "tls/mod.rs",
        modules: &["tls::*"],
        crates: &["aws_lc_rs", "ring"],
    },
    Layer {
        path: "tls/native_tls.rs",
        modules: &["tls::*"],
        crates: &["native_tls", "openssl"],
    },
    Layer {
        path: "tls/certificate.rs",
        modules: &["tls::*"],
        crates: &["x509_parser"],
    },
    Layer {
        path: "tls/",
        modules: &["tls::*"],
        crates: &["tls_parser"],
    },
    Layer {
        path: "probe/rustls.rs",
        modules: &["probe::*", "tls::crypto_provider"],
        crates: &["rustls", "rustls_native_certs", "monoio_rustls"],
    },
    Layer {
        path: "probe/native_tls.rs",
        modules: &["probe::*"],
        crates: &["native_tls", "monoio_native_tls"],
    },
    Layer {
        path: "probe/",
        modules: &["probe::*", "tls::server_hello", "tls::client_hello"],
        crates: &["monoio", "h2", "http", "tokio", "tls_parser"],
    },
    Layer {
        path: "io/",
        modules: &["io::*", "tls::session", "tls::client_hello"],
        crates: &["ppp", "tokio"],
    },
    Layer {
        path: "http2/",
        modules: &["http2::*", "service"],
        crates: &[
            "h2",
            "http",
            "http_body",
            "httpdate",
            "futures_util",
            "futures_channel",
            "pin_project_lite",
            "tokio",
        ],
    },
    Layer {
        path: "service.rs",
        modules: &["http2::Body"],
        crates: &["http", "http_body", "tower_service"],
    },
    Layer {
        path: "server/",
        modules: &[
            "server::*",
            "http2",
            "http2::*",
            "io",
            "io::*",
            "service",
            "tls::TlsAcceptor",
        ],
        crates: &[
            "monoio",
            "tokio",
            "tokio_util",
            "futures_util",
            "socket2",
            "arc_swap",
            "ipnet",
            "core_affinity",
            "rlimit",
            "slab",
            "procfs",
            "io_uring",
            "nix",
        ],
    },
    Layer {
        path: "metrics.rs",
        modules: &["server::*"],
        crates: &["metrics"],
    },
    // The leaves.
    Layer {
        path: "",
        modules: &[],
        crates: &["tls_parser", "h2"],
    },
];

#[test]
fn every_file_keeps_to_its_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for file in rust_files(&src) {
        let name = file.strip_prefix(&src).expect("below src");
        let name = name.to_str().expect("UTF-8").to_owned();
        if name == "lib.rs" || name.ends_with("_tests.rs") || name.contains("fuzzing") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        for violation in violations(&name, &text) {
            broken.push(format!("src/{name}: {violation}"));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_broken_rule_is_noticed() {
    for (name, text) in [
        ("io/stream.rs", "use monoio::net::TcpStream;"),
        ("tls/identity.rs", "use x509_parser::pem::Pem;"),
        (
            "io/stream.rs",
            "use crate::{tls::{rustls::RustlsAcceptor, session::Wire}};",
        ),
        (
            "http2/body.rs",
            "fn f() { crate::tls::session::MAX_SEALED; }",
        ),
        ("http2/body.rs", "use crate::io::TlsStream;"),
        ("tls/session.rs", "use rustls::ServerConnection;"),
        ("tls/rustls.rs", "use tokio::io::AsyncRead;"),
        ("tls/tickets.rs", "use ring::aead::Aad;"),
        ("alpn.rs", "use crate::tls::ClientHello;"),
        ("service.rs", "use crate::server::Handle;"),
        ("server/worker.rs", "use crate::tls::RustlsAcceptor;"),
        ("server/worker.rs", "use crate::probe::Report;"),
        ("probe/run.rs", "use crate::server::Handle;"),
        ("probe/http2.rs", "use rustls::ClientConfig;"),
        ("probe/rustls.rs", "use native_tls::TlsConnector;"),
    ] {
        assert!(!violations(name, text).is_empty(), "{name}: {text}");
    }
}

#[test]
fn backends_are_chosen_in_one_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&src) {
        let name = file.strip_prefix(&src).expect("below src");
        // The prober chooses its clients in one place of its own.
        let chooses = name.starts_with("tls") || name == Path::new("probe/mod.rs");
        if chooses || name.ends_with("stream_tests.rs") {
            continue;
        }
        let mut text = fs::read_to_string(&file).expect("readable");
        if name == Path::new("lib.rs") {
            // What has nothing to do with backends.
            for module in ["probe\")]\npub mod probe;", "metrics\")]\nmod metrics;"] {
                text = text.replacen(&format!("#[cfg(feature = \"{module}"), "", 1);
            }
        }
        assert!(
            !text.contains("feature ="),
            "src/{} asks for a cargo feature",
            name.display()
        );
    }
}

fn violations(name: &str, text: &str) -> Vec<String> {
    let layer = LAYERS
        .iter()
        .find(|layer| name.starts_with(layer.path))
        .expect("the last layer takes every file");
    // Unit tests may use what they like.
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut broken = Vec::new();
    for path in paths(text) {
        let (root, rest) = path.split_once("::").unwrap_or((&path, ""));
        let allowed = match root {
            "std" | "super" | "self" => true,
            "crate" => {
                let own = |allowed: &&&str| match allowed.strip_suffix('*') {
                    Some(prefix) => rest.starts_with(prefix),
                    None => rest == **allowed || rest.starts_with(&format!("{allowed}::")),
                };
                let leaf = rest.split("::").next().unwrap_or_default();
                LEAVES.contains(&leaf) || layer.modules.iter().any(|module| own(&module))
            }
            other => layer.crates.contains(&other) || VOCABULARY.contains(&other),
        };
        if !allowed {
            broken.push(path);
        }
    }
    broken
}

/// The paths that a file names: its `use` lines, taken apart, and every `crate::` in between.
fn paths(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = BTreeSet::new();
    let mut rest = &code[..];
    while let Some(at) = rest.find("use ") {
        let starts_a_line = rest[..at]
            .rsplit('\n')
            .next()
            .is_some_and(|before| before.trim().is_empty() || before.trim().starts_with("pub"));
        let after = &rest[at + 4..];
        let end = after.find(';').unwrap_or(after.len());
        if starts_a_line {
            let tree: String = after[..end].split_whitespace().collect::<Vec<_>>().join("");
            expand("", &tree, &mut found);
        }
        rest = &after[end..];
    }
    for (at, _) in code.match_indices("crate::") {
        let path: String = code[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
            .collect();
        found.insert(path.trim_end_matches(':').to_owned());
    }
    found.remove("crate");
    found
}

/// `a::{b, c::{d}}` into `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, found: &mut BTreeSet<String>) {
    let Some(open) = tree.find('{') else {
        let path = format!("{prefix}{tree}");
        found.insert(path.trim_start_matches("::").to_owned());
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0, 0);
    for (i, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..i].is_empty() {
                    expand(&prefix, &inner[start..i], found);
                }
                start = i + 1;
            }
            _ => {}
        }
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
