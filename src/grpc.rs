//! What the server knows of gRPC: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How a call ends, in place of the handler's own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    DeadlineExceeded,
    ResourceExhausted,
    Internal,
}

impl Status {
    /// The fields of the trailers. The message is ASCII without `%`, which needs no encoding.
    pub(crate) fn trailers(self, message: &'static str) -> HeaderMap {
        let number = match self {
            Self::DeadlineExceeded => "4",
            Self::ResourceExhausted => "8",
            Self::Internal => "13",
        };
        HeaderMap::from_iter([
            (STATUS, HeaderValue::from_static(number)),
            (MESSAGE, HeaderValue::from_static(message)),
        ])
    }

    /// A response that has only trailers, which HTTP/2 sends as its head.
    pub(crate) fn response(self, message: &'static str) -> Response<()> {
        let mut response = Response::new(());
        *response.headers_mut() = self.trailers(message);
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }
}

/// Whether the fields of a request are those of a gRPC call, with any encoding of its messages.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    let rest = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// The value of `grpc-timeout`: at most 8 digits and a unit. `None` without the field.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Result<Duration, Malformed>> {
    let value = headers.get(TIMEOUT)?.as_bytes();
    Some(parse_timeout(value).ok_or(Malformed))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_their_content_type() {
        for (content_type, call) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let value = HeaderValue::from_static(content_type);
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
            assert_eq!(is_call(&headers), call, "{content_type}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn timeouts_have_up_to_8_digits_and_a_unit() {
        let timeout = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            timeout(&HeaderMap::from_iter([(TIMEOUT, value)]))
        };
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("300m", Duration::from_millis(300)),
            ("4u", Duration::from_micros(4)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("0S", Duration::ZERO),
        ] {
            assert_eq!(timeout(text), Some(Ok(expected)), "{text}");
        }
        for text in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "1.5S",
            "123456789S",
            " 1S",
            "1S ",
        ] {
            assert_eq!(timeout(text), Some(Err(Malformed)), "{text}");
        }
        assert_eq!(super::timeout(&HeaderMap::new()), None);
    }
}
