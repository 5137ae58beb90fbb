//! Breaks each rule once in made-up files, to show that the checks fail.

use crate::{
    check::{manifest_violations, violations},
    circles::{circles, describe},
    modules::{Crate, Sources},
    repository::below,
    rules::{PACKAGES, Package},
};

/// These files, with a root file that declares them as modules unless there is one.
fn sources(root: &str, files: &[(&str, &str)]) -> Sources {
    let file = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let mut sources: Sources = files.iter().map(file).collect();
    let directory = root.trim_end_matches("lib.rs");
    let declare = |(name, _): &(&str, &str)| {
        let path = name.trim_start_matches(directory).trim_end_matches(".rs");
        let mut parts = path.rsplit('/');
        let module = format!("mod {};", parts.next().unwrap_or_default());
        parts.fold(module, |inner, outer| format!("mod {outer} {{ {inner} }}"))
    };
    let text = files.iter().map(declare).collect();
    sources.entry(root.to_owned()).or_insert(text);
    sources
}

fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let it = Crate::read("lib.rs", &sources("lib.rs", files)).expect("Rust");
    let arrows = it.arrows();
    let found = circles(&arrows);
    let names = found
        .iter()
        .map(|circle| circle.iter().map(|&file| file.to_owned()).collect());
    names.collect()
}

#[test]
fn circle_of_two_is_found() {
    let imports = [
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use super::a::A; pub struct B;"),
    ];
    assert_eq!(circles_of(&imports), [["a.rs", "b.rs"]]);
    let paths = [
        ("a.rs", "pub struct A(crate::b::B);"),
        ("b.rs", "pub struct B; fn f(_: super::a::A) {}"),
    ];
    assert_eq!(circles_of(&paths), [["a.rs", "b.rs"]]);
}

#[test]
fn circle_of_three_is_found() {
    let files = [
        ("a.rs", "use crate::b; pub fn f() { b::g() }"),
        ("b.rs", "use crate::c::*; pub fn g() { h() }"),
        ("c.rs", "use crate::{a::f, d::D}; pub fn h() { f() }"),
        ("d.rs", "pub struct D;"),
    ];
    assert_eq!(circles_of(&files), [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn circle_through_a_re_export_is_found() {
    let files = [
        ("lib.rs", "mod a; pub use a::One;"),
        (
            "a/mod.rs",
            "mod one; mod two; pub use self::{one::One, two::Two};",
        ),
        ("a/one.rs", "use super::Two; pub struct One;"),
        ("a/two.rs", "use crate::One; pub struct Two;"),
    ];
    assert_eq!(circles_of(&files), [["a/one.rs", "a/two.rs"]]);
}

#[test]
fn circle_with_the_parent_is_found() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; pub struct A(self::b::B);"),
        ("a/b.rs", "use super::A; pub struct B;"),
    ];
    assert_eq!(circles_of(&files), [["a/b.rs", "a/mod.rs"]]);
}

#[test]
fn declarations_re_exports_and_tests_make_no_circle() {
    let files = [
        ("lib.rs", "mod a; mod c;"),
        ("a/mod.rs", "mod b; pub use self::b::B; pub struct A;"),
        ("a/b.rs", "use super::A; pub struct B;"),
        (
            "c.rs",
            "use crate::a::{A, B}; pub struct C; #[cfg(test)] mod tests { use crate::c::C; }",
        ),
    ];
    assert!(circles_of(&files).is_empty());
}

#[test]
fn circle_is_described_by_its_arrows() {
    let files = [
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::{a::A, c::C}; pub struct B;"),
        ("c.rs", "pub struct C;"),
    ];
    let it = Crate::read("lib.rs", &sources("lib.rs", &files)).expect("Rust");
    let arrows = it.arrows();
    assert_eq!(
        describe(&circles(&arrows)[0], &arrows),
        "2 files use each other:\n  a.rs -> b.rs (crate::b::B)\n  b.rs -> a.rs (crate::a::A)\n"
    );
}

#[test]
fn import_past_a_layer_is_found() {
    for (name, text) in [
        ("io/stream.rs", "use monoio::net::TcpStream;"),
        ("io/stream.rs", "fn f() { monoio::spawn(g()); }"),
        ("tls/identity.rs", "use x509_parser::pem::Pem;"),
        (
            "io/stream.rs",
            "use crate::{tls::{rustls::RustlsAcceptor, session::Wire}};",
        ),
        ("io/stream.rs", "use super::super::tls::RustlsAcceptor;"),
        (
            "http2/connection.rs",
            "fn f() { crate::tls::session::MAX_SEALED; }",
        ),
        ("http2/connection.rs", "use crate::io::TlsStream;"),
        ("http2/connection.rs", "use h2::server::Connection;"),
        ("http1/connection.rs", "use crate::io::TlsStream;"),
        (
            "http1/connection.rs",
            "use crate::http2::ConnectionContext;",
        ),
        ("http1/connection.rs", "use monoio::time::sleep;"),
        ("http2/connection.rs", "use hyper::server::conn::http1;"),
        ("response/failure.rs", "use crate::http2_engine::PeerGone;"),
        ("body/incoming.rs", "use hyper::Request;"),
        ("body/mod.rs", "use crate::http2::ConnectionContext;"),
        ("error.rs", "use h2::Reason;"),
        ("tls/session.rs", "use rustls::ServerConnection;"),
        ("tls/rustls.rs", "use tokio::io::AsyncRead;"),
        ("tls/tickets/ticketer.rs", "use ring::aead::Aad;"),
        ("alpn.rs", "use crate::tls::ClientHello;"),
        ("service.rs", "use crate::server::Handle;"),
        ("server/worker.rs", "use crate::tls::RustlsAcceptor;"),
    ] {
        let file = format!("src/{name}");
        let sources = sources("src/lib.rs", &[(&file, text)]);
        let it = Crate::read("src/lib.rs", &sources).expect("Rust");
        assert_eq!(violations(package(""), &it, &[]).len(), 1, "{name}: {text}");
    }
}

fn package(folder: &str) -> &'static Package {
    let package = PACKAGES.iter().find(|it| it.folder == folder);
    package.expect("the package has a rule")
}

/// Folder, file, forbidden imports, allowed imports.
#[rustfmt::skip]
const EXAMPLES: [(&str, &str, &[&str], &[&str]); 19] = [
    ("", "src/lib.rs", &["corelane_ops::Signals", "corelane_probe::Report", "clap::Parser"], &["h2::Reason"]),
    ("openssl-ticket-keys", "src/lib.rs", &["corelane::Server", "clap::Parser"], &["openssl::ssl::Ssl"]),
    ("probe", "src/main.rs", &["corelane::Server", "corelane::tls::Identity", "corelane_ops::Signals", "rustls::ClientConfig", "serde::Serialize"],
        &["corelane::ProtocolName", "corelane::tls::TlsVersion", "monoio::spawn"]),
    ("ops", "src/lib.rs", &["corelane_probe::Report", "clap::Parser", "rustls::ServerConfig"], &["corelane::Handle"]),
    ("gateway", "src/lib.rs", &["corelane_ops::Signals", "clap::Parser", "h2::Reason"], &["corelane::Body", "hyper::Request"]),
    ("http2", "src/stream.rs", &["corelane::Body", "tokio::io::AsyncRead", "h2::Reason"], &["http::HeaderMap", "bytes::Bytes"]),
    ("http2", "src/hpack/decoder.rs", &["corelane::Body", "crate::stream::Stream"], &["http::HeaderName"]),
    ("cli", "src/main.rs", &["corelane_bench::Shape", "h2::Reason"], &["corelane::Server", "corelane_gateway::Proxy", "corelane_ops::Signals", "corelane_probe::Report"]),
    ("backend-tests", "src/lib.rs", &["openssl::ssl::Ssl", "native_tls::TlsAcceptor", "corelane_probe::Report", "clap::Parser"], &["corelane::Error", "rustls::ClientConfig"]),
    ("backends/boring", "src/lib.rs", &["corelane_probe::Report", "monoio::spawn", "openssl::ssl::Ssl"], &["boring::ssl::Ssl", "corelane::tls::Pipe"]),
    ("bench", "src/main.rs", &["corelane_probe::Report", "corelane_ops::Signals", "monoio::spawn"], &["h2::Reason"]),
    ("bench/peers", "src/bin/hyper.rs", &["corelane_ops::Signals", "monoio::spawn"], &["bench_peers::Args", "hyper::body"]),
    ("examples/acme", "src/main.rs", &["corelane_ops::Signals", "monoio::spawn"], &["rustls_acme::AcmeConfig"]),
    ("examples/rustls-openssl", "src/main.rs", &["corelane_ops::Signals", "monoio::spawn"], &["rustls_openssl::default_provider"]),
    ("fuzz", "src/lib.rs", &["corelane_ops::Signals", "corelane_cli::Args"], &["corelane::fuzzing", "corelane_probe::Report"]),
    ("tests/applications", "src/lib.rs", &["corelane::Server", "corelane_ops::Signals"], &["axum::Router"]),
    ("tests/frames", "src/lib.rs", &["corelane::Server", "h2::Reason"], &["bytes::Bytes"]),
    ("tests/support", "src/lib.rs", &["corelane_ops::Signals", "corelane_bench::Shape"], &["corelane::Server"]),
    ("", "src/http2/connection.rs", &["corelane_probe::Report", "monoio::spawn", "h2::Reason"], &["http::Method"]),
];

#[test]
fn import_past_a_package_is_found() {
    let ours = [
        "bench_peers",
        "corelane",
        "corelane_bench",
        "corelane_cli",
        "corelane_gateway",
        "corelane_ops",
        "corelane_probe",
    ];
    let ours = ours.map(str::to_owned);
    for (folder, file, forbidden, allowed) in EXAMPLES {
        let found = |path: &str| {
            let root = below(folder, file);
            let texts = [format!("use {path};"), format!("fn f() {{ {path}; }}")];
            texts.map(|text| {
                let sources = Sources::from([(root.clone(), text)]);
                let it = Crate::read(&root, &sources).expect("Rust");
                violations(package(folder), &it, &ours).len()
            })
        };
        for path in forbidden {
            assert_eq!(found(path), [1, 1], "{folder}: {path}");
        }
        for path in allowed {
            assert_eq!(found(path), [0, 0], "{folder}: {path}");
        }
    }
    for it in PACKAGES {
        let mut examples = EXAMPLES.iter();
        assert!(
            examples.any(|(folder, ..)| *folder == it.folder),
            "{}",
            it.folder
        );
    }
}

#[test]
fn dependency_past_a_package_is_found() {
    let ours = ["corelane".to_owned(), "corelane_ops".to_owned()];
    let violations = |folder: &str, dependency: &str| {
        manifest_violations(package(folder), &[dependency.to_owned()], &ours).len()
    };
    assert_eq!(violations("", "corelane_ops"), 1);
    assert_eq!(violations("probe", "corelane_ops"), 1);
    assert_eq!(violations("probe", "corelane"), 0);
    assert_eq!(violations("ops", "clap"), 1);
    assert_eq!(violations("cli", "corelane_ops"), 0);
}
