//! What files and folders are answered with.

use std::fs;

use http::HeaderValue;

use super::site::{Answer, Site, respond};

#[test]
fn a_file_has_type_length_and_validators() {
    let site = Site::new();
    let answer = site.get("https://example.org/a.txt?query");
    assert_eq!(answer.text(), (200, "0123456789"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("content-length"), "10");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("etag").starts_with('"'));
    assert!(answer.header("last-modified").ends_with(" GMT"));
    assert_eq!(answer.header("cache-control"), "");
    for (name, content_type) in [
        ("index.html", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("long.bin", "application/octet-stream"),
        ("with%20space", "application/octet-stream"),
    ] {
        let answer = site.get(&format!("/{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.header("content-type"), content_type, "{name}");
    }
    let long = site.get("/long.bin").body;
    assert!(long == fs::read(site.path("long.bin")).expect("read"));
}

#[test]
fn get_and_head_only() {
    let site = Site::new();
    let head = site.ask("HEAD", "/a.txt", &[("range", "bytes=0-3")]);
    assert_eq!(head.text(), (200, ""));
    assert_eq!(head.header("content-length"), "10");
    for (method, path) in [
        ("POST", "/a.txt"),
        ("PUT", "/new"),
        ("OPTIONS", "*"),
        ("DELETE", "/"),
    ] {
        let answer = site.ask(method, path, &[]);
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    }
}

#[test]
fn folders_have_an_index_and_a_slash() {
    let site = Site::new();
    assert_eq!(site.get("/").text(), (200, "home"));
    assert_eq!(site.get("/folder/").text(), (200, "folder"));
    for (path, location) in [
        ("/folder", "/folder/"),
        ("https://example.org/folder?a=b", "/folder/?a=b"),
        // Not to the host `folder`.
        ("//folder", "/folder/"),
    ] {
        let answer = site.get(path);
        assert_eq!((answer.status, answer.header("location")), (307, location));
    }
    assert_eq!(site.status("/empty/"), 404);
    assert_eq!(site.status("/a.txt/"), 404);
    assert_eq!(site.status("/a.txt/b"), 404);
}

#[test]
fn below_a_prefix() {
    let site = Site::new();
    let files = site.files.clone().prefix("/static/");
    let get = |path| Answer::of(respond(&files, "GET", path, &[]));
    assert_eq!(get("/static/a.txt").text(), (200, "0123456789"));
    assert_eq!(get("/static/").text(), (200, "home"));
    for (path, location) in [
        ("/static", "/static/"),
        ("/static?a", "/static/?a"),
        ("/static/folder", "/static/folder/"),
    ] {
        let answer = get(path);
        assert_eq!((answer.status, answer.header("location")), (307, location));
    }
    for path in ["/a.txt", "/statics/a.txt", "/", "/static/../static/a.txt"] {
        assert_eq!(get(path).status, 404, "{path}");
    }
}

#[test]
fn ranges() {
    let site = Site::new();
    let range = |range: &str| site.with("/a.txt", &[("range", range)]);
    for (asked, content, range_of) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-1", "9", "bytes 9-9/10"),
    ] {
        let answer = range(asked);
        assert_eq!(answer.text(), (206, content), "{asked}");
        assert_eq!(answer.header("content-range"), range_of);
        assert_eq!(answer.header("content-length"), content.len().to_string());
    }
    for whole in ["items=0-3", "BYTES=0-3", "bytes=0-1,4-5", "bytes=0-0, 2-2"] {
        assert_eq!(range(whole).text(), (200, "0123456789"), "{whole}");
    }
    let beyond = range("bytes=10-");
    assert_eq!(beyond.text(), (416, ""));
    assert_eq!(beyond.header("content-range"), "bytes */10");
    let long = site.with("/long.bin", &[("range", "bytes=65000-199999")]);
    assert!(long.body == fs::read(site.path("long.bin")).expect("read")[65000..]);
}

#[test]
fn conditions() {
    let site = Site::new();
    let site = Site {
        files: site
            .files
            .cache_control(HeaderValue::from_static("max-age=60")),
        ..site
    };
    let known = site.get("/a.txt");
    let (tag, date) = (known.header("etag"), known.header("last-modified"));
    let past = "Mon, 01 Jan 2001 00:00:00 GMT";
    for (header, value, status) in [
        ("if-none-match", tag, 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", date, 304),
        ("if-modified-since", past, 200),
        ("if-modified-since", "yesterday", 200),
        ("if-match", tag, 200),
        ("if-match", "\"other\"", 412),
        ("if-unmodified-since", past, 412),
    ] {
        let answer = site.with("/a.txt", &[(header, value)]);
        assert_eq!(answer.status, status, "{header}: {value}");
        if status == 304 {
            assert_eq!(answer.text(), (304, ""));
            assert_eq!(answer.header("etag"), tag);
            assert_eq!(answer.header("cache-control"), "max-age=60");
            assert_eq!(answer.header("vary"), "accept-encoding");
        }
    }
    let weak = format!("W/{tag}");
    for (validator, status) in [
        (tag, 206),
        (date, 206),
        (&*weak, 200),
        (past, 200),
        ("\"x\"", 200),
    ] {
        let headers = [("range", "bytes=0-3"), ("if-range", validator)];
        assert_eq!(site.with("/a.txt", &headers).status, status, "{validator}");
    }
    // A range that the new version does not have.
    let headers = [("range", "bytes=90-"), ("if-range", "\"old\"")];
    assert_eq!(site.with("/a.txt", &headers).text(), (200, "0123456789"));
}

#[test]
fn precompressed_files() {
    let site = Site::new();
    for (accepted, encoding, content) in [
        ("gzip, deflate, br", "br", "brotli"),
        ("gzip", "gzip", "gzipped"),
        ("br;q=0, gzip", "gzip", "gzipped"),
        ("zstd", "", "original"),
        ("identity", "", "original"),
    ] {
        let answer = site.with("/app.js", &[("accept-encoding", accepted)]);
        assert_eq!(answer.text(), (200, content), "{accepted}");
        assert_eq!(answer.header("content-encoding"), encoding);
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(
            answer.header("content-type"),
            "text/javascript; charset=utf-8"
        );
    }
    let tags = ["br", "gzip"].map(|it| site.with("/app.js", &[("accept-encoding", it)]).headers);
    assert_ne!(tags[0]["etag"], tags[1]["etag"]);
}

#[test]
fn single_page_applications() {
    let site = Site::new();
    let cached = HeaderValue::from_static("max-age=60");
    let site = Site {
        files: site.files.spa(true).cache_control(cached),
        ..site
    };
    const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9");
    for (path, headers, is_page) in [
        ("/", &[][..], true),
        ("/index.html", &[], true),
        ("/users/7", &[], true),
        ("/empty/", &[], true),
        ("/users/john.doe", &[HTML], true),
        ("/users/john.doe", &[], false),
        ("/missing.js", &[("accept", "*/*")], false),
    ] {
        let answer = site.with(path, headers);
        match is_page {
            true => {
                assert_eq!(answer.text(), (200, "home"), "{path}");
                assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
            }
            false => {
                assert_eq!(answer.status, 404, "{path}");
                assert_eq!(answer.header("vary"), "accept");
            }
        }
    }
    assert_eq!(site.get("/a.txt").header("cache-control"), "max-age=60");
    let head = site.ask("HEAD", "/users/7", &[]);
    assert_eq!(head.text(), (200, ""));
    for path in ["/.hidden", "/a/../b", "/a%2fb"] {
        assert_eq!(site.with(path, &[HTML]).status, 404, "{path}");
    }
    // The validators are those of the page.
    let tag = site.get("/users/7").header("etag").to_owned();
    assert_eq!(
        site.with("/users/8", &[("if-none-match", &tag)]).status,
        304
    );
}
