//! Tests corelane-backend-tests: it fails on wrong backends, each of which breaks one clause, in the row of
//! that clause. It passes on the right backend that they are made of.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

mod common;
mod handshakes;
mod reads;
mod wrapper;
mod writes;

use std::sync::LazyLock;

use corelane::{
    Error,
    tls::{self, Identity, RustlsAcceptor, Start, TicketKeys, TlsAcceptor, TlsConfig, TlsVersion},
};
use corelane_backend_tests::{Capability, IntoKit, Kit, Outcome, ROWS, backend_tests};
use handshakes::*;
use reads::*;
use wrapper::{Right, faulty};
use writes::*;

backend_tests!(mod right, faulty::<Right>);

/// Runs one row, and returns why it fails.
fn failure<A>(kit: impl IntoKit<A>, row: &str) -> String {
    match kit.into_kit().outcome(row) {
        Outcome::Fails(why) => why,
        other => panic!("the row {row} does not find it: {other:?}"),
    }
}

/// One test for each fault: the rows that find it, first the one that names the clause.
macro_rules! found {
    ($($name:ident: $make:expr => [$($row:ident),+ $(,)?];)*) => {
        $(#[test]
        fn $name() {
            $(failure($make, stringify!($row));)+
        })*

        const FOUND: &[&str] = &[$($(stringify!($row)),+),*];
    };
}

found! {
    turns_would_block_into_an_error: faulty::<TurnsWouldBlockIntoAnError> => [
        would_block_is_passed_on_at_every_byte,
        half_received_record_fails_no_write,
        key_updates_while_writes_are_blocked,
        half_a_key_update_while_writes_are_blocked,
    ];
    blocks_without_the_wire: faulty::<BlocksWithoutTheWire> => [
        would_block_is_passed_on_at_every_byte,
    ];
    hides_the_error_of_the_wire: faulty::<HidesTheErrorOfTheWire> => [
        wire_error_is_returned_unchanged,
    ];
    forgets_sealed_bytes: faulty::<ForgetsSealedBytes> => [blocked_output_is_kept_and_bounded];
    holds_without_bound: faulty::<HoldsWithoutBound> => [
        blocked_output_is_kept_and_bounded,
        written_data_precedes_close_notify,
        garbage_while_writes_are_blocked,
        renegotiation_while_writes_are_blocked,
        end_of_the_wire_while_writes_are_blocked,
        close_notify_while_writes_are_blocked,
    ];
    answers_without_bound: faulty::<AnswersWithoutBound> => [
        answers_to_key_updates_are_bounded,
        answers_to_renegotiation_are_bounded,
        endless_empty_records_are_refused,
        endless_warnings_are_refused,
        endless_renegotiation_is_refused,
        endless_key_updates_are_refused,
    ];
    panics_on_write_after_close: faulty::<PanicsOnWriteAfterClose> => [
        no_call_panics_and_failure_is_final,
    ];
    writes_after_close_notify: faulty::<WritesAfterCloseNotify> => [
        write_fails_after_close_notify_and_read_does_not,
    ];
    sends_no_close_notify: faulty::<SendsNoCloseNotify> => [close_notify_is_a_clean_close];
    reports_truncation_as_clean_close: faulty::<ReportsTruncationAsCleanClose> => [
        records_cut_off_at_any_byte_are_unexpected_eof,
    ];
    reports_truncated_handshake_as_invalid: faulty::<ReportsTruncatedHandshakeAsInvalid> => [
        handshake_cut_off_at_any_byte_is_unexpected_eof,
    ];
    succeeds_at_a_failed_handshake: faulty::<SucceedsAtAFailedHandshake> => [
        close_notify_in_the_handshake_is_no_success,
        handshake_cut_off_at_any_byte_is_unexpected_eof,
    ];
    loses_the_alert: faulty::<LosesTheAlert> => [
        forged_finished_gets_alert,
        early_application_data_gets_alert,
        record_that_does_not_decrypt_gets_alert,
        record_that_is_too_long_gets_alert,
        unexpected_records_get_alert,
        unknown_cipher_suites_get_alert,
        versions_below_tls_1_2_get_alert,
    ];
    recovers_after_failure: faulty::<RecoversAfterFailure> => [
        failed_session_stays_failed,
        fatal_alert_of_the_client_is_invalid_data,
    ];
    loses_what_has_no_room: faulty::<LosesWhatHasNoRoom> => [
        read_appends_within_its_room,
        plaintext_is_in_order_over_any_wire,
    ];
    loses_a_byte_of_many: faulty::<LosesAByteOfMany> => [transfer_of_100_mib_each_way];
    returns_more_than_it_read: faulty::<ReturnsMoreThanItRead> => [read_appends_within_its_room];
    fills_only_the_first_part: faulty::<FillsOnlyTheFirstPart> => [
        read_fills_buffers_of_several_parts,
    ];
    makes_short_records: faulty::<MakesShortRecords> => [large_writes_fill_records];
    forgets_the_server_name: faulty::<ForgetsTheServerName> => [negotiated_is_complete];
    forgets_version_and_group: faulty::<ForgetsVersionAndGroup> => [
        tls_1_2_is_spoken,
        tls_1_3_is_spoken,
        key_exchange_group_is_reported,
    ];
    hides_why_it_refused: faulty::<HidesWhyItRefused> => [
        client_certificates_are_verified_and_reported,
    ];
    panics_when_dropped_early: faulty::<PanicsWhenDroppedEarly> => [
        sessions_may_be_dropped_at_any_time,
    ];
    leaks_a_session: faulty::<LeaksASession> => [connections_leave_no_memory_behind];

    chooses_alpn_of_its_own: |config: &TlsConfig| {
        let reversed = config.alpn_protocols.iter().rev().cloned();
        RustlsAcceptor::new(&config.clone().alpn_protocols(reversed))
    } => [alpn_is_the_servers_first_that_the_client_offers];
    ignores_ticket_keys: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().ticket_keys(None))
    } => [sessions_resume_where_the_ticket_keys_are_the_same];
    has_the_same_keys_everywhere: |config: &TlsConfig| {
        static KEYS: LazyLock<TicketKeys> = LazyLock::new(TicketKeys::random);
        RustlsAcceptor::new(&config.clone().ticket_keys(KEYS.clone()))
    } => [sessions_resume];
    resumes_although_turned_off: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().session_resumption(true))
    } => [resumption_can_be_turned_off];
    asks_for_no_client_certificate: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().client_auth(None))
    } => [client_certificates_are_verified_and_reported];
    ignores_the_minimum_version: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().min_version(TlsVersion::TLS_1_2))
    } => [minimum_version_is_kept];
    ignores_suites_and_groups: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().cipher_suites([]).groups([]))
    } => [configured_cipher_suites_are_used, configured_groups_are_used];
    ignores_exporters: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().exporters([]))
    } => [both_ends_export_the_same];
    chooses_from_no_protocols: |config: &TlsConfig| {
        RustlsAcceptor::new(&config.clone().alpn_protocols([]))
    } => [acceptor_suits_a_server, alpn_is_the_servers_first_that_the_client_offers];
    serves_a_certificate_of_its_own: |config: &TlsConfig| {
        let mut config = config.clone();
        config.identity = own_identity();
        RustlsAcceptor::new(&config)
    } => [
        chain_is_sent_whole_and_in_order,
        server_name_selects_the_certificate,
        unusable_identity_is_an_error_when_built,
    ];
}

fn own_identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["own.example".to_owned()]);
    let made = made.expect("a certificate");
    Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).expect("PEM")
}

#[test]
fn every_row_finds_a_fault() {
    let rows = ROWS.iter().map(|row| row.name);
    let without: Vec<_> = rows.filter(|name| !FOUND.contains(name)).collect();
    assert!(
        without.is_empty(),
        "no fault makes these rows fail: {without:?}"
    );
}

const KEYS_ROW: &str = "sessions_resume_where_the_ticket_keys_are_the_same";

#[test]
fn says_that_it_lacks_what_it_has() {
    let kit = Kit::new(RustlsAcceptor::new).lacks(Capability::TicketKeys, "it does not");
    let why = failure(kit, KEYS_ROW);
    assert!(why.contains("return Error::unsupported"), "{why}");
}

fn without_keys(config: &TlsConfig) -> Result<RustlsAcceptor, Error> {
    match config.ticket_keys {
        None => RustlsAcceptor::new(config),
        Some(_) => Err(Error::unsupported("faulty", "ticket keys", "it is a test")),
    }
}

#[test]
fn lacks_something_and_does_not_say_so() {
    failure(without_keys, KEYS_ROW);
    let kit = Kit::new(without_keys).lacks(Capability::TicketKeys, "it is a test");
    assert_eq!(
        kit.outcome(KEYS_ROW),
        Outcome::Lacks(Capability::TicketKeys, "it is a test")
    );
}

/// A right backend whose sessions start later, on another thread's word.
struct Later(RustlsAcceptor);

impl TlsAcceptor for Later {
    fn backend(&self) -> &'static str {
        "later"
    }

    fn start(&self, client: &tls::Client<'_>) -> Result<Start, Error> {
        assert!(client.client_hello.is_some_and(|it| !it.message.is_empty()));
        let right = self.0.clone();
        let mut thread = None;
        Ok(Start::later(std::future::poll_fn(move |cx| {
            if thread.is_none() {
                let waker = cx.waker().clone();
                thread = Some(std::thread::spawn(move || waker.wake()));
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(right.start(&tls::Client::default()))
        })))
    }
}

#[test]
fn sessions_that_start_later_are_waited_for() {
    let kit = Kit::new(|config| Ok(Later(RustlsAcceptor::new(config)?)));
    for row in [
        "tls_1_2_is_spoken",
        "tls_1_3_is_spoken",
        "server_name_selects_the_certificate",
        "sessions_may_be_dropped_at_any_time",
    ] {
        kit.check(row);
    }
}
