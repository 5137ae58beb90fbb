//! A folder with files, and requests to it.

use std::{
    fs,
    path::PathBuf,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use corelane_gateway::{Files, ResponseBody};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use tempfile::TempDir;

/// Longer than what is read at once.
pub(crate) const LONG: usize = 200_000;

pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) files: Files,
}

impl Site {
    /// The folder `www`, beside a file that is outside.
    pub(crate) fn new() -> Self {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("www").join(name)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    pub(crate) fn with(&self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        self.ask("GET", path, headers)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        Answer::of(respond(&self.files, method, path, headers))
    }

    pub(crate) fn status(&self, path: &str) -> u16 {
        self.get(path).status
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(response: Response<ResponseBody>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: read(pin!(body)).expect("a body"),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(HeaderValue::to_str);
        value.unwrap_or(Ok("")).expect("text")
    }

    pub(crate) fn text(&self) -> (u16, &str) {
        (self.status, str::from_utf8(&self.body).expect("text"))
    }
}

pub(crate) fn respond(
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

pub(crate) fn now<T>(future: Pin<&mut impl Future<Output = T>>) -> T {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("files are read at once"),
    }
}

pub(crate) fn frame(body: Pin<&mut ResponseBody>) -> Option<Result<Vec<u8>, corelane::Error>> {
    let Poll::Ready(frame) = body.poll_frame(&mut Context::from_waker(Waker::noop())) else {
        panic!("files are read at once");
    };
    Some(frame?.map(|frame| frame.into_data().expect("data").to_vec()))
}

pub(crate) fn read(mut body: Pin<&mut ResponseBody>) -> Result<Vec<u8>, corelane::Error> {
    let mut all = Vec::new();
    while !body.is_end_stream()
        && let Some(data) = frame(body.as_mut())
    {
        all.extend(data?);
    }
    Ok(all)
}
