//! Paths that name no file, special files, and files that change.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
    pin::pin,
    time::{Duration, SystemTime},
};

use corelane_gateway::Files;
use nix::{sys::stat::Mode, unistd::mkfifo};

use super::site::{Answer, LONG, Site, frame, read, respond};

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
    assert_eq!(site.status("/"), 200);
}
