//! The fields that a proxy does not forward (RFC 9110 section 7.6.1).

use http::{
    HeaderMap, HeaderName,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
        TE, TRANSFER_ENCODING, UPGRADE,
    },
};

/// Whether a field belongs to one connection, or is meant for a proxy. `proxy` itself is no field of
/// HTTP, but becomes the variable `HTTP_PROXY` of a CGI program (CVE-2016-5385).
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TE
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == PROXY_AUTHENTICATE
        || *name == PROXY_AUTHORIZATION
        || matches!(
            name.as_str(),
            "keep-alive"
                | "proxy-connection"
                | "proxy-authentication-info"
                | "http2-settings"
                | "proxy"
        )
}

/// The fields that `connection` names, but for those that are meant for all recipients: a sender must
/// not name them, and without them the message means something else (CVE-2022-31813).
pub(super) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION);
    // Most upstreams send just this, and it names what is removed anyway.
    if values.iter().all(|value| value == "keep-alive") {
        return Vec::new();
    }
    values
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| ![HOST, CONTENT_LENGTH, CONTENT_TYPE].contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn connection_names_fields_but_not_those_of_all_recipients() {
        let mut headers = HeaderMap::new();
        for value in ["X-One, content-length", ",Host ,x-two,,not a name", "close"] {
            headers.append(CONNECTION, HeaderValue::from_static(value));
        }
        assert_eq!(named_by_connection(&headers), ["x-one", "x-two", "close"]);
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        assert!(named_by_connection(&headers).is_empty());
    }
}
