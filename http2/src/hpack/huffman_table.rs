//! The Huffman code (RFC 7541 appendix B).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and the
//! codes of a greater length follow them. The lengths thus determine it. A test compares with the RFC.

/// The length of each symbol's code, in bits.
#[rustfmt::skip]
pub(crate) const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The longest code, which is also EOS: all ones.
pub(crate) const MAX_LENGTH: u32 = 30;

/// The code of each symbol, in its lowest bits.
pub(crate) const CODES: [u32; 256] = {
    let mut codes = [0; 256];
    let mut position = 0;
    while position < 256 {
        let symbol = CANONICAL.symbols[position] as usize;
        let length = LENGTHS[symbol] as usize;
        codes[symbol] = CANONICAL.first_code[length]
            + (position - CANONICAL.first_symbol[length] as usize) as u32;
        position += 1;
    }
    codes
};

/// What a decoder needs of codes that are longer than [`SHORT_BITS`].
pub(crate) struct Canonical {
    /// The symbols by length of their code, then by value.
    pub symbols: [u8; 256],
    /// The first code of each length.
    pub first_code: [u32; MAX_LENGTH as usize + 1],
    /// The place in `symbols` of that code's symbol.
    pub first_symbol: [u16; MAX_LENGTH as usize + 1],
    /// The number of codes of each length.
    pub count: [u16; MAX_LENGTH as usize + 1],
}

pub(crate) const CANONICAL: Canonical = {
    let mut symbols = [0; 256];
    let mut first_code = [0; MAX_LENGTH as usize + 1];
    let mut first_symbol = [0; MAX_LENGTH as usize + 1];
    let mut count = [0; MAX_LENGTH as usize + 1];
    let mut position = 0;
    let mut next_code = 0;
    let mut length = 1;
    while length <= MAX_LENGTH as usize {
        next_code <<= 1;
        first_code[length] = next_code;
        first_symbol[length] = position as u16;
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as usize == length {
                symbols[position] = symbol as u8;
                position += 1;
                next_code += 1;
                count[length] += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    // What remains is EOS.
    assert!(next_code == (1 << MAX_LENGTH) - 1);
    Canonical {
        symbols,
        first_code,
        first_symbol,
        count,
    }
};

/// Codes up to this length are looked up at once. It covers letters, digits and the usual punctuation of paths
/// and user agents; the table then has 2 KiB.
pub(crate) const SHORT_BITS: u32 = 10;

/// For each possible next [`SHORT_BITS`] bits: the symbol in the upper byte, the length of its code in the lower one.
/// Zero if the code is longer.
pub(crate) static SHORT: [u16; 1 << SHORT_BITS] = {
    let mut table = [0; 1 << SHORT_BITS];
    let mut symbol = 0;
    while symbol < 256 {
        let length = LENGTHS[symbol] as u32;
        if length <= SHORT_BITS {
            let free = SHORT_BITS - length;
            let mut low = 0;
            while low < 1 << free {
                table[((CODES[symbol] as usize) << free) + low] =
                    ((symbol as u16) << 8) | length as u16;
                low += 1;
            }
        }
        symbol += 1;
    }
    table
};
