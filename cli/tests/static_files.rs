//! `--root` by the command: what `gateway/tests/served_files/` shows without a server, on the wire.

mod support;

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use h2::Reason;
use tempfile::TempDir;

use support::{
    BACKENDS, Corelane, DRIVERS,
    client::{ask, connect, run},
};

/// More than the window of the client, 64 KiB, lets the server send.
const LARGE: usize = 4 * 1024 * 1024;

struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().expect("a folder"));
        fs::write(site.0.path().join("secret"), "secret").expect("written");
        fs::create_dir_all(site.path("folder")).expect("made");
        for (name, content) in [
            ("index.html", &b"home"[..]),
            ("folder/index.html", b"folder"),
            ("small.txt", &[b'x'; 16 * 1024]),
            ("large.bin", &vec![b'y'; LARGE]),
            (".hidden", b"hidden"),
        ] {
            fs::write(site.path(name), content).expect("written");
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("www").join(name)
    }

    fn start(&self, args: &[&str]) -> Corelane {
        let root = self.0.path().join("www");
        let root = root.to_str().expect("UTF-8");
        let always = ["--listen", "127.0.0.1:0", "--workers", "1", "--root", root];
        Corelane::start(&[&always[..], args].concat())
    }
}

#[test]
fn files_on_every_backend_and_driver() {
    let site = Site::new();
    for backend in BACKENDS {
        for driver in DRIVERS {
            let server = site.start(&["--tls", backend, "--driver", driver]);
            run(async {
                let requests = connect(server.addr(), backend).await;
                let small = ask(&requests, "GET", "/small.txt", &[]).await;
                assert_eq!(small.header("content-type"), "text/plain; charset=utf-8");
                assert_eq!(small.text().len(), 16 * 1024);
                let known = [("if-none-match", small.header("etag"))];
                let known = ask(&requests, "GET", "/small.txt", &known).await;
                assert_eq!((known.status.as_u16(), known.text()), (304, ""));
                let head = ask(&requests, "HEAD", "/small.txt", &[]).await;
                assert_eq!((head.header("content-length"), head.text()), ("16384", ""));
                let large = ask(&requests, "GET", "/large.bin", &[]).await;
                assert_eq!((large.body.len(), large.reset), (LARGE, None));
                let range = [("range", "bytes=1000000-1999999")];
                let range = ask(&requests, "GET", "/large.bin", &range).await;
                assert_eq!(
                    (range.status.as_u16(), range.text().len()),
                    (206, 1_000_000)
                );
                let post = ask(&requests, "POST", "/small.txt", &[]).await;
                assert_eq!(
                    (post.status.as_u16(), post.header("allow")),
                    (405, "GET, HEAD")
                );
            });
        }
    }
}

#[test]
fn no_request_leads_outside_or_to_an_error_of_the_server() {
    let site = Site::new();
    let made = Command::new("mkfifo").arg(site.path("fifo")).status();
    assert!(made.expect("mkfifo").success());
    symlink("loop", site.path("loop")).expect("made");
    symlink("/dev/zero", site.path("zero")).expect("made");
    let server = site.start(&["--tls", "none"]);
    let long = format!("/{}", "a".repeat(5000));
    let deep = "/a".repeat(3000);
    run(async {
        let requests = connect(server.addr(), "none").await;
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/..%5csecret",
            "/%2e%2e%2fsecret",
            "/folder%2f..%2f..%2fsecret",
            "//../secret",
            "/small.txt%00",
            "/%00",
            "/%ff",
            "/.hidden",
            "/fifo",
            "/loop",
            "/zero",
            "/folder/index.html/",
            "/http://localhost/secret",
            &long,
            &deep,
        ] {
            let answer = ask(&requests, "GET", path, &[]).await;
            let status = answer.status.as_u16();
            assert!([400, 404].contains(&status), "{path}: {answer:?}");
            assert!(!answer.text().contains("secret\n"), "{path}: {answer:?}");
        }
        let folder = ask(&requests, "GET", "//folder", &[]).await;
        assert_eq!(folder.header("location"), "/folder/");
    });
}

#[test]
fn a_file_that_is_truncated_while_it_is_sent_resets_the_stream() {
    let site = Site::new();
    let server = site.start(&["--tls", "none"]);
    run(async {
        let mut requests = connect(server.addr(), "none")
            .await
            .ready()
            .await
            .expect("ready");
        let request = http::Request::get("http://localhost/large.bin").body(());
        let (response, _) = requests
            .send_request(request.expect("a request"), true)
            .expect("sent");
        let mut body = response.await.expect("a response").into_body();
        // The windows keep most of the file at the server.
        let mut received = body.data().await.expect("data").expect("data").len();
        let file = fs::File::options().write(true).open(site.path("large.bin"));
        file.expect("opened").set_len(1000).expect("truncated");
        let error = loop {
            let _ = body.flow_control().release_capacity(received);
            match body.data().await.expect("the body looks complete") {
                Ok(data) => received = data.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        let answer = ask(&requests, "GET", "/", &[]).await;
        assert_eq!(answer.text(), "home");
    });
}

#[test]
fn single_page_applications_and_cache_control() {
    let site = Site::new();
    let server = site.start(&[
        "--tls",
        "none",
        "--spa",
        "--cache-control",
        "max-age=60",
        "--hidden-files",
    ]);
    run(async {
        let requests = connect(server.addr(), "none").await;
        let page = ask(&requests, "GET", "/users/7", &[]).await;
        assert_eq!(
            (page.text(), page.header("cache-control")),
            ("home", "no-cache")
        );
        let missing = ask(&requests, "GET", "/missing.js", &[]).await;
        assert_eq!(missing.status.as_u16(), 404);
        let hidden = ask(&requests, "GET", "/.hidden", &[]).await;
        assert_eq!(
            (hidden.text(), hidden.header("cache-control")),
            ("hidden", "max-age=60")
        );
    });
}
