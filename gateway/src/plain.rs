//! Responses of this crate itself, in plain text.

use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

use crate::body::ResponseBody;

pub(crate) fn plain(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
