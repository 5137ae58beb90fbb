//! Static files, without a server: the futures of `Files` never wait.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use corelane_gateway::{Files, ResponseBody};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;

/// Longer than what is read at once.
const LONG: usize = 200_000;

struct Site {
    dir: TempDir,
    files: Files,
}

impl Site {
    /// The folder `www`, beside a file that is outside.
    fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        fs::write(dir.path().join("secret"), "secret").expect("written");
        let www = dir.path().join("www");
        fs::create_dir_all(www.join("folder")).expect("made");
        fs::create_dir_all(www.join("empty")).expect("made");
        fs::create_dir_all(www.join(".well-known")).expect("made");
        for (name, content) in [
            ("index.html", "home"),
            ("a.txt", "0123456789"),
            ("folder/index.html", "folder"),
            ("app.js", "original"),
            ("app.js.gz", "gzipped"),
            ("app.js.br", "brotli"),
            ("only.css.zst", "zstd"),
            (".hidden", "hidden"),
            (".well-known/security.txt", "contact"),
            ("with space", "space"),
        ] {
            fs::write(www.join(name), content).expect("written");
        }
        let long: Vec<_> = (0..LONG).map(|i| (i % 251) as u8).collect();
        fs::write(www.join("long.bin"), long).expect("written");
        let files = Files::new(&www).expect("a folder");
        Self { dir, files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("www").join(name)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    fn with(&self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        self.ask("GET", path, headers)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        Answer::of(respond(&self.files, method, path, headers))
    }

    fn status(&self, path: &str) -> u16 {
        self.get(path).status
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn of(response: Response<ResponseBody>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: read(pin!(body)).expect("a body"),
        }
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(HeaderValue::to_str);
        value.unwrap_or(Ok("")).expect("text")
    }

    fn text(&self) -> (u16, &str) {
        (self.status, str::from_utf8(&self.body).expect("text"))
    }
}

fn respond(
    files: &Files,
    method: &str,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Response<ResponseBody> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    now(pin!(files.respond(request)))
}

fn now<T>(future: Pin<&mut impl Future<Output = T>>) -> T {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("files are read at once"),
    }
}

fn frame(body: Pin<&mut ResponseBody>) -> Option<Result<Vec<u8>, corelane::Error>> {
    let Poll::Ready(frame) = body.poll_frame(&mut Context::from_waker(Waker::noop())) else {
        panic!("files are read at once");
    };
    Some(frame?.map(|frame| frame.into_data().expect("data").to_vec()))
}

fn read(mut body: Pin<&mut ResponseBody>) -> Result<Vec<u8>, corelane::Error> {
    let mut all = Vec::new();
    while !body.is_end_stream()
        && let Some(data) = frame(body.as_mut())
    {
        all.extend(data?);
    }
    Ok(all)
}

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

#[test]
fn no_path_leads_outside() {
    let site = Site::new();
    let long = format!("/{}", "a".repeat(5000));
    let deep = "/a".repeat(3000);
    let up = format!("/{}secret", "../".repeat(20));
    for path in [
        "/../secret",
        "/folder/../../secret",
        "/%2e%2e/secret",
        "/%2e%2e%2fsecret",
        "/..%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/folder%2findex.html",
        "/a.txt%00",
        "/%00",
        "/a.txt%00.html",
        "/%ff",
        "/%252e%252e/secret",
        "//etc/passwd",
        "/./a.txt",
        "/.hidden",
        "/%2ehidden",
        &long,
        &deep,
        &up,
    ] {
        assert_eq!(site.status(path), 404, "{path}");
        let head = site.ask("HEAD", path, &[]);
        assert_eq!(head.status, 404, "{path}");
    }
    assert_eq!(
        site.get("/.well-known/security.txt").text(),
        (200, "contact")
    );
    let hidden = site.files.clone().hidden(true);
    let get = |path| Answer::of(respond(&hidden, "GET", path, &[]));
    assert_eq!(get("/.hidden").text(), (200, "hidden"));
    assert_eq!(get("/%2e%2e/secret").status, 404);
    assert_eq!(get("/./a.txt").status, 404);
}

#[test]
fn links_are_followed_as_by_nginx() {
    let site = Site::new();
    symlink(site.dir.path().join("secret"), site.path("linked")).expect("made");
    symlink("loop", site.path("loop")).expect("made");
    symlink("nowhere", site.path("broken")).expect("made");
    assert_eq!(site.get("/linked").text(), (200, "secret"));
    assert_eq!(site.status("/loop"), 404);
    assert_eq!(site.status("/broken"), 404);
}

#[test]
fn special_files_are_not_found_and_hang_nobody() {
    let site = Site::new();
    mkfifo(&site.path("fifo"), Mode::from_bits_truncate(0o644)).expect("made");
    mkfifo(&site.path("app.css.gz"), Mode::from_bits_truncate(0o644)).expect("made");
    let _socket = UnixListener::bind(site.path("socket")).expect("bound");
    symlink("/dev/zero", site.path("zero")).expect("made");
    fs::create_dir(site.path("dir.gz")).expect("made");
    for path in ["/fifo", "/socket", "/zero", "/fifo/"] {
        assert_eq!(site.status(path), 404, "{path}");
        assert_eq!(site.ask("HEAD", path, &[]).status, 404, "{path}");
    }
    let gzip = [("accept-encoding", "gzip")];
    assert_eq!(site.with("/app.css", &gzip).status, 404);
    assert_eq!(site.with("/dir", &gzip).status, 404);
}

#[test]
fn unreadable_files_are_forbidden() {
    let site = Site::new();
    let secret = site.path("a.txt");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("set");
    // Root may read it.
    let expected = if fs::read(&secret).is_ok() { 200 } else { 403 };
    assert_eq!(site.status("/a.txt"), expected);
}

/// Whether the body of `long.bin` fails when the file changes after its first part.
fn fails_after(change: impl FnOnce(&Path)) -> bool {
    let site = Site::new();
    let mut body = pin!(respond(&site.files, "GET", "/long.bin", &[]).into_body());
    let first = frame(body.as_mut()).expect("data").expect("data").len();
    assert!(first < LONG);
    change(&site.path("long.bin"));
    match read(body) {
        Ok(rest) => {
            assert_eq!(first + rest.len(), LONG);
            false
        }
        Err(_) => true,
    }
}

#[test]
fn a_file_may_change_while_it_is_sent() {
    let truncate = |path: &Path| {
        let file = fs::File::options().write(true).open(path).expect("opened");
        file.set_len(1000).expect("truncated");
    };
    assert!(fails_after(truncate));
    assert!(!fails_after(|path| fs::remove_file(path).expect("removed")));
    let grow = |path: &Path| {
        let file = fs::File::options().write(true).open(path).expect("opened");
        file.set_len(2 * LONG as u64).expect("longer");
    };
    assert!(!fails_after(grow));
}

#[test]
fn dates_that_http_cannot_express_are_left_out() {
    let site = Site::new();
    const CENTURIES_10: Duration = Duration::from_secs(1000 * 365 * 86400);
    for time in [
        SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        SystemTime::UNIX_EPOCH + 9 * CENTURIES_10,
    ] {
        let file = fs::File::options().write(true).open(site.path("a.txt"));
        // Some file systems cannot express it either.
        file.expect("opened").set_modified(time).expect("set");
        let answer = site.get("/a.txt");
        assert_eq!(answer.text(), (200, "0123456789"));
    }
}

#[test]
fn the_root_is_a_folder() {
    let site = Site::new();
    for (root, why) in [
        ("missing", "has to be a folder"),
        ("a.txt", "has to be a folder"),
    ] {
        let error = Files::new(site.path(root)).expect_err(root).to_string();
        assert!(error.contains(why) && error.contains(root), "{error}");
    }
    assert_eq!(site.status("/"), StatusCode::OK);
}
