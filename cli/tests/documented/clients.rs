//! What curl reports if a server refuses it.

use super::{
    blocks::{code_in, documents},
    place::Place,
    tables::first_cells,
};

/// The message of the document, a server, and what curl asks for.
const CASES: &[(&str, &str, &str)] = &[
    (
        "self-signed certificate",
        "corelane",
        "https://localhost:8443/",
    ),
    (
        "no application protocol",
        "corelane",
        "--cacert ca.pem --http1.1 https://localhost:8443/",
    ),
    (
        "unrecognized name",
        "corelane --unknown-name refuse",
        "--cacert ca.pem https://other.example.org:8443/",
    ),
    (
        "alert certificate required",
        "corelane --client-ca clients.pem",
        "--cacert ca.pem https://localhost:8443/",
    ),
    (
        "No OCSP response received",
        "corelane",
        "--cacert ca.pem --cert-status https://localhost:8443/",
    ),
    (
        "alert unknown ca",
        "corelane --client-ca clients.pem",
        "--cacert ca.pem --cert a.pem --key a-key.pem https://localhost:8443/",
    ),
    (
        "The requested URL returned error: 400",
        "corelane",
        "http://localhost:8443/",
    ),
];

#[test]
fn clients_report_what_the_document_says() {
    let documents = documents();
    let cells = documents
        .iter()
        .flat_map(|document| first_cells(document, &["curl reports"]));
    let documented: Vec<_> = cells.flat_map(code_in).collect();
    let tried: Vec<_> = CASES.iter().map(|(message, ..)| *message).collect();
    assert_eq!(documented, tried);
    for (message, server, request) in CASES {
        let mut place = Place::new();
        place.serve("a case", &format!("CORELANE_ALPN_MISSING=reject {server}"));
        let output = place.run(&format!("curl {request}"));
        let reported = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{server}: {request}");
        assert!(
            reported.contains(message),
            "{message:?} is not in {reported:?}"
        );
    }
}
