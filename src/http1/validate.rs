//! Checks the head of a request beyond what hyper checks (RFC 9112 section 3, RFC 9110 section 7.2).

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    request::Parts,
};

use crate::upgrade::Policy;

/// The status that answers an invalid request. In the absolute form, the host of the target replaces
/// `host` (RFC 9112 section 3.2.2).
pub(super) fn check(head: &mut Parts, upgrades: Policy) -> Result<(), StatusCode> {
    let is_connect = head.method == Method::CONNECT;
    if is_connect && !upgrades.connect {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    // It has no body (RFC 9110 section 9.3.6). What follows would be taken for one.
    let framing = [CONTENT_LENGTH, TRANSFER_ENCODING];
    if is_connect && framing.iter().any(|name| head.headers.contains_key(name)) {
        return Err(StatusCode::BAD_REQUEST);
    }
    check_host(&head.headers, head.version)?;
    if head.headers.contains_key(TRANSFER_ENCODING) {
        check_transfer_encoding(&head.headers)?;
    }
    match (head.uri.scheme(), head.uri.authority()) {
        (Some(_), Some(authority)) if !is_connect => {
            let host = HeaderValue::try_from(authority.as_str());
            let host = host.ok().filter(|host| is_host(host.as_bytes()));
            head.headers
                .insert(HOST, host.ok_or(StatusCode::BAD_REQUEST)?);
            Ok(())
        }
        // The form of CONNECT, which has no other (RFC 9112 section 3.2.3).
        (None, Some(authority)) if is_connect && authority.port().is_some() => Ok(()),
        _ if is_connect => Err(StatusCode::BAD_REQUEST),
        (None, Some(_)) => Err(StatusCode::BAD_REQUEST),
        _ if head.uri.path() == "*" && head.method != Method::OPTIONS => {
            Err(StatusCode::BAD_REQUEST)
        }
        _ => Ok(()),
    }
}

fn check_host(headers: &HeaderMap, version: Version) -> Result<(), StatusCode> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// Whether this may be `uri-host [ ":" port ]` (RFC 3986 section 3.2.2): empty, a name or an address.
fn is_host(host: &[u8]) -> bool {
    let name_end = host.iter().rposition(|&byte| byte == b']').unwrap_or(0);
    let colon = host[name_end..].iter().position(|&byte| byte == b':');
    let (name, port) = match colon {
        Some(at) => (&host[..name_end + at], &host[name_end + at + 1..]),
        None => (host, &host[host.len()..]),
    };
    let in_brackets = name.first() == Some(&b'[');
    let is_name = name.iter().all(|&byte| {
        byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=%".contains(&byte)
            || in_brackets && b"[]:".contains(&byte)
    });
    let is_closed = !in_brackets || name.last() == Some(&b']');
    is_name && is_closed && port.iter().all(u8::is_ascii_digit)
}

/// `chunked` is the only coding here, and is applied once (RFC 9112 sections 6.1 and 7).
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), StatusCode> {
    let mut chunked = 0;
    for value in headers.get_all(TRANSFER_ENCODING) {
        for coding in value.as_bytes().split(|&byte| byte == b',') {
            match coding.trim_ascii() {
                b"" => {}
                coding if coding.eq_ignore_ascii_case(b"chunked") => chunked += 1,
                _ => return Err(StatusCode::NOT_IMPLEMENTED),
            }
        }
    }
    match chunked {
        1 => Ok(()),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for host in [
            "",
            "localhost",
            "example.com:8443",
            "example.com:",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8443",
            "a_b.example",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b",
            "a/b",
            "user@example.com",
            "a,b c",
            "a:b",
            "a:80:80",
            "::1",
            "[::1",
            "[::1]x",
            "]",
            "a#b",
            "a?b",
            "a\\b",
            "caf\u{e9}",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
