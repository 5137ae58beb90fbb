//! Completes the headers of a response, and removes what HTTP/2 forbids.

use std::cell::RefCell;

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, DATE},
};

use crate::response::{CONNECTION_FIELDS as FORBIDDEN, DeclaredLength, date, may_have_body};

/// Adds `date` and `content-length` where they are missing, and removes the forbidden fields. Returns
/// the declared length of the response.
pub(super) fn complete(
    headers: &mut HeaderMap,
    status: StatusCode,
    is_head: bool,
    body: &impl http_body::Body,
    lengths: &ContentLength,
) -> Result<DeclaredLength, &'static str> {
    // Most responses have few headers: one pass over them is cheaper than a lookup of each name.
    let (mut forbidden, mut has_length, mut has_date) = (false, false, false);
    for name in headers.keys() {
        has_length |= *name == CONTENT_LENGTH;
        has_date |= *name == DATE;
        forbidden |= FORBIDDEN.contains(name);
    }
    if forbidden {
        for name in FORBIDDEN {
            headers.remove(name);
        }
    }
    let mut declared = match has_length {
        true => DeclaredLength::of(headers)?,
        false => DeclaredLength::default(),
    };
    if may_have_body(status)
        && !has_length
        && let Some(length) = body.size_hint().exact()
        // For HEAD, 0 usually means that the service left the body out.
        && (length > 0 || !is_head)
    {
        headers.insert(CONTENT_LENGTH, lengths.value(length));
        declared = DeclaredLength::exactly(length);
    }
    if !has_date && let Some(date) = date::now() {
        headers.insert(DATE, date);
    }
    Ok(declared)
}

/// Makes the values of `content-length`. Keeps the last one, as it is often the same as the next.
#[derive(Default)]
pub(super) struct ContentLength(RefCell<Option<(u64, HeaderValue)>>);

impl ContentLength {
    fn value(&self, length: u64) -> HeaderValue {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((known, value)) if *known == length => value.clone(),
            _ => last.insert((length, HeaderValue::from(length))).1.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cached_value_is_used_for_its_length_only() {
        let lengths = ContentLength::default();
        for length in [7, 7, 8, 7, 0, u64::MAX] {
            assert_eq!(lengths.value(length), length.to_string());
        }
    }
}
