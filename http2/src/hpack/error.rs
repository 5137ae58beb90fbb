//! Why a field block was not decoded.

use std::fmt;

/// Why [`Decoder::decode`](super::Decoder::decode) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The field list is larger than the caller accepts (RFC 9113 section 6.5.2). The decoder has read the whole
    /// block, so that the connection can continue.
    ListTooLarge,
    /// The block ends within a field.
    Truncated,
    /// An integer has more than five bytes (RFC 7541 section 5.1).
    IntegerTooLong,
    /// An index is zero or beyond both tables (RFC 7541 sections 2.3.3 and 6.1).
    UnknownIndex,
    /// A string has padding other than up to seven bits of one, or contains EOS (RFC 7541 section 5.2).
    InvalidHuffman,
    /// The block changes the table's size after a field, more than twice, to more than the setting, or not at all
    /// although the setting became smaller (RFC 7541 sections 4.2 and 6.3).
    InvalidTableSize,
    /// The field list is too large, and the block repeats so many names of the dynamic table that to read on is out of
    /// proportion to its size. The connection may end with ENHANCE_YOUR_CALM instead.
    ListFarTooLarge,
}

impl Error {
    /// Whether both dynamic tables can differ now, so that the connection has to end with COMPRESSION_ERROR
    /// (RFC 9113 section 4.3). False for [`Error::ListTooLarge`] only.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        self != Self::ListTooLarge
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListTooLarge => "field list too large",
            Self::Truncated => "field block ends within a field",
            Self::IntegerTooLong => "integer of more than five bytes",
            Self::UnknownIndex => "index of no field",
            Self::InvalidHuffman => "invalid Huffman code",
            Self::InvalidTableSize => "invalid or missing change of the table's size",
            Self::ListFarTooLarge => "field list far too large",
        })
    }
}

impl std::error::Error for Error {}
