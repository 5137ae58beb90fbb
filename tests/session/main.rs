//! Tests each sentence of the contract of `TlsSession`, on a wire made of two byte queues.

mod any_order;
mod short_records;

use std::{
    io::{ErrorKind, IoSlice},
    sync::Arc,
};

use any_order::{no_call_panics_and_failure_is_final, plaintext_is_in_order_over_any_wire};
use corelane::{
    ProtocolName,
    tls::{CipherSuite, MAX_PLAINTEXT, MAX_SEALED, NamedGroup, Negotiated, TlsVersion},
};
use corelane_test_support::{
    Backend, backend_tests,
    client::{Tls, rustls_config},
    for_each_tls_backend,
    session::{GARBAGE, Pair, kind, pattern, versions},
};
use rustls::AlertDescription;
use short_records::short_records_precede_close_notify;

for_each_tls_backend!(
    negotiated_parameters_are_reported,
    session_works_one_byte_at_a_time,
    blocked_output_is_kept_and_bounded,
    large_writes_fill_records,
    failed_handshake_sends_alert,
    garbage_is_invalid_data_and_sends_alert,
    failed_session_stays_failed,
    eof_without_close_notify_is_a_truncation,
    close_notify_is_a_clean_close,
    close_notify_ends_only_writing,
    written_data_precedes_close_notify,
    short_records_precede_close_notify,
    wire_error_is_returned_unchanged,
    key_updates_use_bounded_memory,
    plaintext_is_in_order_over_any_wire,
    no_call_panics_and_failure_is_final,
);

// The cases that apply without TLS.
backend_tests!(
    on_none,
    NONE,
    session_works_one_byte_at_a_time,
    blocked_output_is_kept_and_bounded,
    close_notify_ends_only_writing,
    written_data_precedes_close_notify,
    wire_error_is_returned_unchanged,
    plaintext_is_in_order_over_any_wire,
    no_call_panics_and_failure_is_final
);

fn negotiated_parameters_are_reported(backend: Backend) {
    for &tls in versions(backend) {
        let (acceptor, config) = (backend.acceptor(), rustls_config(tls, &[b"x", b"h2"]));
        for resumed in [false, true] {
            let mut pair = Pair::begun(backend, &*acceptor, Arc::clone(&config));
            pair.shake_hands();
            let client = pair.client.tls.as_ref().expect("TLS");
            let negotiated = pair.session.negotiated();
            let mut expected = Negotiated::default();
            expected.alpn_protocol = Some(ProtocolName::H2);
            expected.tls_version = Some(TlsVersion(client.protocol_version().expect("one").into()));
            let suite = client.negotiated_cipher_suite().expect("one");
            expected.cipher_suite = Some(CipherSuite(suite.suite().into()));
            // native-tls does not report it. A resumed TLS 1.2 session has none.
            expected.key_exchange_group = client
                .negotiated_key_exchange_group()
                .filter(|_| backend.name != "native-tls")
                .map(|group| NamedGroup(group.name().into()));
            expected.server_name = Some("localhost".into());
            expected.resumed = Some(resumed);
            assert_eq!(format!("{negotiated:?}"), format!("{expected:?}"));
        }
    }
}

fn session_works_one_byte_at_a_time(backend: Backend) {
    for &tls in versions(backend) {
        let config = rustls_config(tls, &[b"h2"]);
        let mut pair = Pair::begun(backend, &*backend.acceptor(), config);
        pair.wire.at_once = 1;
        pair.shake_hands();
        let sent = pattern(3000);
        pair.client.send(&sent, &mut pair.wire);
        let mut received = Vec::new();
        while received.len() < sent.len() {
            pair.until_done(|session, wire| session.read(wire, &mut received));
        }
        assert_eq!(received, sent);
        let mut taken = 0;
        while taken < sent.len() {
            taken += pair
                .until_done(|session, wire| session.write(wire, &[IoSlice::new(&sent[taken..])]));
        }
        pair.flush();
        assert_eq!(pair.client.received, sent);
    }
}

fn blocked_output_is_kept_and_bounded(backend: Backend) {
    for &tls in versions(backend) {
        for piece in [100, 10_000, 1_000_000] {
            let mut pair = Pair::open(backend, tls);
            pair.wire.room = 0;
            let plaintext = pattern(piece);
            let mut taken = Vec::new();
            let stopped = loop {
                match pair.write(&plaintext) {
                    Ok(0) => panic!("it has to say that it would block"),
                    Ok(n) => taken.extend_from_slice(&plaintext[..n]),
                    Err(error) => break error,
                }
                assert!(taken.len() < MAX_SEALED + piece);
            };
            assert_eq!(stopped.kind(), ErrorKind::WouldBlock);
            assert_eq!(pair.session.wants_flush(), backend.tls);
            pair.wire.room = 1000;
            if backend.tls {
                let flushed = pair.session.flush(&mut pair.wire);
                assert_eq!(kind(flushed), ErrorKind::WouldBlock);
                assert_eq!(pair.wire.outgoing.len(), 1000);
            }
            pair.wire.room = usize::MAX;
            pair.session.flush(&mut pair.wire).expect("all is taken");
            let one_call = piece + (piece / MAX_PLAINTEXT + 1) * 32;
            assert!(pair.wire.outgoing.len() < MAX_SEALED + one_call);
            pair.flush();
            assert!(pair.client.received == taken);
        }
    }
}

fn large_writes_fill_records(backend: Backend) {
    for &tls in versions(backend) {
        let mut pair = Pair::open(backend, tls);
        let plaintext = pattern(4 * MAX_PLAINTEXT);
        let (head, rest) = plaintext.split_at(9);
        let (middle, tail) = rest.split_at(40_000);
        let slices = [head, middle, tail].map(IoSlice::new);
        let taken = pair.session.write(&mut pair.wire, &slices);
        assert_eq!(taken.expect("an empty wire"), plaintext.len());
        pair.session.flush(&mut pair.wire).expect("taken");
        let mut rest = &*pair.wire.outgoing.make_contiguous();
        let mut records = 0;
        while let [23, 3, 3, a, b, body @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*a, *b]));
            assert!((MAX_PLAINTEXT + 16..MAX_PLAINTEXT + 32).contains(&length));
            (records, rest) = (records + 1, &body[length..]);
        }
        assert_eq!((records, rest.len()), (4, 0));
    }
}

const BAD_RECORD_MAC: rustls::Error = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);

fn failed_handshake_sends_alert(backend: Backend) {
    for &tls in versions(backend) {
        let config = rustls_config(tls, &[b"h2"]);
        let mut pair = Pair::begun(backend, &*backend.acceptor(), config);
        assert_eq!(kind(pair.handshake()), ErrorKind::WouldBlock);
        pair.flush();
        *pair.wire.incoming.back_mut().expect("Finished") ^= 1;
        let error = pair.handshake().expect_err("a forged Finished");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.get_ref().is_some(), "the library's own is inside");
        assert!(pair.session.wants_flush());
        pair.flush();
        assert_eq!(pair.client.error, Some(BAD_RECORD_MAC));
    }
}

fn garbage_is_invalid_data_and_sends_alert(backend: Backend) {
    for &tls in versions(backend) {
        let mut pair = Pair::open(backend, tls);
        pair.client.send(b"before", &mut pair.wire);
        pair.wire.incoming.extend(GARBAGE);
        assert_eq!(pair.read().expect("sealed well"), b"before");
        let error = pair.read().expect_err("not sealed");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.get_ref().is_some(), "the library's own is inside");
        pair.flush();
        assert_eq!(pair.client.error, Some(BAD_RECORD_MAC));
    }
}

fn failed_session_stays_failed(backend: Backend) {
    for &tls in versions(backend) {
        let config = rustls_config(tls, &[b"h2"]);
        let mut shaking = Pair::begun(backend, &*backend.acceptor(), config);
        shaking.wire.incoming[5] = 99;
        assert_eq!(kind(shaking.handshake()), ErrorKind::InvalidData);
        let mut reading = Pair::open(backend, tls);
        reading.wire.incoming.extend(GARBAGE);
        assert_eq!(kind(reading.read()), ErrorKind::InvalidData);
        for (mut pair, in_handshake) in [(shaking, true), (reading, false)] {
            for _ in 0..2 {
                pair.flush();
                if in_handshake {
                    assert_ne!(kind(pair.handshake()), ErrorKind::WouldBlock);
                }
                assert_ne!(kind(pair.write(b"x")), ErrorKind::WouldBlock);
                assert_ne!(kind(pair.read()), ErrorKind::WouldBlock);
                pair.session.negotiated();
                pair.session.send_close_notify();
            }
        }
    }
}

fn eof_without_close_notify_is_a_truncation(backend: Backend) {
    for &tls in versions(backend) {
        let mut amid_record = Pair::open(backend, tls);
        amid_record.wire.incoming.extend(&GARBAGE[..20]);
        let mut behind_data = Pair::open(backend, tls);
        behind_data.client.send(b"data", &mut behind_data.wire);
        for (mut pair, data) in [(amid_record, &b""[..]), (behind_data, b"data")] {
            pair.wire.ended = true;
            if !data.is_empty() {
                assert_eq!(pair.read().expect("sealed well"), data);
            }
            for _ in 0..3 {
                assert_eq!(kind(pair.read()), ErrorKind::UnexpectedEof);
            }
        }
        let config = rustls_config(tls, &[b"h2"]);
        let mut pair = Pair::begun(backend, &*backend.acceptor(), config);
        pair.wire.ended = true;
        assert_eq!(kind(pair.handshake()), ErrorKind::UnexpectedEof);
    }
}

fn close_notify_is_a_clean_close(backend: Backend) {
    for &tls in versions(backend) {
        let mut pair = Pair::open(backend, tls);
        pair.client.send(b"data", &mut pair.wire);
        pair.client.close(&mut pair.wire);
        pair.wire.ended = true;
        assert_eq!(pair.read().expect("sealed well"), b"data");
        for _ in 0..3 {
            assert_eq!(pair.read().expect("a clean close"), b"");
        }
        // close_notify closes one direction only.
        assert_eq!(pair.write(b"answer").expect("still open"), 6);
        pair.session.send_close_notify();
        pair.flush();
        assert_eq!(pair.client.received, b"answer");
        assert!(pair.client.closed);
    }
}

fn close_notify_ends_only_writing(backend: Backend) {
    for &tls in versions(backend) {
        let mut pair = Pair::open(backend, tls);
        pair.session.send_close_notify();
        for _ in 0..2 {
            assert_ne!(kind(pair.write(b"too late")), ErrorKind::WouldBlock);
        }
        pair.flush();
        assert_eq!(pair.client.closed, backend.tls);
        assert_eq!(pair.client.received, b"");
        pair.client.send(b"still read", &mut pair.wire);
        assert_eq!(pair.read().expect("open this way"), b"still read");
    }
}

fn written_data_precedes_close_notify(backend: Backend) {
    for &tls in versions(backend) {
        let mut pair = Pair::open(backend, tls);
        pair.wire.room = 100;
        let plaintext = pattern(70_000);
        let taken = pair.write(&plaintext).expect("room for some");
        pair.session.send_close_notify();
        pair.wire.room = usize::MAX;
        pair.flush();
        assert!(pair.client.received == plaintext[..taken]);
        assert_eq!(pair.client.closed, backend.tls);
    }
}

fn wire_error_is_returned_unchanged(backend: Backend) {
    for &tls in versions(backend) {
        let mut pair = Pair::open(backend, tls);
        pair.wire.broken = true;
        assert_eq!(kind(pair.read()), ErrorKind::ConnectionReset);
        let written = pair
            .write(b"x")
            .and_then(|_| pair.session.flush(&mut pair.wire));
        assert_eq!(kind(written), ErrorKind::ConnectionReset);
    }
}

fn key_updates_use_bounded_memory(backend: Backend) {
    if !backend.tls_1_3 {
        return;
    }
    // rustls answers many updates at once. OpenSSL answers each, and takes no more input when that is
    // too much to hold.
    let most = match backend.name {
        "rustls" => MAX_SEALED,
        _ => 2 * MAX_SEALED,
    };
    let mut pair = Pair::open(backend, Tls::V1_3);
    pair.wire.room = 0;
    let (mut taken, mut sent, mut received) = (0, 0, 0);
    for _ in 0..5_000 {
        let tls = pair.client.tls.as_mut().expect("TLS");
        tls.refresh_traffic_keys().expect("TLS 1.3");
        pair.client.send(b"x", &mut pair.wire);
        sent += 1;
        match pair.read() {
            Ok(read) => {
                assert_eq!(read, b"x");
                received += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert_ne!(backend.name, "rustls");
                break;
            }
        }
        taken += pair.write(b"y").unwrap_or(0);
    }
    assert_eq!(kind(pair.write(b"y")), ErrorKind::WouldBlock);
    pair.wire.room = usize::MAX;
    pair.session.flush(&mut pair.wire).expect("taken");
    let held = pair.wire.outgoing.len();
    assert!(held <= most + 64, "{held} bytes held");
    while received < sent {
        assert_eq!(pair.read().expect("allowed"), b"x");
        received += 1;
    }
    pair.flush();
    assert_eq!(pair.client.received, b"y".repeat(taken));
}
