//! Turns the head of a client's request into one for an upstream.

use corelane::ConnectionInfo;
use http::{
    HeaderName, HeaderValue, Method, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body as _;

use super::{
    failure::Failure,
    forwarded,
    hop_by_hop::{is_hop_by_hop, named_by_connection},
    options::ProxyOptions,
    request_body::RequestBody,
    upgrade::Handshake,
};

/// More fields are refused: servers of HTTP/1.1 accept about 100.
const MOST_FIELDS: usize = 1000;

/// What forwarding needs beside the head itself.
pub(super) struct Target {
    /// The client's `:authority` or `host`. `None` for a client of HTTP/1.x that names none.
    pub(super) authority: Option<HeaderValue>,
    path: PathAndQuery,
    /// The client accepts trailers (RFC 9110 section 10.1.4).
    te_trailers: bool,
    pub(super) handshake: Option<Handshake>,
}

/// Removes from a request what must not be forwarded, and adds what the upstream has to know.
pub(super) fn prepare(
    head: &mut Parts,
    body: &RequestBody,
    connection: &ConnectionInfo,
    handshake: Option<Handshake>,
    options: &ProxyOptions,
) -> Result<Target, Failure> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        let why = "this method is not forwarded";
        return Err(Failure::Request(StatusCode::NOT_IMPLEMENTED, why));
    }
    if head.headers.len() > MOST_FIELDS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Failure::Request(status, "too many fields"));
    }
    let target = Target {
        authority: authority(head)?,
        path: path(head)?,
        te_trailers: accepts_trailers(head),
        handshake,
    };
    let trusted = forwarded::is_trusted(connection, &options.trusted_proxies);
    remove(head, trusted, options);
    set_length(head, body);
    let authority = target.authority.as_ref();
    forwarded::add(&mut head.headers, connection, authority, trusted);
    head.extensions.clear();
    Ok(target)
}

impl Target {
    /// Completes the head for an upstream of HTTP/1.1.
    pub(super) fn for_http1(&self, head: &mut Parts, body: &RequestBody, host: &HeaderValue) {
        head.version = Version::HTTP_11;
        head.uri = Uri::from(self.path.clone());
        let headers = &mut head.headers;
        headers.insert(HOST, host.clone());
        if self.te_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(handshake) = &self.handshake {
            headers.insert(UPGRADE, handshake.protocol().clone());
        }
        let own = match (self.te_trailers, &self.handshake) {
            (false, None) => None,
            (true, None) => Some("te"),
            (false, Some(_)) => Some("upgrade"),
            (true, Some(_)) => Some("te, upgrade"),
        };
        if let Some(names) = own {
            headers.insert(CONNECTION, HeaderValue::from_static(names));
        }
        // Said explicitly, because hyper takes GET and HEAD without a length for requests without a
        // body.
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }

    /// Completes the head for an upstream of HTTP/2.
    pub(super) fn for_http2(&self, head: &mut Parts, host: &HeaderValue) -> Result<(), Failure> {
        let bad = |_| Failure::Request(StatusCode::BAD_REQUEST, "the authority is invalid");
        head.version = Version::HTTP_2;
        head.headers.remove(HOST);
        if self.te_trailers {
            head.headers
                .insert(TE, HeaderValue::from_static("trailers"));
        }
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(Authority::try_from(host.as_bytes()).map_err(bad)?);
        uri.path_and_query = Some(self.path.clone());
        head.uri = Uri::from_parts(uri)
            .map_err(|_| Failure::Request(StatusCode::BAD_REQUEST, "the path is invalid"))?;
        Ok(())
    }
}

/// The host that the client wants. RFC 9113 section 8.3.1: a `host` that differs from `:authority`
/// makes a request malformed; a proxy that forwarded one and routed by the other would be deceived.
/// RFC 9112 section 3.2: HTTP/1.0 needs no `host`, and that of HTTP/1.1 may be empty.
fn authority(head: &Parts) -> Result<Option<HeaderValue>, Failure> {
    let bad = |why| Failure::Request(StatusCode::BAD_REQUEST, why);
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("more than one host"));
    }
    let authority = match (head.uri.authority(), host) {
        (Some(authority), Some(host))
            if !host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            return Err(bad("host differs from :authority"));
        }
        (Some(authority), _) => HeaderValue::from_str(authority.as_str())
            .map_err(|_| bad("the authority is invalid"))?,
        (None, Some(host)) if host.is_empty() && head.version < Version::HTTP_2 => return Ok(None),
        (None, Some(host)) => match Authority::try_from(host.as_bytes()) {
            Ok(_) => host.clone(),
            Err(_) => return Err(bad("host is invalid")),
        },
        (None, None) if head.version == Version::HTTP_10 => return Ok(None),
        (None, None) => return Err(bad("neither :authority nor host")),
    };
    if authority.as_bytes().contains(&b'@') {
        return Err(bad("the authority has a user name"));
    }
    Ok(Some(authority))
}

/// The request's target in origin-form, or in asterisk-form for OPTIONS (RFC 9112 section 3.2).
fn path(head: &Parts) -> Result<PathAndQuery, Failure> {
    let path = head.uri.path_and_query();
    match path {
        Some(path) if path.as_str().starts_with('/') => Ok(path.clone()),
        Some(path) if path.as_str() == "*" && head.method == Method::OPTIONS => Ok(path.clone()),
        _ => Err(Failure::Request(
            StatusCode::BAD_REQUEST,
            "the path does not begin with a slash",
        )),
    }
}

fn accepts_trailers(head: &Parts) -> bool {
    let values = head.headers.get_all(TE);
    values
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

fn remove(head: &mut Parts, trusted: bool, options: &ProxyOptions) {
    let headers = &mut head.headers;
    let mut removed = named_by_connection(headers);
    // The server answers `expect` itself, when the upstream takes the body.
    let is_removed = |name: &HeaderName| {
        is_hop_by_hop(name)
            || *name == EXPECT
            || !trusted && forwarded::is_claim(name.as_str())
            || !options.underscores_in_headers && name.as_str().contains('_')
    };
    // Most requests have few fields: one pass over them is cheaper than a lookup of each name.
    removed.extend(headers.keys().filter(|name| is_removed(name)).cloned());
    for name in removed {
        headers.remove(name);
    }
}

/// Declares the length that the body has, in one field and in digits only (RFC 9112 section 6.3). The
/// client's field may differ from it in form, such as `+5` or two equal fields.
fn set_length(head: &mut Parts, body: &RequestBody) {
    let declared = head.headers.remove(CONTENT_LENGTH).is_some();
    let length = body.size_hint().exact();
    if let Some(length) = length
        && (length > 0 || declared)
    {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}
