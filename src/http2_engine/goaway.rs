//! GOAWAY without a connection.

use crate::error::Error;

/// GOAWAY for a connection that has no [`Connection`](super::Connection) yet, because its preface is invalid, or is not
/// there in time (RFC 9113 section 3.4).
pub(crate) fn goaway(error: &Error) -> [u8; 17] {
    const NO_ERROR: u32 = 0;
    const PROTOCOL_ERROR: u32 = 1;
    let code = match error.is_http2() {
        true => PROTOCOL_ERROR,
        false => NO_ERROR,
    };
    let [a, b, c, d] = code.to_be_bytes();
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}
