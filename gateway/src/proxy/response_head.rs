//! Checks and cleans the head of an upstream's response.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    response::Parts,
};

use super::{
    failure::Failure,
    hop_by_hop::{is_hop_by_hop, named_by_connection},
};

/// Removes what belongs to the upstream's connection. An error: the response must not be forwarded.
pub(super) fn prepare(head: &mut Parts) -> Result<(), Failure> {
    // An upgrade that was not asked for (RFC 9110 section 15.2.2); hyper keeps all other interim
    // responses to itself.
    if head.status.is_informational() {
        return Err(Failure::Malformed("an interim response as the last one"));
    }
    check_framing(&head.headers)?;
    set_length(head)?;
    clean(head);
    Ok(())
}

/// Removes the fields of the upstream's connection.
pub(super) fn clean(head: &mut Parts) {
    let headers = &mut head.headers;
    let mut removed = named_by_connection(headers);
    let hop_by_hop = |name: &&HeaderName| is_hop_by_hop(name);
    removed.extend(headers.keys().filter(hop_by_hop).cloned());
    for name in removed {
        headers.remove(name);
    }
    head.extensions.clear();
    head.version = Version::default();
}

/// RFC 9112 section 6.1: with `transfer-encoding`, `content-length` is a sign of smuggling; and codings
/// beside chunked would have to be decoded, because HTTP/2 has none.
fn check_framing(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if headers.contains_key(CONTENT_LENGTH) {
        let why = "both transfer-encoding and content-length";
        return Err(Failure::Malformed(why));
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Failure::Malformed("a transfer-encoding other than chunked"));
    }
    Ok(())
}

/// Joins equal lengths to one (RFC 9110 section 8.6), and removes the length of a 204.
fn set_length(head: &mut Parts) -> Result<(), Failure> {
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return Ok(());
    };
    let digits = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
        digits.then(|| value.to_str().ok()?.parse::<u64>().ok())?
    };
    let Some(length) = digits(first) else {
        return Err(Failure::Malformed("an invalid content-length"));
    };
    let mut several = false;
    for other in lengths {
        several = true;
        if digits(other) != Some(length) {
            return Err(Failure::Malformed("several lengths in content-length"));
        }
    }
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    } else if several {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(())
}

/// How long the upstream keeps an idle connection, if it says so: `keep-alive: timeout=5`.
pub(super) fn announced_idle_time(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("timeout="))?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}
