//! Makes the responses.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};

use super::body::{FileBody, FileResponse};
use crate::ResponseBody;

/// A response of `ServeDir`, with the rest of its headers.
pub(super) fn of_file(
    found: FileResponse,
    cache_control: Option<HeaderValue>,
) -> Response<ResponseBody> {
    let (mut head, body) = found.into_parts();
    let headers = &mut head.headers;
    match head.status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
            with_charset(headers);
            let nosniff = HeaderValue::from_static("nosniff");
            headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        }
        // With the headers of the 200 that caches update (RFC 9110 section 15.4.5).
        StatusCode::NOT_MODIFIED => vary_by(headers, ACCEPT_ENCODING),
        _ => return Response::from_parts(head, ResponseBody::empty()),
    }
    if let Some(value) = cache_control {
        headers.insert(CACHE_CONTROL, value);
    }
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let body = FileBody::new(body, length.unwrap_or(0));
    Response::from_parts(head, ResponseBody::new(body))
}

/// Text files are UTF-8; without this, browsers guess.
fn with_charset(headers: &mut HeaderMap) {
    let Some(content_type) = headers.get_mut(CONTENT_TYPE) else {
        return;
    };
    let with_charset = match content_type.as_bytes() {
        b"text/html" => HeaderValue::from_static("text/html; charset=utf-8"),
        b"text/css" => HeaderValue::from_static("text/css; charset=utf-8"),
        b"text/javascript" => HeaderValue::from_static("text/javascript; charset=utf-8"),
        b"text/plain" => HeaderValue::from_static("text/plain; charset=utf-8"),
        other if other.starts_with(b"text/") => {
            let with_charset = [other, b"; charset=utf-8"].concat();
            match HeaderValue::from_maybe_shared(Bytes::from(with_charset)) {
                Ok(value) => value,
                Err(_) => return,
            }
        }
        _ => return,
    };
    *content_type = with_charset;
}

pub(super) fn vary_by(headers: &mut HeaderMap, name: HeaderName) {
    headers.append(VARY, name.into());
}

/// A status and its name as text.
pub(super) fn plain(status: StatusCode) -> Response<ResponseBody> {
    crate::plain::plain(status, format!("{status}\n"))
}

pub(super) fn method_not_allowed() -> Response<ResponseBody> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

pub(super) fn redirect(path: &str, query: Option<&str>) -> Response<ResponseBody> {
    let location = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let Ok(location) = HeaderValue::try_from(location) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(LOCATION, location);
    response
}
