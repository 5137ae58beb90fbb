//! Fields of a response that belong to its connection, and statuses that have no body.

use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE},
};

/// Fields of a connection, which HTTP/2 forbids (RFC 9113 section 8.2.2).
pub(crate) const CONNECTION_FIELDS: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
];

/// RFC 9110 sections 15.3.5 and 15.4.5.
pub(crate) fn may_have_body(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Removes the fields of a connection, and `content-length`: from trailers, where some clients treat a second
/// one as malformed (RFC 9110 section 6.5.1), and from the head of a response that has no body because it
/// accepts an upgrade.
pub(crate) fn remove_framing(fields: &mut HeaderMap) {
    let removed = |name: &HeaderName| *name == CONTENT_LENGTH || CONNECTION_FIELDS.contains(name);
    if fields.keys().any(removed) {
        for name in CONNECTION_FIELDS {
            fields.remove(name);
        }
        fields.remove(CONTENT_LENGTH);
    }
}
