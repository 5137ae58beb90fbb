//! Why a request ends without the response of its handler.

use std::{any::Any, error::Error as StdError};

use crate::{
    counters::Counters,
    error::{BoxError, Chain, panic_message},
};

/// How the request ended instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service failed or panicked, or its response is malformed. It is logged and counted.
    Handler,
    /// The request's body is larger than is allowed, and the response has not begun.
    BodyTooLarge,
    /// The request's body arrives too slowly, and the response has not begun.
    BodyTooSlow,
    /// The peer granted too little window for the time limit.
    Stalled,
    /// The peer has reset the stream, or the connection has failed.
    PeerGone,
}

impl Failure {
    /// A failure of the service or of its response body. If the peer is gone (`gone`), that is
    /// the likely cause.
    pub(crate) fn of_handler(error: impl Into<BoxError>, gone: bool, counters: &Counters) -> Self {
        if gone {
            return Self::PeerGone;
        }
        counters.handler_errors.add();
        tracing::error!(error = %Chain(&*error.into()), "handler failed");
        Self::Handler
    }

    pub(crate) fn panicked(panic: &(dyn Any + Send), counters: &Counters) -> Self {
        counters.handler_panics.add();
        tracing::error!(panic = panic_message(panic), "handler panicked");
        Self::Handler
    }

    /// A head or trailers that HTTP/2 does not send. If the peer is gone (`gone`), that is the cause.
    pub(crate) fn not_sent(
        error: &(dyn StdError + 'static),
        gone: bool,
        counters: &Counters,
    ) -> Self {
        if gone {
            tracing::debug!(error = %Chain(error), "response not sent");
            return Self::PeerGone;
        }
        counters.handler_errors.add();
        tracing::error!(error = %Chain(error), "handler returned a malformed response");
        Self::Handler
    }

    /// A response that HTTP does not allow.
    pub(crate) fn malformed(why: &'static str, counters: &Counters) -> Self {
        counters.handler_errors.add();
        tracing::error!(error = why, "handler returned a malformed response");
        Self::Handler
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsent_response_is_an_error_of_the_handler_unless_the_peer_is_gone() {
        let counters = Counters::default();
        let error = std::fmt::Error;
        let failure = Failure::not_sent(&error, true, &counters);
        assert_eq!(failure, Failure::PeerGone);
        assert_eq!(counters.read().handler_errors, 0);
        let failure = Failure::not_sent(&error, false, &counters);
        assert_eq!(failure, Failure::Handler);
        assert_eq!(counters.read().handler_errors, 1);
    }
}
