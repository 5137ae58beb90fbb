//! Answers of the server itself, in place of the handler.

use http::{HeaderValue, Response, StatusCode, header::ALLOW};

use super::send_buffer::Chunk;
use crate::{counters::Counters, grpc::Status, http2_engine::ResponseSender};

/// The answer to CONNECT that is refused.
pub(super) fn refused(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6 requires it; no method applies to the target of CONNECT.
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(""));
    }
    response
}

/// The answer to a request whose body is too large.
pub(super) fn too_large(is_grpc_call: bool) -> Response<()> {
    if is_grpc_call {
        return Status::ResourceExhausted.response("the request is larger than the server allows");
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}

/// Answers in place of the handler. A peer that is gone is an error elsewhere.
pub(super) fn send(
    respond: &mut ResponseSender<Chunk>,
    response: Response<()>,
    counters: &Counters,
) {
    let status = response.status();
    if respond.send_head(response, true).is_ok() {
        counters.response(status.as_u16());
    }
}
