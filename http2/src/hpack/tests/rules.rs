//! One rule of RFC 7541 in each test.

use http::{HeaderName, HeaderValue};

use super::{
    super::{Decoder, Encoder, Error},
    decode, decode_up_to, encode,
};

/// "x: y", with incremental indexing.
const X: &[u8] = &[0x40, 1, b'x', 1, b'y'];
/// The newest entry.
const NEWEST: u8 = 0x80 | 62;

fn new() -> Decoder {
    Decoder::new(4096)
}

fn pair(name: &'static str, value: &str) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(value).unwrap();
    (HeaderName::from_static(name), value)
}

#[test]
fn an_index_beyond_both_tables_is_an_error() {
    for block in [
        &[0x80][..],
        &[NEWEST],
        &[0x40 | 62, 1, b'y'],
        &[0x0f, 62 - 15, 1, b'y'],
        &[0xff, 0xff, 0xff, 0xff, 0x7f],
        &[X, &[NEWEST + 1]].concat(),
    ] {
        assert_eq!(
            decode(&mut new(), block),
            Err(Error::UnknownIndex),
            "{block:x?}"
        );
    }
    assert!(decode(&mut new(), &[X, &[NEWEST]].concat()).is_ok());
}

#[test]
fn a_block_that_ends_within_a_field_is_an_error() {
    let block = [X, &[0x40, 0x82, 0xf1, 0xe3, 3, b'a', b'b', b'c']].concat();
    for cut in 0..block.len() {
        let result = decode(&mut new(), &block[..cut]);
        match cut {
            0 | 5 => assert!(result.is_ok(), "{cut}"),
            _ => assert_eq!(result, Err(Error::Truncated), "{cut}"),
        }
    }
}

#[test]
fn sizes_change_at_the_start_only_and_at_most_twice() {
    const SIZE: u8 = 0x20;
    for (block, is_valid) in [
        (&[SIZE, 0x82][..], true),
        (&[SIZE, SIZE | 8, 0x82], true),
        (&[SIZE, SIZE], true),
        (&[SIZE, SIZE, SIZE, 0x82], false),
        (&[0x82, SIZE], false),
        (&[0x3f, 0xe1, 0x1f], true),  // 4,096
        (&[0x3f, 0xe2, 0x1f], false), // 4,097
    ] {
        let result = decode(&mut new(), block).map(drop);
        let expected = if is_valid {
            Ok(())
        } else {
            Err(Error::InvalidTableSize)
        };
        assert_eq!(result, expected, "{block:x?}");
    }
}

#[test]
fn a_smaller_setting_has_to_be_signalled() {
    let mut decoder = new();
    decode(&mut decoder, X).unwrap();
    decoder.set_max_table_size(10);
    decoder.set_max_table_size(100);
    for (block, is_valid) in [
        (&[0x82][..], false),
        (&[], false),
        (&[0x20 | 11, 0x82], false),
        (&[0x20 | 10, 0x3f, 70, 0x82], false), // 101
        (&[0x20 | 10, 0x3f, 69, 0x82], true),  // 100
    ] {
        let mut decoder = Decoder::new(4096);
        decoder.set_max_table_size(10);
        decoder.set_max_table_size(100);
        assert_eq!(decode(&mut decoder, block).is_ok(), is_valid, "{block:x?}");
    }
    // One that the peer has undercut already has not.
    let mut decoder = new();
    decode(&mut decoder, &[0x20 | 10]).unwrap();
    decoder.set_max_table_size(10);
    assert!(decode(&mut decoder, &[0x82]).is_ok());
}

#[test]
fn a_list_above_the_limit_keeps_the_table_in_step() {
    let mut decoder = new();
    let block = [&[0x82][..], X, &[0x84]].concat();
    // ":method: GET" counts 42, "x: y" 34.
    let (fields, result) = decode_up_to(&mut decoder, &block, 42 + 33);
    assert_eq!(result, Err(Error::ListTooLarge));
    assert!(!Error::ListTooLarge.ends_connection());
    assert_eq!(fields.len(), 1, "neither x nor what follows it");
    assert_eq!(decode(&mut decoder, &[NEWEST]).unwrap()[0].0, b"x");
    assert_eq!(decode_up_to(&mut new(), &block, 42 + 34 + 38).1, Ok(()));
}

#[test]
fn a_block_of_repeated_names_ends_before_it_costs_much() {
    let mut decoder = new();
    let name = [&[0x40, 0x7f, 0xa1, 0x1e][..], &[b'x'; 4000], &[0]].concat();
    let block = [&name[..], &[0x40 | 62, 0].repeat(20_000)].concat();
    let (fields, result) = decode_up_to(&mut decoder, &block, 16_384);
    assert_eq!(result, Err(Error::ListFarTooLarge));
    assert_eq!(fields.len(), 4);
    assert!(Error::ListFarTooLarge.ends_connection());
}

#[test]
fn an_entry_may_evict_the_one_that_has_its_name() {
    let mut decoder = new();
    let name = [&[0x40, 0x7f, 0xa1, 0x1e][..], &[b'x'; 4000], &[0]].concat();
    decode(&mut decoder, &name).unwrap();
    let fields = decode(&mut decoder, &[0x40 | 62, 1, b'y', NEWEST]).unwrap();
    assert_eq!(fields[0], fields[1]);
    assert_eq!(fields[0].0, [b'x'; 4000]);
}

#[test]
fn a_repeated_response_is_one_byte_for_each_field() {
    let response = [
        pair("content-type", "text/html; charset=utf-8"),
        pair("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        pair("server", "corelane"),
        pair("x-frame-options", "DENY"),
    ];
    let mut encoder = Encoder::new();
    let first = encode(&mut encoder, 200, &response);
    let second = encode(&mut encoder, 200, &response);
    assert_eq!(second, [0x88, NEWEST + 3, NEWEST + 2, NEWEST + 1, NEWEST]);
    let mut decoder = new();
    assert_eq!(decode(&mut decoder, &first), decode(&mut decoder, &second));
}

#[test]
fn a_changed_value_becomes_an_entry_when_it_comes_again() {
    let mut encoder = Encoder::new();
    let mut block = |second: u32| {
        let date = format!("Mon, 21 Oct 2013 20:13:{second:02} GMT");
        encode(&mut encoder, 200, &[pair("date", &date)])
    };
    assert_eq!(block(1)[1], 0x40 | 33, "added");
    assert_eq!(block(1)[1], NEWEST);
    assert_eq!(block(2)[1..3], [0x0f, 33 - 15], "not added");
    assert_eq!(block(2)[1], 0x40 | 33, "added");
    assert_eq!(block(2)[1], NEWEST);
    assert_eq!(block(1)[1], NEWEST + 1, "still there");
}

#[test]
fn secrets_and_values_that_rarely_repeat_are_no_entries() {
    let mut encoder = Encoder::new();
    for name in ["set-cookie", "content-length", "etag", "location", "age"] {
        for _ in 0..3 {
            let block = encode(&mut encoder, 200, &[pair(name, "123456")]);
            assert_eq!(block[1], 0x0f, "{name}: without indexing");
        }
    }
    for name in ["x-token", "authorization"] {
        for _ in 0..3 {
            let mut field = pair(name, "123456");
            field.1.set_sensitive(true);
            let block = encode(&mut encoder, 200, &[field]);
            assert_eq!(block[1] & 0xf0, 0x10, "{name}: never indexed");
            assert!(decode(&mut new(), &block).unwrap()[1].2);
        }
    }
}

#[test]
fn status_codes_are_three_digits() {
    for status in [100, 103, 200, 204, 206, 304, 400, 404, 418, 500, 599] {
        let block = encode(&mut Encoder::new(), status, &[]);
        let field = (b":status".to_vec(), status.to_string().into_bytes(), false);
        assert_eq!(decode(&mut new(), &block), Ok(vec![field]));
    }
}

#[test]
fn the_encoder_signals_the_smallest_and_the_last_size() {
    let sizes = |settings: &[usize]| {
        let mut encoder = Encoder::new();
        settings
            .iter()
            .for_each(|it| encoder.set_max_table_size(*it));
        let block = encode(&mut encoder, 200, &[]);
        assert_eq!(encode(&mut encoder, 200, &[]), [0x88], "once");
        block[..block.len() - 1].to_vec()
    };
    let (nothing, default) = ([0x20], [0x3f, 0xe1, 0x1f]);
    assert_eq!(sizes(&[]), []);
    assert_eq!(sizes(&[4096]), []);
    assert_eq!(sizes(&[1 << 20]), [], "the table is never larger");
    assert_eq!(sizes(&[0]), nothing);
    assert_eq!(sizes(&[20, 10]), [0x20 | 10]);
    assert_eq!(sizes(&[0, 4096]), [&nothing[..], &default].concat());
    assert_eq!(sizes(&[0, 1 << 20]), [&nothing[..], &default].concat());
    assert_eq!(sizes(&[10, 0, 20]), [0x20, 0x20 | 20]);
}

#[test]
fn without_a_table_nothing_is_added() {
    let mut encoder = Encoder::new();
    encoder.set_max_table_size(0);
    let field = [pair("server", "corelane")];
    let first = encode(&mut encoder, 200, &field);
    assert_eq!(first[..3], [0x20, 0x88, 0x0f]);
    assert_eq!(encode(&mut encoder, 200, &field), first[1..]);
}

#[test]
fn trailers_have_no_status() {
    let mut encoder = Encoder::new();
    let mut block = Vec::new();
    encoder.begin_block(&mut block);
    encoder.field(
        &HeaderName::from_static("grpc-status"),
        &HeaderValue::from(0),
        &mut block,
    );
    let fields = decode(&mut new(), &block).unwrap();
    assert_eq!(fields, [(b"grpc-status".to_vec(), b"0".to_vec(), false)]);
}
