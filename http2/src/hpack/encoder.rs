//! The encoder (RFC 7541 sections 3, 6 and 7.1.3), for responses.

use bytes::BufMut;
use http::{HeaderName, HeaderValue};

use super::{
    DEFAULT_TABLE_SIZE, FIELD_OVERHEAD,
    dynamic_table::DynamicTable,
    field_index::{FieldIndex, Hashes},
    huffman, integer, static_table,
};

/// Encodes the field blocks of one connection, in the order in which they are sent.
///
/// Call [`begin_block`](Self::begin_block), then for a response [`status`](Self::status), then
/// [`field`](Self::field) for each field. All append to the block. The peer has to receive every block, in this order.
///
/// ```
/// use corelane_http2::hpack::Encoder;
/// use http::{HeaderValue, header};
///
/// let mut encoder = Encoder::new();
/// let mut block = Vec::new();
/// encoder.begin_block(&mut block);
/// encoder.status(200, &mut block);
/// encoder.field(&header::CONTENT_LENGTH, &HeaderValue::from_static("13"), &mut block);
/// assert_eq!(block, [0x88, 0x0f, 13, 2, b'1', b'3']);
/// ```
///
/// A field becomes an entry of the dynamic table if it is likely to come again: its name is sent for the first time,
/// or the same value comes for the second time. Fields whose values rarely repeat, such as `content-length` and `etag`,
/// and fields that are worth guessing, such as `set-cookie`, never do (section 7.1). A value that is
/// [sensitive](HeaderValue::is_sensitive) is sent as never indexed.
pub struct Encoder {
    table: DynamicTable,
    index: FieldIndex,
    /// The smallest maximum size of the table since the last block, if the peer has to be told of a change.
    smallest: Option<usize>,
    /// The maximum size that the peer knows.
    signalled: usize,
    /// Hashes of fields that were not added to the table, each in a place of its own.
    sent_once: [u32; SENT_ONCE],
}

/// The number of fields that the encoder remembers without adding them to the table: those of one response
/// that change each time should not displace each other.
const SENT_ONCE: usize = 16;

/// The largest table that the encoder uses, in bytes, whatever the peer allows: it is memory of this side.
const MAX_TABLE_SIZE: usize = DEFAULT_TABLE_SIZE;

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder for a peer with the default SETTINGS_HEADER_TABLE_SIZE, 4,096 bytes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: DynamicTable::new(MAX_TABLE_SIZE),
            index: FieldIndex::default(),
            smallest: None,
            signalled: MAX_TABLE_SIZE,
            sent_once: [0; SENT_ONCE],
        }
    }

    /// Applies the peer's SETTINGS_HEADER_TABLE_SIZE, in bytes. Call it for each value, in their order: the next block
    /// signals the smallest and the last one (section 4.2). The table never has more than 4,096 bytes.
    pub fn set_max_table_size(&mut self, setting: usize) {
        let size = setting.min(MAX_TABLE_SIZE);
        if size == self.table.max_size() {
            return;
        }
        self.table.set_max_size(size);
        if self.table.len() == 0 {
            self.index = FieldIndex::default();
        }
        let smallest = self.smallest.unwrap_or(self.signalled);
        self.smallest = Some(smallest.min(size));
    }

    /// Begins a block. It signals changes of the table's size (section 6.3).
    #[inline]
    pub fn begin_block(&mut self, out: &mut impl BufMut) {
        if let Some(smallest) = self.smallest.take() {
            self.signal_sizes(smallest, out);
        }
    }

    #[cold]
    fn signal_sizes(&mut self, smallest: usize, out: &mut impl BufMut) {
        let size = self.table.max_size();
        if smallest < size && smallest < self.signalled {
            integer::encode(5, SIZE_UPDATE, smallest, out);
        }
        integer::encode(5, SIZE_UPDATE, size, out);
        self.signalled = size;
    }

    /// Appends `:status`, three digits. It comes before all fields (RFC 9113 section 8.3).
    pub fn status(&mut self, status: u16, out: &mut impl BufMut) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |divisor| b'0' + (status / divisor % 10) as u8;
                let digits = [digit(100), digit(10), digit(1)];
                return self.worth_indexing(STATUS, b":status", &digits, out);
            }
        };
        out.put_u8(INDEXED | index);
    }

    /// Appends a field, also of trailers.
    pub fn field(&mut self, name: &HeaderName, value: &HeaderValue, out: &mut impl BufMut) {
        let known = static_table::find(name).unwrap_or(0);
        let name = name.as_str().as_bytes();
        let bytes = value.as_bytes();
        if value.is_sensitive() {
            let index = self.name_index(known, name);
            literal(4, NEVER_INDEXED, index, name, bytes, out);
        } else if NOT_INDEXED & (1 << known) != 0 {
            literal(4, WITHOUT_INDEXING, known, name, bytes, out);
        } else {
            self.worth_indexing(known, name, bytes, out);
        }
    }

    /// The memory that the encoder holds, in bytes: at most 44/32 of the table's maximum size and 2 KiB, and none until
    /// a field is added to the table.
    #[must_use]
    pub fn held(&self) -> usize {
        self.table.held() + self.index.held()
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &DynamicTable {
        &self.table
    }

    /// `known` is the index of the name in the static table, or zero.
    #[inline]
    fn worth_indexing(&mut self, known: usize, name: &[u8], value: &[u8], out: &mut impl BufMut) {
        let hashes = Hashes::new(known, name, value);
        match self.index.field(hashes, name, value, &self.table) {
            Some(age) => integer::encode(7, INDEXED, static_table::LEN + 1 + age, out),
            None => self.not_in_table(known, hashes, name, value, out),
        }
    }

    #[inline(never)]
    fn not_in_table(
        &mut self,
        known: usize,
        hashes: Hashes,
        name: &[u8],
        value: &[u8],
        out: &mut impl BufMut,
    ) {
        let same_name = self.index.name(hashes, name, &self.table);
        let index = match (known, same_name) {
            (0, Some(age)) => static_table::LEN + 1 + age,
            _ => known,
        };
        let sent_before = self.was_sent(hashes.field);
        // A field of more than half a table would displace most others.
        let fits = name.len() + value.len() + FIELD_OVERHEAD <= self.table.max_size() / 2;
        if !fits || (same_name.is_some() && !sent_before) {
            literal(4, WITHOUT_INDEXING, index, name, value, out);
            return;
        }
        literal(6, WITH_INDEXING, index, name, value, out);
        self.table.add(name, value);
        self.index.insert(hashes, &self.table);
    }

    /// Whether a field with this hash was sent before, as far as the encoder remembers.
    fn was_sent(&mut self, hash: u32) -> bool {
        let place = &mut self.sent_once[(hash >> 16) as usize % SENT_ONCE];
        std::mem::replace(place, hash) == hash
    }

    fn name_index(&self, known: usize, name: &[u8]) -> usize {
        if known != 0 {
            return known;
        }
        let hashes = Hashes::new(known, name, &[]);
        match self.index.name(hashes, name, &self.table) {
            Some(age) => static_table::LEN + 1 + age,
            None => 0,
        }
    }
}

// The first bits of each representation.
const INDEXED: u8 = 0x80; // Section 6.1
const WITH_INDEXING: u8 = 0x40; // Section 6.2.1
const WITHOUT_INDEXING: u8 = 0; // Section 6.2.2
const NEVER_INDEXED: u8 = 0x10; // Section 6.2.3
const SIZE_UPDATE: u8 = 0x20; // Section 6.3

/// The index of `:status` in the static table.
const STATUS: usize = static_table::index_of(":status");

/// Names that are not worth an entry, as bits by their index in the static table: their values rarely repeat within a
/// connection, or are secrets that an attacker could guess by the length of the block (section 7.1).
const NOT_INDEXED: u64 = {
    let names = [
        "age",
        "authorization",
        "content-length",
        "content-location",
        "content-range",
        "cookie",
        "etag",
        "expires",
        "last-modified",
        "location",
        "retry-after",
        "set-cookie",
    ];
    let mut bits = 0;
    let mut place = 0;
    while place < names.len() {
        bits |= 1 << static_table::index_of(names[place]);
        place += 1;
    }
    bits
};

/// Appends a literal. `index` is that of the name, or zero.
fn literal(
    prefix: u32,
    pattern: u8,
    index: usize,
    name: &[u8],
    value: &[u8],
    out: &mut impl BufMut,
) {
    integer::encode(prefix, pattern, index, out);
    if index == 0 {
        string(name, out);
    }
    string(value, out);
}

/// Shorter strings are not worth the Huffman code: it saves a byte at most.
const MIN_HUFFMAN_LEN: usize = 5;

/// Appends a string in the shorter one of its forms (section 5.2).
fn string(string: &[u8], out: &mut impl BufMut) {
    if string.len() >= MIN_HUFFMAN_LEN {
        let len = huffman::encoded_len(string);
        if len < string.len() {
            integer::encode(7, 0x80, len, out);
            huffman::encode(string, out);
            return;
        }
    }
    integer::encode(7, 0, string.len(), out);
    out.put_slice(string);
}
