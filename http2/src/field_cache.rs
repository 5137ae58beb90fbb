//! Fields of the dynamic table, as values of crate http.

use http::{HeaderName, HeaderValue, uri::Authority};

/// What was made of fields that clients send with each request, so that they are checked and copied
/// once, not once for each request.
///
/// Holds at most 32 fields of at most 256 bytes, and memory of 120 bytes for each beside them.
#[derive(Debug, Default)]
pub(crate) struct FieldCache(Vec<Option<(u64, Parsed)>>);

/// A field that is valid.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    Authority(Authority),
    Field(HeaderName, HeaderValue),
}

/// Browsers repeat about 20 fields.
const SLOTS: u64 = 32;

/// Bytes of name and value. Longer values are cookies, most of them, and would be the most part of
/// the memory.
const MAX_FIELD: usize = 256;

impl FieldCache {
    /// `entry` is the number of [`Field`](crate::hpack::Field).
    #[inline]
    pub(crate) fn get(&self, entry: u64) -> Option<&Parsed> {
        match self.0.get((entry % SLOTS) as usize)? {
            Some((known, parsed)) if *known == entry => Some(parsed),
            _ => None,
        }
    }

    /// Keeps an authority. It must have memory of its own, not a part of a larger one.
    pub(crate) fn put_authority(&mut self, entry: u64, value: &[u8]) {
        if value.len() <= MAX_FIELD
            && let Ok(authority) = Authority::try_from(value)
        {
            self.put(entry, Parsed::Authority(authority));
        }
    }

    /// Keeps a copy of a field.
    pub(crate) fn put_field(&mut self, entry: u64, name: &HeaderName, value: &HeaderValue) {
        if name.as_str().len() + value.len() <= MAX_FIELD
            && let Ok(copy) = HeaderValue::from_bytes(value.as_bytes())
        {
            self.put(entry, Parsed::Field(name.clone(), copy));
        }
    }

    fn put(&mut self, entry: u64, parsed: Parsed) {
        let index = (entry % SLOTS) as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some((entry, parsed));
    }
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn only_the_same_entry_is_found() {
        let mut cache = FieldCache::default();
        let value = HeaderValue::from_static("*/*");
        assert!(cache.get(7).is_none());
        cache.put_field(7, &ACCEPT, &value);
        assert!(matches!(cache.get(7), Some(Parsed::Field(name, _)) if *name == ACCEPT));
        assert!(cache.get(7 + SLOTS).is_none());
        assert!(cache.get(6).is_none());
        cache.put_authority(7 + SLOTS, b"localhost");
        assert!(cache.get(7).is_none());
        assert!(matches!(
            cache.get(7 + SLOTS),
            Some(Parsed::Authority(authority)) if *authority == "localhost"
        ));
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = FieldCache::default();
        let long = HeaderValue::from_bytes(&[b'x'; MAX_FIELD + 1]).expect("a value");
        cache.put_field(1, &ACCEPT, &long);
        assert!(cache.get(1).is_none());
        let value = HeaderValue::from_static("*/*");
        let long = HeaderName::from_lowercase(&[b'x'; MAX_FIELD]).expect("a name");
        cache.put_field(1, &long, &value);
        assert!(cache.get(1).is_none());
        for entry in 0..10 * SLOTS {
            cache.put_field(entry, &ACCEPT, &value);
        }
        assert_eq!(cache.0.len(), SLOTS as usize);
    }
}
