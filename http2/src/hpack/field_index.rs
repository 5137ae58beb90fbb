//! Finds the encoder's entries of the dynamic table by their content.

use super::dynamic_table::DynamicTable;

/// Two hash tables over the entries of a [`DynamicTable`]: one by name and value, one by name.
///
/// It holds no bytes of fields: what it finds is compared with the table. It forgets an entry if too many hashes meet
/// in one place; the field is then sent again, which is never wrong. No choice of fields makes a search long. It holds
/// at most 2 KiB, and nothing until a field is added.
#[derive(Default)]
pub(crate) struct FieldIndex {
    fields: Vec<Slot>,
    names: Vec<Slot>,
}

/// The hash and the number of an entry, modulo 2^32.
#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u32,
    number: u32,
}

/// The slots of the first allocation, a power of two. Up to [`MAX_SLOTS`], there are at least twice as many slots as entries.
const FIRST_SLOTS: usize = 16;

/// The most slots of each table. A table of 4,096 bytes holds 64 fields of a usual length.
const MAX_SLOTS: usize = 128;

/// How many slots a hash may be in.
const WAYS: usize = 4;

impl FieldIndex {
    /// The age of the newest entry with this name and value.
    #[inline]
    pub fn field(
        &self,
        hashes: Hashes,
        name: &[u8],
        value: &[u8],
        table: &DynamicTable,
    ) -> Option<usize> {
        let is_known = !hashes.field.is_multiple_of(HASHES_OF_KNOWN);
        find(&self.fields, hashes.field, table, |found| {
            found.1 == value && (is_known || found.0 == name)
        })
    }

    /// The age of the newest entry with this name.
    pub fn name(&self, hashes: Hashes, name: &[u8], table: &DynamicTable) -> Option<usize> {
        find(&self.names, hashes.name, table, |found| found.0 == name)
    }

    /// The memory that the index holds, in bytes.
    pub fn held(&self) -> usize {
        (self.fields.capacity() + self.names.capacity()) * size_of::<Slot>()
    }

    /// Adds the newest entry of the table.
    pub fn insert(&mut self, hashes: Hashes, table: &DynamicTable) {
        let wanted = (table.len() * 2).min(MAX_SLOTS);
        if wanted > self.fields.len() {
            grow(&mut self.fields, table);
            grow(&mut self.names, table);
        }
        let number = (table.next_number() - 1) as u32;
        for (slots, hash) in [
            (&mut self.fields, hashes.field),
            (&mut self.names, hashes.name),
        ] {
            put(slots, Slot { hash, number }, table);
        }
    }
}

/// The hashes of a field and of its name.
#[derive(Clone, Copy)]
pub(crate) struct Hashes {
    pub field: u32,
    name: u32,
}

/// The lowest bits of both hashes are the index of a name of the static table, or zero: such names need not be
/// compared.
const HASHES_OF_KNOWN: u32 = 64;

impl Hashes {
    /// `known` is the index of the name in the static table, or zero.
    #[inline]
    pub fn new(known: usize, name: &[u8], value: &[u8]) -> Self {
        let name = match known {
            0 => hash(0, name) & !(HASHES_OF_KNOWN - 1),
            known => known as u32,
        };
        let field = hash(name, value) & !(HASHES_OF_KNOWN - 1) | known as u32;
        Self { field, name }
    }
}

fn ways(hash: u32, slots: usize) -> impl Iterator<Item = usize> {
    // The lowest bits are those of the name.
    let first = (hash ^ hash >> 16) as usize;
    (0..WAYS.min(slots)).map(move |way| (first + way) & (slots - 1))
}

fn find(
    slots: &[Slot],
    hash: u32,
    table: &DynamicTable,
    is_it: impl Fn((&[u8], &[u8])) -> bool,
) -> Option<usize> {
    ways(hash, slots.len()).find_map(|place| {
        let slot = slots[place];
        let age = age(slot, table)?;
        (slot.hash == hash && is_it(table.get(age)?)).then_some(age)
    })
}

/// None if the entry was evicted.
fn age(slot: Slot, table: &DynamicTable) -> Option<usize> {
    let age = (table.next_number() as u32)
        .wrapping_sub(slot.number)
        .wrapping_sub(1) as usize;
    (age < table.len()).then_some(age)
}

/// In place of the same hash, otherwise of an evicted entry or of the oldest one.
fn put(slots: &mut [Slot], slot: Slot, table: &DynamicTable) {
    let same = ways(slot.hash, slots.len()).find(|place| slots[*place].hash == slot.hash);
    let place = same.or_else(|| {
        ways(slot.hash, slots.len())
            .max_by_key(|place| age(slots[*place], table).unwrap_or(usize::MAX))
    });
    if let Some(place) = place {
        slots[place] = slot;
    }
}

fn grow(slots: &mut Vec<Slot>, table: &DynamicTable) {
    let len = (slots.len() * 2).max(FIRST_SLOTS);
    let old = std::mem::replace(slots, vec![Slot::default(); len]);
    for slot in old {
        if age(slot, table).is_some() {
            put(slots, slot, table);
        }
    }
}

/// Takes the length and three samples of eight bytes, so that it costs the same for each string.
fn hash(seed: u32, string: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let sample = |at: usize| match string[at..].first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    };
    let len = string.len();
    let mut hash = (u64::from(seed) << 32) ^ len as u64;
    if let Some(last) = len.checked_sub(8) {
        for at in [0, last / 2, last] {
            hash = (hash ^ sample(at)).wrapping_mul(FACTOR).rotate_left(29);
        }
    } else {
        let bytes = string
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        hash = (hash ^ bytes.rotate_left(32))
            .wrapping_mul(FACTOR)
            .rotate_left(29);
    }
    (hash.wrapping_mul(FACTOR) >> 32) as u32
}
