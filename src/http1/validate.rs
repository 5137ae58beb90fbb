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
    check_fields(&head.headers, head.version)?;
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

/// Compares names instead of looking them up: most requests have few fields, and a lookup hashes.
fn check_fields(headers: &HeaderMap, version: Version) -> Result<(), StatusCode> {
    let (mut hosts, mut has_coding) = (0, false);
    for (name, value) in headers {
        if *name == HOST {
            hosts += 1;
            if !is_host(value.as_bytes()) {
                return Err(StatusCode::BAD_REQUEST);
            }
        }
        has_coding |= *name == TRANSFER_ENCODING;
    }
    match hosts {
        0 if version == Version::HTTP_10 => {}
        1 => {}
        _ => return Err(StatusCode::BAD_REQUEST),
    }
    match has_coding {
        true => check_transfer_encoding(headers),
        false => Ok(()),
    }
}

/// Whether this may be `uri-host [ ":" port ]` (RFC 3986 section 3.2.2): empty, a name or an address.
fn is_host(host: &[u8]) -> bool {
    let is_in_name = |byte: &&u8| IN_NAME[usize::from(**byte)];
    let end = match host.first() {
        Some(b'[') => match host.iter().position(|&byte| byte == b']') {
            Some(end)
                if host[1..end]
                    .iter()
                    .all(|byte| *byte == b':' || is_in_name(&byte)) =>
            {
                end + 1
            }
            _ => return false,
        },
        _ => host.iter().take_while(is_in_name).count(),
    };
    match &host[end..] {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The bytes of `reg-name`.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=%";
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};

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
