//! What every version of HTTP requires of a response, and how a request ends without the response of
//! its handler.

pub(crate) mod date;
mod declared_length;
mod failure;
mod fields;

pub(crate) use self::{
    declared_length::DeclaredLength,
    failure::Failure,
    fields::{CONNECTION_FIELDS, may_have_body, remove_framing},
};
