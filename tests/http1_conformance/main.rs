//! Tests messages of HTTP/1.1 byte by byte against RFC 9112 and RFC 9110: which get a response, which
//! are refused, and where the next message begins. A message of which two servers see different ends
//! smuggles a request past one of them.
//!
//! Where the answer is not what the RFC requires or recommends, the case and features.md say so.
#![cfg(feature = "http1")]

mod bodies;
mod case;
mod fields;
mod framing;
mod request_line;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use case::Case;
use corelane::{Body, ProtocolName, service_fn, tls::TlsConfig};
use corelane_test_support::{
    Backend, Drivers, TestServer, certs::identity, deadline, for_each_backend,
};
use http::{Request, Response, header::HOST};
use http_body_util::BodyExt;

for_each_backend!(every_case_matches_the_table);

fn table() -> Vec<Case> {
    [
        request_line::cases(),
        fields::cases(),
        framing::cases(),
        bodies::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Answers with the method, the target, the host and the length of the body.
async fn echo(request: Request<Body>) -> Result<Response<String>, corelane::Error> {
    let (head, body) = request.into_parts();
    let length = body.collect().await?.to_bytes().len();
    let host = head
        .headers
        .get(HOST)
        .map_or("-", |host| host.to_str().expect("the server checks it"));
    let line = format!("{} {} {host} {length}", head.method, head.uri);
    Ok(Response::new(line))
}

fn every_case_matches_the_table(backend: Backend) {
    for &driver in Drivers::all() {
        let config = TlsConfig::new(identity()).alpn_protocols([ProtocolName::HTTP_1_1]);
        let acceptor = (backend.make)(&config).expect("an acceptor");
        let options = |builder: corelane::Builder| builder.protocols([ProtocolName::HTTP_1_1]);
        let server = TestServer::with(acceptor, driver, options, |_| service_fn(echo));
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
        assert!(
            names.insert(case.name.clone()),
            "{} is there twice",
            case.name
        );
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
