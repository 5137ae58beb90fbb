//! Random fields and random bytes.

use std::collections::VecDeque;

use http::{HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    super::{Decoder, Encoder, FIELD_OVERHEAD, count_fields, dynamic_table::DynamicTable},
    decode, encode,
};

fn name() -> impl Strategy<Value = HeaderName> {
    let usual = select(&[
        "content-type",
        "date",
        "etag",
        "set-cookie",
        "vary",
        "x-a",
        "x-b",
    ]);
    prop_oneof![
        4 => usual.prop_map(HeaderName::from_static),
        1 => "[a-z][a-z0-9-]{0,40}".prop_map(|it| HeaderName::try_from(it).unwrap()),
    ]
}

fn value() -> impl Strategy<Value = HeaderValue> {
    let usual = select(&["", "a", "text/html", "Mon, 21 Oct 2013 20:13:21 GMT"]);
    let any = vec(prop_oneof![32..127u8, 128..=255u8], 0..60);
    let bytes = prop_oneof![
        4 => usual.prop_map(|it| it.as_bytes().to_vec()),
        2 => any,
        1 => (0..5000usize).prop_map(|len| vec![b'x'; len]),
    ];
    (bytes, prop::bool::weighted(0.1)).prop_map(|(bytes, sensitive)| {
        let mut value = HeaderValue::from_bytes(&bytes).unwrap();
        value.set_sensitive(sensitive);
        value
    })
}

/// What happens between two blocks.
#[derive(Clone, Debug)]
enum Step {
    Response(u16, Vec<(HeaderName, HeaderValue)>),
    Setting(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let response = (100u16..1000, vec((name(), value()), 0..12));
    let step = prop_oneof![
        4 => response.prop_map(|(status, fields)| Step::Response(status, fields)),
        1 => select(&[0, 1, 33, 100, 300, 4096, 65_536]).prop_map(Step::Setting),
    ];
    vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_encoded_is_decoded(steps in steps()) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        for step in steps {
            match step {
                Step::Setting(size) => {
                    encoder.set_max_table_size(size);
                    decoder.set_max_table_size(size);
                }
                Step::Response(status, fields) => {
                    let block = encode(&mut encoder, status, &fields);
                    let mut expected =
                        vec![(b":status".to_vec(), status.to_string().into_bytes(), false)];
                    expected.extend(fields.iter().map(|(name, value)| {
                        let name = name.as_str().as_bytes().to_vec();
                        (name, value.as_bytes().to_vec(), value.is_sensitive())
                    }));
                    let counted = count_fields(&block, usize::MAX);
                    // Two changes of the table's size may come first.
                    prop_assert!((expected.len()..=expected.len() + 2).contains(&counted));
                    prop_assert_eq!(count_fields(&block, 1), 1);
                    prop_assert_eq!(decode(&mut decoder, &block), Ok(expected));
                }
            }
            let size = encoder.table().max_size();
            prop_assert!(encoder.held() <= size * 44 / 32 + 2048);
            prop_assert!(decoder.held() <= 4096 * 44 / 32);
        }
    }

    /// Also cut, and after a valid beginning.
    #[test]
    fn no_bytes_panic_or_exceed_the_bounds(
        steps in steps(),
        blocks in vec((vec(any::<u8>(), 0..300), any::<prop::sample::Index>()), 1..10),
        setting in select(&[0, 100, 4096, 65_536]),
        list in 0..3000usize,
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(setting));
        let responses = steps.iter().filter_map(|step| match step {
            Step::Response(status, fields) => Some(encode(&mut encoder, *status, fields)),
            Step::Setting(_) => None,
        });
        let mut blocks: Vec<_> = responses.zip(blocks).map(|(mut block, (bytes, place))| {
            let place = place.index(block.len() + 1);
            block.truncate(place);
            block.extend(bytes);
            block
        }).collect();
        blocks.push(vec![NEWEST]);
        for block in blocks {
            let mut size = 0;
            let _ = decoder.decode(&block, list, &mut |name: &[u8], value: &[u8], _| {
                size += name.len() + value.len() + FIELD_OVERHEAD;
            });
            prop_assert!(size <= list);
            prop_assert!(decoder.table().size() <= decoder.table().max_size());
            prop_assert!(decoder.table().max_size() <= setting);
            prop_assert!(decoder.held() <= setting * 44 / 32);
        }
    }

    #[test]
    fn the_table_behaves_as_a_queue(
        steps in vec((0..5u8, 0..150usize, 0..700usize), 1..80),
        first in 0..5000usize,
    ) {
        let mut table = DynamicTable::new(first);
        let mut model = Model { entries: VecDeque::new(), max_size: first };
        for (number, (kind, name, value)) in steps.into_iter().enumerate() {
            if kind == 0 {
                let size = name * value / 20;
                table.set_max_size(size);
                model.max_size = size;
                model.evict();
            } else {
                let field = (vec![number as u8; name], vec![kind; value]);
                let added = table.add(&field.0, &field.1);
                model.entries.push_front(field);
                model.evict();
                prop_assert_eq!(added, !model.entries.is_empty());
            }
            prop_assert_eq!(table.size(), model.size());
            prop_assert_eq!(table.len(), model.entries.len());
            prop_assert_eq!(table.get(table.len()), None);
            for (age, (name, value)) in model.entries.iter().enumerate() {
                prop_assert_eq!(table.get(age), Some((&name[..], &value[..])));
            }
            prop_assert!(table.held() <= table.max_size() * 44 / 32);
        }
    }
}

const NEWEST: u8 = 0x80 | 62;

/// RFC 7541 section 4, as it is written.
struct Model {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    max_size: usize,
}

impl Model {
    fn size(&self) -> usize {
        let sizes = self.entries.iter().map(|it| it.0.len() + it.1.len());
        sizes.map(|it| it + FIELD_OVERHEAD).sum()
    }

    fn evict(&mut self) {
        while self.size() > self.max_size {
            self.entries.pop_back();
        }
    }
}
