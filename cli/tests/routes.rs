//! What the command serves: files and upstreams by path prefix.

mod support;

use std::{path::Path, time::Instant};

use http::StatusCode;
use support::{
    BACKENDS, Corelane, DEADLINE, DRIVERS,
    access_log::lines,
    admin::{admin, metrics, sum},
    client::{Answer, ask, connect, run},
    command,
    place::Place,
    upstream::Upstream,
};

fn start(args: &[&str]) -> Corelane {
    let always = ["--listen", "127.0.0.1:0", "--workers", "1"];
    Corelane::start(&[&always[..], args].concat())
}

fn start_cleartext(args: &[&str]) -> Corelane {
    start(&[&["--tls", "none"][..], args].concat())
}

fn get(server: &Corelane, backend: &str, path: &str) -> Answer {
    run(async {
        let requests = connect(server.addr(), backend).await;
        ask(&requests, "GET", path, &[]).await
    })
}

fn status(server: &Corelane, path: &str) -> u16 {
    get(server, "none", path).status.as_u16()
}

#[test]
fn files_and_upstreams_on_every_backend_and_driver() {
    let place = Place::new();
    let upstream = Upstream::start("application");
    let (www, api) = (place.path("www"), format!("/api={}", upstream.url()));
    for backend in BACKENDS {
        for driver in DRIVERS {
            let args = ["--root", &www, "--route", &api];
            let rest = ["--tls", backend, "--driver", driver];
            let server = start(&[&args[..], &rest].concat());
            server.assert_printed(&format!("serving /: files of {www}"));
            server.assert_printed(&format!("serving /api: {}", upstream.url()));

            assert_eq!(get(&server, backend, "/").text(), "home");
            let answer = get(&server, backend, "/api/a?b=c");
            let text = answer.text();
            assert!(
                text.starts_with("application\nGET /api/a?b=c HTTP/1.1\n"),
                "{text}"
            );
            let scheme = if *backend == "none" { "http" } else { "https" };
            for line in [
                "host: localhost",
                "x-forwarded-for: 127.0.0.1",
                &format!("x-forwarded-proto: {scheme}"),
            ] {
                assert!(text.lines().any(|it| it == line), "no {line:?} in\n{text}");
            }
            for (path, status) in [
                ("/api", 200),
                ("/apis", 404),
                // The upstream might resolve it.
                ("/api/../secret", 400),
                ("/api/%2e%2e/secret", 400),
                ("/api/..%2fsecret", 400),
                // Of the demonstration.
                ("/bytes/1", 404),
                ("/echo", 404),
                ("/healthz", 404),
                ("/status", 404),
            ] {
                let answer = get(&server, backend, path);
                assert_eq!(answer.status.as_u16(), status, "{path}");
            }
        }
    }
}

#[test]
fn upstreams_take_turns() {
    let upstreams = [Upstream::start("one"), Upstream::start("two")];
    let urls = upstreams.each_ref().map(Upstream::url);
    let server = start_cleartext(&["--upstream", &urls[0], "--upstream", &urls[1]]);
    let mut names = [(); 4].map(|()| {
        let answer = get(&server, "none", "/");
        answer.text().lines().next().expect("a name").to_owned()
    });
    names.sort();
    assert_eq!(names, ["one", "one", "two", "two"]);
}

#[test]
fn an_upstream_that_is_down_is_a_bad_gateway() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let server = start_cleartext(&["--upstream", &url]);
    assert_eq!(status(&server, "/"), 502);
}

#[test]
fn the_demonstration_is_served_beside_routes_on_demand() {
    let place = Place::new();
    let www = place.path("www");
    let server = start_cleartext(&["--root", &www, "--demo"]);
    assert_eq!(get(&server, "none", "/").text(), "home");
    assert_eq!(get(&server, "none", "/bytes/3").body.len(), 3);
    let page = get(&server, "none", "/status");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(status(&server, "/healthz"), 404);
    let server = start_cleartext(&["--root", &www, "--demo", "--no-status"]);
    assert_eq!(status(&server, "/status"), 404);
    let server = start_cleartext(&[]);
    server.assert_printed("serving a demonstration: --root DIR serves files");
    assert_eq!(status(&server, "/healthz"), 200);
    let bound = 1 << 30;
    let answer = get(&server, "none", &format!("/bytes/{}", bound + 1));
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("1073741824"));
}

#[test]
fn a_reload_changes_routes() {
    let place = Place::new();
    let upstream = Upstream::start("application");
    let write = |target: &str| {
        let pid = place.path("pid");
        place.write("corelane.toml", &format!("pid-file = {pid:?}\n{target}\n"));
    };
    write(&format!("root = {:?}", place.path("www")));
    let server = start_cleartext(&["--config", &place.path("corelane.toml")]);
    let reload = || {
        let pid = place.path("pid");
        let output = command(&["reload", "--pid-file", &pid]).output();
        output.expect("it runs").status.success()
    };
    run(async {
        let requests = connect(server.addr(), "none").await;
        let text = async |path: &str| {
            let answer = ask(&requests, "GET", path, &[]).await;
            answer.text().lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(text("/").await, "home");
        write(&format!("upstream = {:?}", upstream.url()));
        assert!(reload());
        // On the same connection.
        assert_eq!(text("/").await, "application");
        write(&format!("root = {:?}", place.path("missing")));
        assert!(!reload());
        assert_eq!(text("/").await, "application");
        write(&format!(
            "[[route]]\nprefix = \"/docs\"\nroot = {:?}",
            place.path("docs")
        ));
        assert!(reload());
        assert_eq!(text("/docs/a.txt").await, "a document");
        assert_eq!(text("/").await, "no route has this path");
    });
}

#[test]
fn responses_are_logged_and_counted_by_route() {
    let place = Place::new();
    let upstream = Upstream::start("application");
    let (log, api) = (place.path("access.log"), format!("/api={}", upstream.url()));
    let server = start_cleartext(&[
        "--root",
        &place.path("www"),
        "--route",
        &api,
        "--admin",
        "127.0.0.1:0",
        "--access-log",
        &log,
    ]);
    for path in ["/", "/missing", "/api/1", "/api/2", "/../x"] {
        status(&server, path);
    }
    let lines = lines(Path::new(&log), 5);
    for line in [
        "GET / HTTP/2.0\" 200 4",
        "GET /missing HTTP/2.0\" 404",
        "GET /api/2 HTTP/2.0\" 200",
    ] {
        assert!(
            lines.iter().any(|it| it.contains(line)),
            "no {line:?} in {lines:?}"
        );
    }
    const NAME: &str = "corelane_route_responses_total";
    let started = Instant::now();
    // The port repeats an answer for 100 ms.
    let text = loop {
        let text = metrics(admin(&server));
        if sum(&text, NAME, "") >= 5.0 {
            break text;
        }
        assert!(started.elapsed() < DEADLINE, "{text}");
    };
    for (labels, count) in [
        ("route=\"/\",class=\"2xx\"", 1.0),
        ("route=\"/\",class=\"4xx\"", 1.0),
        ("route=\"/api\",class=\"2xx\"", 2.0),
        ("route=\"none\",class=\"4xx\"", 1.0),
        ("route=\"demo\",class=\"2xx\"", 0.0),
    ] {
        assert_eq!(sum(&text, NAME, labels), count, "{labels}\n{text}");
    }
}
