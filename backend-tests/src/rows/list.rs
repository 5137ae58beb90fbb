//! The list of the rows.

use super::{
    alerts, algorithms, alpn, blocking, bounds, bulk, client_auth, closing, duplex, failing,
    floods, identity, leaks, negotiated, order, reading, resumption, starting, truncation,
    versions,
};
use crate::{backend::Backend, capability::Capability};

/// One row of the table: a test of one clause of the contract.
#[derive(Debug)]
pub struct Row {
    /// The name of its test.
    pub name: &'static str,
    /// What it shows, in words.
    pub clause: &'static str,
    pub(crate) applies: Applies,
    pub(crate) needs: &'static [Capability],
    pub(crate) run: fn(&Backend),
}

/// What a row applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applies {
    /// Backends with and without TLS.
    Any,
    Tls,
    /// As `Any`. It measures the process, so no other row may run meanwhile.
    Alone,
}

/// Gives the rows to another macro of this crate, after what is given: the only list of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_row {
    ($then:ident $($given:tt)*) => {
        $crate::$then! { $($given)*
            (starting::acceptor_suits_a_server, Any, [],
                "a server can use the acceptor")
            (versions::tls_1_2_is_spoken, Tls, [Tls12],
                "TLS 1.2 is spoken")
            (versions::tls_1_3_is_spoken, Tls, [Tls13],
                "TLS 1.3 is spoken")
            (versions::minimum_version_is_kept, Tls, [Tls12, Tls13],
                "`min_version` is kept, and below TLS 1.2 it is an error when built")
            (order::no_call_panics_and_failure_is_final, Any, [],
                "no call panics, in any order of calls, whatever the peer sends")
            (order::plaintext_is_in_order_over_any_wire, Any, [],
                "plaintext arrives whole and in order over any wire")
            (blocking::would_block_is_passed_on_at_every_byte, Any, [],
                "`WouldBlock` of the wire is returned, at every byte of a connection")
            (blocking::half_received_record_fails_no_write, Tls, [],
                "a write succeeds while half a record has arrived")
            (blocking::wire_error_is_returned_unchanged, Any, [],
                "another error of the wire is returned unchanged")
            (failing::failed_session_stays_failed, Tls, [],
                "a session that failed keeps failing")
            (reading::read_appends_within_its_room, Any, [],
                "`read` appends, never more than there is room for, and keeps the rest")
            (reading::read_fills_buffers_of_several_parts, Any, [],
                "`read` takes a `BufMut` of several parts")
            (bounds::blocked_output_is_kept_and_bounded, Any, [],
                "sealed bytes that the wire did not take are kept, at most `MAX_SEALED` and one write")
            (bounds::answers_to_key_updates_are_bounded, Tls, [Tls13],
                "KeyUpdates make a session hold a bounded number of bytes")
            (bounds::answers_to_renegotiation_are_bounded, Tls, [Tls12],
                "requests to renegotiate make a session hold a bounded number of bytes")
            (bounds::large_writes_fill_records, Tls, [],
                "large writes fill records of `MAX_PLAINTEXT`")
            (truncation::handshake_cut_off_at_any_byte_is_unexpected_eof, Tls, [],
                "a handshake that is cut off, at any byte, is `UnexpectedEof`")
            (truncation::records_cut_off_at_any_byte_are_unexpected_eof, Tls, [],
                "a connection that is cut off, at any byte, is `UnexpectedEof` behind its data")
            (closing::close_notify_is_a_clean_close, Tls, [],
                "close_notify is `Ok(0)`, and ends only reading")
            (closing::write_fails_after_close_notify_and_read_does_not, Any, [],
                "after `send_close_notify` writes fail and reads do not")
            (closing::written_data_precedes_close_notify, Any, [],
                "what was written is sent before close_notify")
            (closing::close_notify_in_the_handshake_is_no_success, Tls, [],
                "close_notify in the handshake is an error")
            (alerts::forged_finished_gets_alert, Tls, [],
                "a forged Finished is `InvalidData` and gets an alert")
            (alerts::early_application_data_gets_alert, Tls, [],
                "application data in the handshake is `InvalidData` and gets an alert")
            (alerts::record_that_does_not_decrypt_gets_alert, Tls, [],
                "a record that does not decrypt is `InvalidData` and gets the alert 20")
            (alerts::record_that_is_too_long_gets_alert, Tls, [],
                "a record that is too long is `InvalidData` and gets an alert")
            (alerts::unexpected_records_get_alert, Tls, [],
                "records that are not allowed are `InvalidData` and get an alert")
            (alerts::unknown_cipher_suites_get_alert, Tls, [],
                "a client without a common cipher suite gets the alert 40 or 71")
            (alerts::versions_below_tls_1_2_get_alert, Tls, [],
                "a client of TLS 1.1 gets the alert 70")
            (alerts::fatal_alert_of_the_client_is_invalid_data, Tls, [],
                "a fatal alert of the client is `InvalidData` and gets no answer")
            (alpn::alpn_is_the_servers_first_that_the_client_offers, Tls, [],
                "ALPN is the first of the server's list that the client offers, or nothing")
            (duplex::garbage_while_writes_are_blocked, Tls, [],
                "while writes are blocked: a record that does not decrypt")
            (duplex::key_updates_while_writes_are_blocked, Tls, [Tls13],
                "while writes are blocked: two KeyUpdates")
            (duplex::half_a_key_update_while_writes_are_blocked, Tls, [Tls13],
                "while writes are blocked: half a KeyUpdate")
            (duplex::renegotiation_while_writes_are_blocked, Tls, [Tls12],
                "while writes are blocked: two requests to renegotiate")
            (duplex::end_of_the_wire_while_writes_are_blocked, Tls, [],
                "while writes are blocked: the end of the wire")
            (duplex::close_notify_while_writes_are_blocked, Tls, [],
                "while writes are blocked: close_notify")
            (floods::endless_empty_records_are_refused, Tls, [],
                "endless empty records end the session")
            (floods::endless_warnings_are_refused, Tls, [],
                "endless warnings end the session")
            (floods::endless_renegotiation_is_refused, Tls, [Tls12],
                "endless requests to renegotiate end the session")
            (floods::endless_key_updates_are_refused, Tls, [Tls13],
                "endless KeyUpdates end the session")
            (bulk::transfer_of_100_mib_each_way, Tls, [],
                "100 MiB arrive each way, both at once")
            (negotiated::negotiated_is_complete, Tls, [],
                "`negotiated` has the protocol, version, cipher suite, server name and resumption")
            (negotiated::key_exchange_group_is_reported, Tls, [KeyExchangeGroup],
                "`negotiated` has the key exchange group")
            (algorithms::configured_cipher_suites_are_used, Tls, [CipherSuites],
                "`cipher_suites` are used")
            (algorithms::configured_groups_are_used, Tls, [Groups],
                "`groups` are used")
            (algorithms::both_ends_export_the_same, Tls, [Exporters],
                "`exporters` give both ends the same bytes")
            (identity::chain_is_sent_whole_and_in_order, Tls, [],
                "the certificate chain is sent whole and in order")
            (identity::server_name_selects_the_certificate, Tls, [],
                "`ServerNameAcceptor` selects the certificate by server name")
            (identity::unusable_identity_is_an_error_when_built, Tls, [],
                "a certificate without its key, or that is none, is an error when built")
            (resumption::sessions_resume, Tls, [Resumption],
                "sessions resume, however the connection before ended")
            (resumption::sessions_resume_where_the_ticket_keys_are_the_same, Tls, [Resumption, TicketKeys],
                "sessions resume in acceptors with the same ticket keys, and in no others")
            (resumption::resumption_can_be_turned_off, Tls, [ResumptionOff],
                "resumption can be turned off")
            (client_auth::client_certificates_are_verified_and_reported, Tls, [ClientAuth],
                "client certificates are verified and reported; refusing one is `PermissionDenied`")
            (starting::sessions_may_be_dropped_at_any_time, Any, [],
                "a session may be dropped at any time")
            (leaks::connections_leave_no_memory_behind, Alone, [],
                "connections leave no memory behind")
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    ($(($module:ident::$name:ident, $applies:ident, [$($needs:ident),*], $clause:literal))*) => {
        /// All rows, in the order of the table.
        pub const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            clause: $clause,
            applies: Applies::$applies,
            needs: &[$(Capability::$needs),*],
            run: $module::$name,
        }),*];
    };
}

__each_row! { __table }
