//! The formats in which a [`CheckedReport`](crate::CheckedReport) is written.

mod json;
mod junit;
mod table;
mod tap;
