//! The static table (RFC 7541 appendix A).

use http::{HeaderName, header};

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
#[inline]
pub(crate) fn find(name: &HeaderName) -> Option<usize> {
    let index = usize::from(BY_HASH[hash(name.as_str().as_bytes())?]);
    // To compare two usual names is to compare two numbers.
    (NAMES.get(index.checked_sub(FIRST_FIELD)?)? == name).then_some(index)
}

/// The index of the first entry that is not a pseudo-header field.
const FIRST_FIELD: usize = 15;

/// The names of entries from [`FIRST_FIELD`] on.
static NAMES: [HeaderName; LEN + 1 - FIRST_FIELD] = [
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCEPT_RANGES,
    header::ACCEPT,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::AGE,
    header::ALLOW,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::ETAG,
    header::EXPECT,
    header::EXPIRES,
    header::FROM,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::REFERER,
    header::REFRESH,
    header::RETRY_AFTER,
    header::SERVER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::VARY,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

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
    fn finds_each_name() {
        for (place, (name, _)) in ENTRIES.iter().enumerate().skip(FIRST_FIELD - 1) {
            let name = HeaderName::from_static(name);
            assert_eq!(find(&name), Some(place + 1), "{name}");
        }
        for other in ["x", "accept-rangez", "grpc-status", "te"] {
            assert_eq!(find(&HeaderName::from_static(other)), None, "{other}");
        }
    }

    #[test]
    fn index_zero_is_no_entry() {
        assert_eq!(get(0), None);
        assert_eq!(get(LEN + 1), None);
        assert_eq!(get(61), Some((&b"www-authenticate"[..], &b""[..])));
    }
}
