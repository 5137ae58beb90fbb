//! HPACK, the compression of header fields (RFC 7541).
//!
//! A [`Decoder`] reads the field blocks that the peer sends, an [`Encoder`] writes those of responses. Each
//! belongs to one connection and has a dynamic table of its own. The files follow the sections of the RFC:
//!
//! | file | section |
//! |---|---|
//! | `dynamic_table.rs` | 2.3.2, 4 |
//! | `integer.rs` | 5.1 |
//! | `huffman.rs`, `huffman_table.rs` | 5.2, appendix B |
//! | `decoder.rs`, `encoder.rs` | 3, 6, 7.1.3 |
//! | `static_table.rs` | appendix A |
//! | `field_index.rs` | (the encoder's search in the dynamic table) |

mod decoder;
mod dynamic_table;
mod encoder;
mod error;
mod field_index;
mod huffman;
mod huffman_table;
mod integer;
mod static_table;

#[cfg(test)]
mod tests;

pub(crate) use self::decoder::{Field, count_fields};
pub use self::{decoder::Decoder, encoder::Encoder, error::Error};

/// What each field counts besides its name and its value, in bytes: in the size of the dynamic table
/// (RFC 7541 section 4.1) and in the size of a field list (RFC 9113 section 6.5.2).
pub const FIELD_OVERHEAD: usize = 32;

/// The size of the dynamic table, in bytes, until SETTINGS_HEADER_TABLE_SIZE changes it (RFC 9113 section 6.5.2).
pub const DEFAULT_TABLE_SIZE: usize = 4096;
