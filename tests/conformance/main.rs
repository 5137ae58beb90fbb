//! Tests HTTP/2 frame by frame against RFC 9113: which input gets a response, a stream error or a
//! connection error, and with which code. The frames are hand-made, because no client sends them.
//!
//! If crate h2 deviates from the RFC, the case and features.md say so.

mod case;
mod in_memory;

mod compression;
mod continuation;
mod data_headers;
mod framing;
mod messages;
mod preface;
mod priority_reset;
mod push_ping_goaway;
mod requests;
mod settings;
mod streams;
mod windows;

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fs,
    path::Path,
};

use case::Case;
use corelane::{Body, Http2Config, service_fn};
use corelane_test_support::{Backend, Drivers, TestServer, deadline, for_each_backend};
use http::{Request, Response};
use http_body_util::BodyExt;

for_each_backend!(every_case_matches_the_table);

const DECODING: &str = "h2 uses PROTOCOL_ERROR instead of COMPRESSION_ERROR";
const FRAME_SIZE: &str = "h2 uses PROTOCOL_ERROR instead of FRAME_SIZE_ERROR";
const TRAILERS: &str = "h2 drops pseudo-header fields from trailers";

fn table() -> Vec<Case> {
    [
        preface::cases(),
        framing::cases(),
        streams::cases(),
        data_headers::cases(),
        priority_reset::cases(),
        settings::cases(),
        push_ping_goaway::cases(),
        windows::cases(),
        continuation::cases(),
        messages::cases(),
        requests::cases(),
        compression::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Reads the whole body and reports its length; some paths get no response.
async fn answer(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    let length = match path.strip_prefix("/bytes/") {
        Some(length) => return Ok(Response::new("x".repeat(length.parse().expect("a number")))),
        None if path == "/unread" => {
            let _held: Request<Body> = request;
            std::future::pending().await
        }
        None => request.into_body().collect().await,
    };
    match (length, path.as_str()) {
        (Ok(body), "/wait") => {
            drop(body);
            std::future::pending().await
        }
        (Ok(body), _) => Ok(Response::new(body.to_bytes().len().to_string())),
        // Its stream is gone.
        (Err(_), _) => std::future::pending().await,
    }
}

fn every_case_matches_the_table(backend: Backend) {
    for &driver in Drivers::all() {
        let http2 = Http2Config::default()
            .initial_stream_window_size(32_768)
            .initial_connection_window_size(65_535)
            .max_concurrent_streams(20);
        let options = |builder: corelane::Builder| builder.http2(http2);
        let server = TestServer::with(backend.acceptor(), driver, options, |_| service_fn(answer));
        let mut wrong = Vec::new();
        for case in table() {
            wrong.extend(deadline(case.run(backend, &server)).err());
        }
        let count = wrong.len();
        assert!(wrong.is_empty(), "{count} wrong:\n{}", wrong.join("\n"));
    }
}

#[test]
fn case_names_are_unique() {
    let mut names = HashSet::new();
    for case in table() {
        assert!(names.insert(case.name), "{} is there twice", case.name);
    }
}

#[test]
fn features_md_lists_every_deviation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("features.md");
    let features = fs::read_to_string(path).expect("readable");
    let mut deviations = BTreeMap::<_, usize>::new();
    for why in table().iter().filter_map(|case| case.deviation) {
        *deviations.entry(why).or_default() += 1;
    }
    let sum: usize = deviations.values().sum();
    let mut said = vec![format!("{} cases, {sum} of which", table().len())];
    said.extend(
        deviations
            .iter()
            .map(|(why, count)| format!("| {why} | {count} |")),
    );
    said.retain(|line| !features.contains(line));
    assert!(said.is_empty(), "features.md lacks\n{}", said.join("\n"));
}
