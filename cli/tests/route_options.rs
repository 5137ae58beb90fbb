//! How routes are configured: flags, tables of the configuration file, and their mistakes.

mod support;

use support::{
    Corelane,
    client::{Answer, ask, connect, run},
    command,
    place::Place,
    refusal,
    upstream::Upstream,
};

fn get(server: &Corelane, path: &str) -> Answer {
    run(async {
        let requests = connect(server.addr(), "none").await;
        ask(&requests, "GET", path, &[]).await
    })
}

#[test]
fn tables_of_the_configuration_file() {
    let place = Place::new();
    let upstream = Upstream::start("application");
    place.write(
        "corelane.toml",
        &format!(
            "root = {www:?}\ncache-control = \"no-cache\"\n\n\
             [[route]]\nprefix = \"/docs/\"\nroot = {docs:?}\ncache-control = \"max-age=9\"\n\n\
             [[route]]\nprefix = \"/api\"\nupstream = [{url:?}]\nstrip-prefix = true\nrewrite-host = true\n",
            www = place.path("www"),
            docs = place.path("docs"),
            url = upstream.url(),
        ),
    );
    let file = place.path("corelane.toml");
    let server = Corelane::start(&[
        "--tls",
        "none",
        "--listen",
        "127.0.0.1:0",
        "--config",
        &file,
    ]);
    let home = get(&server, "/");
    assert_eq!(
        (home.text(), home.header("cache-control")),
        ("home", "no-cache")
    );
    let document = get(&server, "/docs/a.txt");
    assert_eq!(document.text(), "a document");
    assert_eq!(document.header("cache-control"), "max-age=9");
    let text = get(&server, "/api/b?c").text().to_owned();
    assert!(
        text.starts_with("application\nGET /b?c HTTP/1.1\n"),
        "{text}"
    );
    let host = upstream.url().replace("http://", "host: ");
    assert!(text.lines().any(|line| line == host), "{text}");

    // What `check` prints is a configuration of the same routes.
    let check = |file: &str| {
        let output = command(&["check", "--tls", "none", "--config", file]).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let printed = check(&file);
    let routes = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("route = "));
        let line = line.expect("a line").split("  # ").next();
        line.expect("a value").to_owned()
    };
    place.write("printed.toml", &printed);
    let again = check(&place.path("printed.toml"));
    assert_eq!(routes(&again), routes(&printed));
    assert!(
        routes(&printed).contains("strip-prefix = true"),
        "{printed}"
    );
}

#[test]
fn mistakes_name_their_line() {
    let place = Place::new();
    let docs = place.path("docs");
    for (lines, line, message) in [
        ("prefix = \"/a\"", 4, "a route needs a root or an upstream"),
        ("root = \"DOCS\"", 4, "missing field `prefix`"),
        (
            "prefix = \"a\"\nroot = \"DOCS\"",
            5,
            "has to begin with a slash",
        ),
        ("prefix = \"/a\"\nrot = \"DOCS\"", 6, "unknown field `rot`"),
        ("prefix = \"/a\"\nroot = 7", 6, "invalid type"),
        (
            "prefix = \"/a\"\nroot = \"DOCS\"\nstrip-prefix = true",
            4,
            "strip-prefix is for routes with an upstream",
        ),
        (
            "prefix = \"/a\"\nupstream = \"http://a:1\"\nspa = true",
            4,
            "spa is for routes with a root",
        ),
        (
            "prefix = \"/a\"\nupstream = \"https://a\"",
            6,
            "TLS to an upstream is not supported",
        ),
        (
            "prefix = \"/a\"\nupstream = []",
            6,
            "upstream is an empty list",
        ),
        (
            "prefix = \"/a\"\nroot = \"DOCS/missing\"",
            4,
            "--route /a: cannot serve files from",
        ),
        (
            "prefix = \"/docs\"\nroot = \"DOCS\"",
            4,
            "another route has this prefix already",
        ),
        (
            "prefix = \"/a\"\nroot = \"DOCS\"\n[limits]\nidle-timeout = 7",
            7,
            "unknown table [limits]",
        ),
    ] {
        let lines = lines.replace("DOCS", &docs);
        // Line 4 is the second [[route]], and line 5 the first of its keys.
        let text = format!("[[route]]\nprefix = \"/docs\"\nroot = {docs:?}\n[[route]]\n{lines}\n");
        place.write("corelane.toml", &text);
        let file = place.path("corelane.toml");
        let printed = refusal(&["check", "--tls", "none", "--config", &file]);
        let place = format!("corelane.toml:{line}: ");
        assert!(
            printed.contains(message) && printed.contains(&place),
            "{lines}: {printed}"
        );
    }
}

#[test]
fn what_cannot_be_served_is_an_error_at_the_start() {
    let place = Place::new();
    let (www, file) = (place.path("www"), place.path("www/index.html"));
    let missing = place.path("missing");
    let route = |target: &str| format!("/docs={target}");
    for (args, message) in [
        (&["--root", &missing][..], "--root: cannot serve files from"),
        (&["--root", &file], "it has to be a folder that exists"),
        (
            &["--route", &route(&missing)],
            "--route /docs: cannot serve files from",
        ),
        (
            &["--root", &www, "--upstream", "http://localhost:1"],
            "cannot be used with",
        ),
        (
            &["--root", &www, "--route", &format!("/={www}")],
            "--root has this prefix already",
        ),
        (&["--route", "docs"], "expected PREFIX=TARGET"),
        (&["--route", "/docs="], "the target is empty"),
        (
            &["--route", "/docs=ftp://localhost"],
            "the scheme is not one of",
        ),
        (&["--upstream", "localhost:3000"], "write http://HOST:PORT"),
        (&["--spa"], "--spa has no effect: no folder is served"),
        (
            &["--root", &www, "--trusted-proxy", "::1"],
            "--trusted-proxy has no effect",
        ),
        (
            &["--root", &www, "--cache-control", ""],
            "expected the value of a header",
        ),
    ] {
        for start in [&[][..], &["check"]] {
            let printed = refusal(&[start, &["--tls", "none"], args].concat());
            assert!(printed.contains(message), "{args:?}: {printed}");
        }
    }
}
