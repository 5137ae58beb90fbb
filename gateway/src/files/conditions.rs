//! What tower-http's `ServeDir` leaves out of RFC 9110 sections 12 to 14.

use http::{
    HeaderMap, Method,
    header::{ACCEPT, ETAG, IF_RANGE, LAST_MODIFIED, RANGE},
    request::Parts,
};

/// Ranges apply to GET only, and those of other units are ignored (section 14.2). So is `BYTES=`,
/// which `ServeDir` does not know.
pub(super) fn remove_foreign_ranges(request: &mut Parts) {
    let Some(range) = request.headers.get(RANGE) else {
        return;
    };
    let in_bytes = range.as_bytes().starts_with(b"bytes=");
    if request.method != Method::GET || !in_bytes {
        request.headers.remove(RANGE);
    }
}

/// Whether the range depends on `if-range`.
pub(super) fn has_if_range(request: &HeaderMap) -> bool {
    request.contains_key(IF_RANGE) && request.contains_key(RANGE)
}

/// Whether the file is still the one of `if-range` (section 13.1.5): the same strong entity tag, or
/// exactly the same date.
pub(super) fn if_range_holds(request: &HeaderMap, file: &HeaderMap) -> bool {
    request.get(IF_RANGE).is_some_and(|validator| {
        let validators = [file.get(ETAG), file.get(LAST_MODIFIED)];
        validators.contains(&Some(validator))
    })
}

/// Whether `accept` names HTML, as that of a browser does which opens a page.
pub(super) fn accepts_html(request: &HeaderMap) -> bool {
    let mut accepted = request.get_all(ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    })
}
