//! Holds the backend to the contract of corelane's traits, and writes its column of docs/backends.md: `UPDATE_DOCS=1
//! cargo test --test contract`.

use corelane_backend_tests::{Capability, Kit, backend_tests, check_table};
use corelane_boring::BoringAcceptor;

backend_tests!(
    Kit::new(BoringAcceptor::new)
        .lacks(
            Capability::TicketKeys,
            "crate boring has only an unsafe call for them"
        )
        .lacks(
            Capability::CipherSuites,
            "BoringSSL has no choice of those of TLS 1.3"
        )
);

#[test]
fn table_of_backends_matches_the_rows() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/backends.md");
    check_table(document, &[backend::KIT.run()]);
}
