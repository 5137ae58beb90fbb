//! PROXY headers that are complete, split or broken.

use futures_util::FutureExt;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::fuzzing::proxy_header;

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short");
    [
        SIGNATURE,
        &[command, family],
        &length.to_be_bytes(),
        payload,
    ]
    .concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 1, 187];

fn v6(mapped: bool) -> Vec<u8> {
    let mut payload = vec![0; 36];
    if mapped {
        payload[10..16].copy_from_slice(&[255, 255, 192, 0, 2, 7]);
    } else {
        payload[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        payload[15] = 7;
    }
    payload[32..34].copy_from_slice(&[0x30, 0x39]);
    payload
}

/// Headers that are right, and the client of each.
fn right() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let with_tlv = [&V4[..], &[4, 0, 3, 1, 2, 3]].concat();
    vec![
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n".into(),
            Some("192.0.2.7:12345"),
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n".into(),
            Some("[2001:db8::7]:12345"),
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.7 ::1 12345 443\r\n".into(),
            Some("192.0.2.7:12345"),
        ),
        (b"PROXY UNKNOWN\r\n".into(), None),
        (b"PROXY UNKNOWN 1 2 3 4\r\n".into(), None),
        (v2(0x21, 0x11, &V4), Some("192.0.2.7:12345")),
        (v2(0x21, 0x11, &with_tlv), Some("192.0.2.7:12345")),
        (v2(0x21, 0x21, &v6(false)), Some("[2001:db8::7]:12345")),
        (v2(0x21, 0x21, &v6(true)), Some("192.0.2.7:12345")),
        (v2(0x21, 0x12, &V4), None),
        (v2(0x21, 0x31, &[0; 216]), None),
        (v2(0x21, 0x00, &[]), None),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x11, &V4), None),
        (
            v2(0x21, 0x11, &[&V4[..], &[0; MAX_PROXY_HEADER - 28]].concat()),
            Some("192.0.2.7:12345"),
        ),
    ]
}

fn wrong_ones() -> Vec<Vec<u8>> {
    vec![
        b"\x16\x03\x01".into(),
        b"GET / HTTP/1.1\r\n".into(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        b"PROXX".into(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n".into(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 65536\r\n".into(),
        b"PROXY TCP4 2001:db8::7 2001:db8::1 12345 443\r\n".into(),
        b"PROXY UDP4 192.0.2.7 198.51.100.1 12345 443\r\n".into(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443 \r\n".into(),
        b"PROXY TCP4 \xff\xff 198.51.100.1 12345 443\r\n".into(),
        [b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(),
        b"\r\n\r\n\0\r\nQUIT\r".into(),
        v2(0x11, 0x11, &V4),
        v2(0x22, 0x11, &V4),
        v2(0x21, 0x13, &V4),
        v2(0x21, 0x41, &V4),
        v2(0x21, 0x11, &V4[..11]),
        v2(0x21, 0x21, &V4),
        v2(0x21, 0x11, &[0; MAX_PROXY_HEADER - 15]),
    ]
}

#[test]
fn headers_may_be_split_anywhere() {
    for (header, client) in right() {
        let client = client.map(|client| client.parse().expect("an address"));
        assert_eq!(
            parse(&header).expect("right"),
            Some((client, header.len())),
            "{header:?}"
        );
        for cut in 0..header.len() {
            let answer = parse(&header[..cut]).expect("right so far");
            assert_eq!(answer, None, "{header:?} at {cut}");
        }
        proxy_header(&[&header[..], b"what comes behind it"].concat(), &[1]);
    }
}

#[test]
fn anything_but_a_header_is_refused() {
    for header in wrong_ones() {
        let error = parse(&header).expect_err("wrong");
        assert!(error.is_proxy_header(), "{error:?}");
        proxy_header(&header, &[1]);
    }
    let mut socket = &b"PROXY TCP4 192.0.2.7"[..];
    let mut received = Vec::new();
    let cut = read_proxy_header(&mut socket, &mut received);
    let error = cut.now_or_never().expect("all is there").expect_err("cut");
    assert!(error.is_truncated(), "{error:?}");
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer_within_the_limit(
        bytes in vec(any::<u8>(), 0..6000),
        sizes in vec(1_usize..600, 1..6),
        head in 0_usize..4,
    ) {
        let begun = match head {
            0 => Vec::new(),
            1 => WORD.to_vec(),
            2 => b"PROXY TCP4 ".to_vec(),
            _ => SIGNATURE.to_vec(),
        };
        proxy_header(&[begun, bytes].concat(), &sizes);
    }

    #[test]
    fn broken_headers_get_an_answer_within_the_limit(
        which in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        behind in vec(any::<u8>(), 0..100),
        sizes in vec(1_usize..60, 1..6),
    ) {
        let (mut header, _) = right().swap_remove(which.index(right().len()));
        for (at, value) in changes {
            let at = at.index(header.len());
            header[at] = value;
        }
        proxy_header(&[header, behind].concat(), &sizes);
    }
}
