//! The decoder (RFC 7541 sections 3 and 6).

use std::ops::Range;

use super::{
    DEFAULT_TABLE_SIZE, FIELD_OVERHEAD, dynamic_table::DynamicTable, error::Error, huffman,
    integer, static_table,
};

/// Decodes the field blocks of one connection, in the order in which they arrive.
///
/// ```
/// use corelane_http2::hpack::Decoder;
///
/// let mut decoder = Decoder::new(4096);
/// let block = [0x82, 0x41, 3, b'a', b'.', b'b'];
/// let mut fields = Vec::new();
/// decoder.decode(&block, 16_384, &mut |name: &[u8], value: &[u8], _sensitive| {
///     fields.push((name.to_vec(), value.to_vec()));
/// })?;
/// assert_eq!(fields[0], (b":method".to_vec(), b"GET".to_vec()));
/// assert_eq!(fields[1], (b":authority".to_vec(), b"a.b".to_vec()));
/// # Ok::<(), corelane_http2::hpack::Error>(())
/// ```
pub struct Decoder {
    table: DynamicTable,
    /// SETTINGS_HEADER_TABLE_SIZE that the peer has acknowledged: the table's maximum size is never above it.
    setting: usize,
    /// The smallest setting since the last block, if it is below the table's maximum size: the next block has to
    /// start with a size that is no larger.
    reduced_to: Option<usize>,
}

/// How many bytes of names a block may repeat from the dynamic table beyond the limit of its list, in sizes of that
/// table. A field of three bytes can repeat a name of 4 KiB: without a limit, a block of 64 KiB makes the decoder
/// copy 80 MiB.
const MAX_REPEATED_TABLES: usize = 16;

impl Decoder {
    /// A decoder with this SETTINGS_HEADER_TABLE_SIZE, in bytes. It is 4,096 until the peer has acknowledged another value:
    /// then use [`set_max_table_size`](Self::set_max_table_size). The table begins with at most 4,096 bytes, and grows when the
    /// peer signals it.
    #[must_use]
    pub fn new(max_table_size: usize) -> Self {
        Self {
            table: DynamicTable::new(max_table_size.min(DEFAULT_TABLE_SIZE)),
            setting: max_table_size,
            reduced_to: None,
        }
    }

    /// Sets SETTINGS_HEADER_TABLE_SIZE, in bytes, when the peer has acknowledged it. If the table is larger, the next
    /// block has to start with a change of its size; otherwise it fails with [`Error::InvalidTableSize`] (RFC 7541 section
    /// 4.2, RFC 9113 section 4.3.1).
    pub fn set_max_table_size(&mut self, setting: usize) {
        self.setting = setting;
        if setting < self.table.max_size() {
            let smallest = self.reduced_to.map_or(setting, |it| it.min(setting));
            self.reduced_to = Some(smallest);
        }
    }

    /// Decodes a whole block and calls `field` with the name, the value and whether the field is sensitive (section
    /// 7.1.3), in the order of the block. Names and values are the peer's bytes: they are not validated.
    ///
    /// `max_list_size` limits the sum of name, value and 32 for each field, in bytes (RFC 9113 section 6.5.2). Beyond
    /// it, the decoder calls `field` no more but reads the rest of the block, and returns [`Error::ListTooLarge`].
    /// After any other error the connection has to end; what further blocks decode to is then undefined.
    pub fn decode(
        &mut self,
        block: &[u8],
        max_list_size: usize,
        field: &mut impl FnMut(&[u8], &[u8], bool),
    ) -> Result<(), Error> {
        self.decode_fields(block, max_list_size, &mut |it: Field<'_>| {
            field(it.name, it.value, it.sensitive);
        })
    }

    /// As [`decode`](Self::decode), for a caller that keeps what it makes of an entry of the dynamic table.
    pub(crate) fn decode_fields(
        &mut self,
        block: &[u8],
        max_list_size: usize,
        field: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Error> {
        let mut rest = block;
        self.change_sizes(&mut rest)?;
        let mut list = List {
            field,
            size: 0,
            max_size: max_list_size,
        };
        let mut repeatable =
            max_list_size.saturating_add(MAX_REPEATED_TABLES.saturating_mul(self.table.max_size()));
        // The strings of the current field that are not in the block as they are. Most blocks have some.
        let mut strings = Vec::new();
        while let Some(&first) = rest.first() {
            if first & INDEXED != 0 {
                let index = integer::decode(7, &mut rest)?;
                let (name, value) = self.get(index)?;
                list.push(Field {
                    name,
                    value,
                    sensitive: false,
                    entry: self.number(index),
                });
                continue;
            }
            let indexing = first & WITH_INDEXING != 0;
            if !indexing && first & SIZE_UPDATE != 0 {
                return Err(Error::InvalidTableSize);
            }
            let index = integer::decode(if indexing { 6 } else { 4 }, &mut rest)?;
            strings.clear();
            let name = match index {
                0 => string(&mut rest, &mut strings)?,
                1..=static_table::LEN => {
                    let (name, _) = static_table::get(index).ok_or(Error::UnknownIndex)?;
                    Text::Borrowed(name)
                }
                _ => {
                    let (name, _) = self.get(index)?;
                    repeatable = repeatable
                        .checked_sub(name.len())
                        .ok_or(Error::ListFarTooLarge)?;
                    // The field may evict the entry.
                    strings.extend_from_slice(name);
                    Text::Copied(0..name.len())
                }
            };
            let value = string(&mut rest, &mut strings)?;
            let (name, value) = (name.of(&strings), value.of(&strings));
            list.push(Field {
                name,
                value,
                sensitive: !indexing && first & NEVER_INDEXED != 0,
                entry: None,
            });
            if indexing {
                self.table.add(name, value);
            }
        }
        if list.size > max_list_size {
            return Err(Error::ListTooLarge);
        }
        Ok(())
    }

    /// The memory that the decoder holds between two blocks, in bytes: at most 44/32 of the largest
    /// SETTINGS_HEADER_TABLE_SIZE, and none until a block adds a field to the table.
    #[must_use]
    pub fn held(&self) -> usize {
        self.table.held()
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &DynamicTable {
        &self.table
    }

    /// Takes the changes of the table's size off the front of a block (sections 4.2 and 6.3).
    fn change_sizes(&mut self, block: &mut &[u8]) -> Result<(), Error> {
        let mut changes = 0;
        while let Some(&first) = block.first()
            && first & SIZE_UPDATE_MASK == SIZE_UPDATE
        {
            let size = integer::decode(5, block)?;
            let limit = self.reduced_to.take().unwrap_or(self.setting);
            // The smallest size since the last block, then the current one.
            changes += 1;
            if changes > 2 || size > limit {
                return Err(Error::InvalidTableSize);
            }
            self.table.set_max_size(size);
        }
        match self.reduced_to {
            Some(_) => Err(Error::InvalidTableSize),
            None => Ok(()),
        }
    }

    /// The number of an entry of the dynamic table.
    fn number(&self, index: usize) -> Option<u64> {
        let age = index.checked_sub(static_table::LEN + 1)? as u64;
        self.table.next_number().checked_sub(age + 1)
    }

    fn get(&self, index: usize) -> Result<(&[u8], &[u8]), Error> {
        static_table::get(index)
            .or_else(|| self.table.get(index.checked_sub(static_table::LEN + 1)?))
            .ok_or(Error::UnknownIndex)
    }
}

/// How many fields and changes of the table's size a block has, up to `most` or to a part that cannot be decoded.
pub(crate) fn count_fields(block: &[u8], most: usize) -> usize {
    let mut rest = block;
    (0..most)
        .take_while(|_| !rest.is_empty() && skip_field(&mut rest).is_ok())
        .count()
}

#[inline]
fn skip_field(block: &mut &[u8]) -> Result<(), Error> {
    let first = block.first().copied().unwrap_or_default();
    if first & INDEXED != 0 {
        return integer::decode(7, block).map(|_index| ());
    }
    let prefix = match first {
        _ if first & WITH_INDEXING != 0 => 6,
        _ if first & SIZE_UPDATE != 0 => return integer::decode(5, block).map(|_size| ()),
        _ => 4,
    };
    let has_name = integer::decode(prefix, block)? == 0;
    for _ in 0..1 + usize::from(has_name) {
        let len = integer::decode(7, block)?;
        *block = block.get(len..).ok_or(Error::Truncated)?;
    }
    Ok(())
}

// The first bits of each representation.
const INDEXED: u8 = 0x80; // Section 6.1
const WITH_INDEXING: u8 = 0x40; // Section 6.2.1
const SIZE_UPDATE: u8 = 0x20; // Section 6.3
const SIZE_UPDATE_MASK: u8 = 0xe0;
const NEVER_INDEXED: u8 = 0x10; // Section 6.2.3

/// A field, as the peer's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) sensitive: bool,
    /// The number of the entry of the dynamic table that it was read from. Entries are numbered in the order in which they
    /// enter the table, so that each field that has the same number is the same.
    pub(crate) entry: Option<u64>,
}

/// The fields of one block.
struct List<'a, F> {
    field: &'a mut F,
    size: usize,
    max_size: usize,
}

impl<F: FnMut(Field<'_>)> List<'_, F> {
    fn push(&mut self, field: Field<'_>) {
        self.size = self
            .size
            .saturating_add(field.name.len() + field.value.len() + FIELD_OVERHEAD);
        if self.size <= self.max_size {
            (self.field)(field);
        }
    }
}

/// A name or a value.
enum Text<'a> {
    /// In the block or in the static table.
    Borrowed(&'a [u8]),
    /// Where it is in the decoder's strings.
    Copied(Range<usize>),
}

impl<'a> Text<'a> {
    fn of(&self, strings: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Copied(range) => &strings[range.clone()],
        }
    }
}

/// Takes a string off the front of `block` (section 5.2).
fn string<'a>(block: &mut &'a [u8], strings: &mut Vec<u8>) -> Result<Text<'a>, Error> {
    let is_huffman = block.first().is_some_and(|first| first & 0x80 != 0);
    let len = integer::decode(7, block)?;
    let (bytes, rest) = block.split_at_checked(len).ok_or(Error::Truncated)?;
    *block = rest;
    if !is_huffman {
        return Ok(Text::Borrowed(bytes));
    }
    let start = strings.len();
    huffman::decode(bytes, strings)?;
    Ok(Text::Copied(start..strings.len()))
}
