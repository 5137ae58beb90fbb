mod examples;
mod random;
mod rules;

use http::{HeaderName, HeaderValue};

use super::{Decoder, Encoder, Error};

/// The limit of a list that no test reaches by accident.
const LIST: usize = 1 << 20;

/// Name, value and whether it is sensitive.
type Field = (Vec<u8>, Vec<u8>, bool);

fn decode_up_to(
    decoder: &mut Decoder,
    block: &[u8],
    list: usize,
) -> (Vec<Field>, Result<(), Error>) {
    let mut fields = Vec::new();
    let result = decoder.decode(block, list, &mut |name: &[u8], value: &[u8], sensitive| {
        fields.push((name.to_vec(), value.to_vec(), sensitive));
    });
    (fields, result)
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Field>, Error> {
    let (fields, result) = decode_up_to(decoder, block, LIST);
    result.map(|()| fields)
}

/// A response's block.
fn encode(encoder: &mut Encoder, status: u16, fields: &[(HeaderName, HeaderValue)]) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.begin_block(&mut block);
    encoder.status(status, &mut block);
    for (name, value) in fields {
        encoder.field(name, value, &mut block);
    }
    block
}
