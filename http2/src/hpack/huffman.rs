//! Strings in the Huffman code (RFC 7541 section 5.2).
//!
//! Both directions keep the next bits in an accumulator of 64 bits, the first one on top.

use bytes::BufMut;

use super::{
    error::Error,
    huffman_table::{CANONICAL, CODES, LENGTHS, MAX_LENGTH, SHORT, SHORT_BITS},
};

/// Appends the decoded string to `out`: at most 8/5 of the length of `input`.
pub(crate) fn decode(mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    // The shortest code has 5 bits.
    out.resize(start + input.len() * 8 / 5, 0);
    let mut free = out[start..].iter_mut();
    let mut put = |symbol| {
        free.next()
            .map(|byte| *byte = symbol)
            .ok_or(Error::InvalidHuffman)
    };
    let mut bits = 0u64;
    let mut valid = 0;
    while let Some((next, rest)) = input.split_first_chunk() {
        bits |= u64::from(u32::from_be_bytes(*next)) << (32 - valid);
        valid += 32;
        input = rest;
        // Any code is complete then.
        while valid >= MAX_LENGTH {
            let (symbol, length) = first_symbol(bits).ok_or(Error::InvalidHuffman)?;
            put(symbol)?;
            bits <<= length;
            valid -= length;
        }
    }
    for byte in input {
        bits |= u64::from(*byte) << (56 - valid);
        valid += 8;
    }
    // Up to seven bits of one begin EOS and no other code.
    while valid >= 8 || bits != !(u64::MAX >> valid) {
        match first_symbol(bits) {
            Some((symbol, length)) if length <= valid => {
                put(symbol)?;
                bits <<= length;
                valid -= length;
            }
            _ => return Err(Error::InvalidHuffman),
        }
    }
    let unused = free.len();
    out.truncate(out.len() - unused);
    Ok(())
}

/// The symbol whose code the upper bits begin with, and the code's length. None for EOS.
#[inline]
fn first_symbol(bits: u64) -> Option<(u8, u32)> {
    let entry = SHORT[(bits >> (64 - SHORT_BITS)) as usize];
    if entry != 0 {
        return Some(((entry >> 8) as u8, u32::from(entry & 0xff)));
    }
    first_long_symbol(bits)
}

#[cold]
fn first_long_symbol(bits: u64) -> Option<(u8, u32)> {
    for length in SHORT_BITS + 1..=MAX_LENGTH {
        let code = (bits >> (64 - length)) as u32;
        let row = length as usize;
        let offset = code.wrapping_sub(CANONICAL.first_code[row]);
        if offset < u32::from(CANONICAL.count[row]) {
            let position = usize::from(CANONICAL.first_symbol[row]) + offset as usize;
            return Some((CANONICAL.symbols[position], length));
        }
    }
    None
}

/// The length of `string` in the Huffman code, in bytes.
pub(crate) fn encoded_len(string: &[u8]) -> usize {
    let bits: usize = string
        .iter()
        .map(|byte| usize::from(LENGTHS[usize::from(*byte)]))
        .sum();
    bits.div_ceil(8)
}

/// Appends `string` in the Huffman code.
pub(crate) fn encode(string: &[u8], out: &mut impl BufMut) {
    let mut bits = 0u64;
    let mut valid = 0;
    for byte in string {
        let length = u32::from(LENGTHS[usize::from(*byte)]);
        valid += length;
        bits |= u64::from(CODES[usize::from(*byte)]) << (64 - valid);
        if valid >= 32 {
            out.put_u32((bits >> 32) as u32);
            bits <<= 32;
            valid -= 32;
        }
    }
    if valid > 0 {
        bits |= u64::MAX >> valid;
        out.put_slice(&bits.to_be_bytes()[..valid.div_ceil(8) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    /// Rows of appendix B: symbol, code, length.
    #[test]
    fn codes_are_those_of_the_rfc() {
        for (symbol, code, length) in [
            (0, 0x1ff8, 13),
            (1, 0x7f_ffd8, 23),
            (9, 0xff_ffea, 24),
            (10, 0x3fff_fffc, 30),
            (b' ', 0x14, 6),
            (b'!', 0x3f8, 10),
            (b'#', 0xffa, 12),
            (b'0', 0x0, 5),
            (b'A', 0x21, 6),
            (b'Z', 0xfd, 8),
            (b'\\', 0x7_fff0, 19),
            (b'a', 0x3, 5),
            (b'z', 0x7b, 7),
            (b'~', 0x1ffd, 13),
            (127, 0xfff_fffc, 28),
            (128, 0xf_ffe6, 20),
            (192, 0x3ff_ffe0, 26),
            (199, 0x1ff_ffec, 25),
            (249, 0xfff_fffe, 28),
            (255, 0x3ff_ffee, 26),
        ] {
            assert_eq!(CODES[usize::from(symbol)], code, "{symbol}");
            assert_eq!(LENGTHS[usize::from(symbol)], length, "{symbol}");
        }
    }

    #[test]
    fn every_symbol_is_decoded_at_every_offset() {
        for symbol in 0..=255 {
            for before in 0..8 {
                // Each zero has 5 bits.
                let string = [&vec![b'0'; before][..], &[symbol, b'0', symbol]].concat();
                let mut bytes = Vec::new();
                encode(&string, &mut bytes);
                assert_eq!(bytes.len(), encoded_len(&string));
                assert_eq!(decoded(&bytes).as_ref(), Ok(&string));
            }
        }
    }

    #[test]
    fn padding_is_up_to_seven_bits_of_one() {
        assert_eq!(decoded(&[]), Ok(vec![]));
        assert_eq!(decoded(&[0b0001_1111]), Ok(vec![b'a']));
        assert_eq!(decoded(&[0b0001_1110]), Err(Error::InvalidHuffman));
        assert_eq!(decoded(&[0b0001_1011]), Err(Error::InvalidHuffman));
        assert_eq!(decoded(&[0xff]), Err(Error::InvalidHuffman));
        assert_eq!(decoded(&[0b0001_1111, 0xff]), Err(Error::InvalidHuffman));
        assert_eq!(decoded(&[0xff; 3]), Err(Error::InvalidHuffman));
    }

    #[test]
    fn eos_in_a_string_is_an_error() {
        assert_eq!(decoded(&[0xff; 4]), Err(Error::InvalidHuffman));
        assert_eq!(decoded(&[0xff; 64]), Err(Error::InvalidHuffman));
        // "a", then EOS, then padding
        let mut bytes = ((3u64 << 59) | (u64::MAX >> 5)).to_be_bytes();
        assert_eq!(decoded(&bytes[..5]), Err(Error::InvalidHuffman));
        bytes[7] = 0;
        assert_eq!(decoded(&bytes), Err(Error::InvalidHuffman));
    }
}
