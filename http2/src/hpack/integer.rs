//! Integers with a prefix (RFC 7541 section 5.1).

use bytes::BufMut;

use super::error::Error;

/// The longest integer that the decoder reads, in bytes with the prefix. The largest one is then a little above
/// 2^28: more than a field block can hold.
const MAX_BYTES: usize = 5;

/// Takes an integer off the front of `block`. `prefix` is the number of its bits in the first byte.
#[inline]
pub(crate) fn decode(prefix: u32, block: &mut &[u8]) -> Result<usize, Error> {
    let (&first, rest) = block.split_first().ok_or(Error::Truncated)?;
    *block = rest;
    let mask = (1usize << prefix) - 1;
    let value = usize::from(first) & mask;
    if value < mask {
        return Ok(value);
    }
    decode_rest(value, block)
}

fn decode_rest(mut value: usize, block: &mut &[u8]) -> Result<usize, Error> {
    for shift in (0..).step_by(7).take(MAX_BYTES - 1) {
        let (&byte, rest) = block.split_first().ok_or(Error::Truncated)?;
        *block = rest;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::IntegerTooLong)
}

/// Appends an integer. `pattern` holds the bits of the first byte above the prefix.
#[inline]
pub(crate) fn encode(prefix: u32, pattern: u8, value: usize, out: &mut impl BufMut) {
    let mask = (1usize << prefix) - 1;
    if value < mask {
        out.put_u8(pattern | value as u8);
        return;
    }
    out.put_u8(pattern | mask as u8);
    encode_rest(value - mask, out);
}

fn encode_rest(mut rest: usize, out: &mut impl BufMut) {
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(prefix: u32, value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        encode(prefix, 0, value, &mut out);
        out
    }

    #[test]
    fn examples_of_appendix_c_1() {
        for (prefix, value, bytes) in [
            (5, 10, &[10][..]),
            (5, 1337, &[31, 154, 10]),
            (8, 42, &[42]),
        ] {
            assert_eq!(encoded(prefix, value), bytes);
            let mut block = bytes;
            assert_eq!(decode(prefix, &mut block), Ok(value));
            assert!(block.is_empty());
        }
    }

    #[test]
    fn an_integer_has_at_most_five_bytes() {
        let largest = [0x7f, 0xff, 0xff, 0xff, 0x7f];
        let value = 127 + (1 << 28) - 1;
        assert_eq!(decode(7, &mut &largest[..]), Ok(value));
        assert_eq!(encoded(7, value), largest);
        let longer = [0x7f, 0xff, 0xff, 0xff, 0xff, 0];
        assert_eq!(decode(7, &mut &longer[..]), Err(Error::IntegerTooLong));
        for cut in 0..largest.len() {
            assert_eq!(decode(7, &mut &largest[..cut]), Err(Error::Truncated));
        }
    }

    #[test]
    fn an_integer_may_have_idle_bytes() {
        assert_eq!(decode(4, &mut &[0x0f, 0x82, 0][..]), Ok(17));
    }
}
