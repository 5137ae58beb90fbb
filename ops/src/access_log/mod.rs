//! The access log: one line for each request, answered or not.
//!
//! Workers put records into a queue. A thread formats and writes them. When it falls behind, records
//! are dropped and counted, so that a slow disk slows no request.

mod format;
mod layer;
mod line;
mod output;
mod record;
mod writer;

pub use self::{
    format::AccessLogFormat,
    layer::{AccessLogFuture, AccessLogLayer, AccessLogService},
    record::RecordedBody,
    writer::AccessLog,
};
