//! The static table (RFC 7541 appendix A).

/// Entry 1 comes first.
const ENTRIES: [(&str, &str); LEN] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The number of entries. The dynamic table's index starts after them (section 2.3.3).
pub(crate) const LEN: usize = 61;

/// Name and value of the entry with this index, which starts at 1.
pub(crate) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = ENTRIES.get(index.wrapping_sub(1))?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// The index of the first entry with this name.
pub(crate) fn find(name: &[u8]) -> Option<usize> {
    let index = usize::from(BY_HASH[hash(name)?]);
    let (found, _) = get(index)?;
    (found == name).then_some(index)
}

/// The index of the first entry with this name, which has to exist; for constants.
pub(crate) const fn index_of(name: &str) -> usize {
    let mut index = 1;
    while !is_same(ENTRIES[index - 1].0.as_bytes(), name.as_bytes()) {
        index += 1;
    }
    index
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) => *a == *b && is_same(one, other),
        _ => false,
    }
}

/// The first entry of each name at its hash, zero elsewhere.
const BY_HASH: [u8; 256] = {
    let mut table = [0; 256];
    let mut index = LEN;
    while index > 0 {
        let Some(hash) = hash(ENTRIES[index - 1].0.as_bytes()) else {
            panic!("no name is empty");
        };
        table[hash] = index as u8;
        index -= 1;
    }
    table
};

/// The factors give each name of the table a hash of its own; a test checks it.
const fn hash(name: &[u8]) -> Option<usize> {
    let [first, ..] = name else { return None };
    let middle = name[name.len() / 2] as usize;
    let last = name[name.len() - 1] as usize;
    Some((name.len() * 3 + *first as usize + middle + last * 45) % 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_entry_of_each_name() {
        for (name, _) in ENTRIES {
            let first = ENTRIES.iter().position(|it| it.0 == name).expect("itself");
            assert_eq!(find(name.as_bytes()), Some(first + 1), "{name}");
        }
        for other in ["", "x", ":statux", "accept-rangez", "grpc-status"] {
            assert_eq!(find(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn index_zero_is_no_entry() {
        assert_eq!(get(0), None);
        assert_eq!(get(LEN + 1), None);
        assert_eq!(get(61), Some((&b"www-authenticate"[..], &b""[..])));
    }
}
