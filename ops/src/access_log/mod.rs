//! The access log: one line for each request, answered or not.
//!
//! Workers put records into a queue. A thread formats and writes them, so that a slow disk slows no
//! request.

mod format;
mod layer;
mod line;
mod log;
mod record;

pub use self::{
    format::AccessLogFormat,
    layer::{AccessLogFuture, AccessLogLayer, AccessLogService},
    log::AccessLog,
    record::RecordedBody,
};
