//! The end of a request: what is counted, and what the peer gets if the response is not complete.

use std::pin::Pin;

use http::{Response, StatusCode};

use super::{RequestTask, State, StateProjection};
use crate::{
    grpc::Status, http2::answer, http2_engine::ResetCode, response::Failure, service::HttpService,
};

impl<S: HttpService> RequestTask<S> {
    /// Counts how the request ended. Without a complete response it sends an error status or a
    /// reset. Returns whether the peer has a response, so that the caller drains the request's
    /// body.
    pub(super) fn finish(self: Pin<&mut Self>, result: Result<(), Failure>) -> bool {
        let mut this = self.project();
        let context = &**this.context;
        let counters = &context.counters;
        *this.counted = true;
        let monitor = this.monitor.as_ref();
        let is_grpc_call = monitor.is_some_and(|monitor| monitor.is_grpc_call());
        let has_begun = match this.state.as_mut().project() {
            StateProjection::SendingBody { .. } => true,
            StateProjection::Ending { end } => end.has_begun(),
            _ => false,
        };
        let reset = match result {
            Ok(()) => {
                context.credits.answered();
                None
            }
            Err(Failure::BodyTooLarge) => {
                counters.request_bodies_too_large.add();
                answer::send(this.respond, answer::too_large(is_grpc_call), counters);
                None
            }
            Err(Failure::BodyTooSlow) => {
                counters.bodies_timed_out.add();
                tracing::debug!(limit = ?context.limits.body, "request body timed out");
                let mut too_slow = Response::new(());
                *too_slow.status_mut() = StatusCode::REQUEST_TIMEOUT;
                answer::send(this.respond, too_slow, counters);
                None
            }
            Err(Failure::PeerGone) => {
                counters.requests_abandoned.add();
                if !has_begun {
                    context.credits.early_reset();
                }
                return false;
            }
            Err(Failure::Handler) if is_grpc_call && !has_begun => {
                let failed = Status::Internal.response("the handler failed");
                answer::send(this.respond, failed, counters);
                return false;
            }
            Err(Failure::Handler) => Some(ResetCode::InternalError),
            Err(Failure::Stalled) => {
                counters.streams_stalled.add();
                tracing::debug!(limit = ?context.limits.write, "stream stalled: no window from the peer");
                Some(ResetCode::Cancel)
            }
        };
        if let Some(code) = reset {
            match this.state.project() {
                StateProjection::SendingBody { send, .. } => send.reset(code),
                _ => this.respond.reset(code),
            }
            return false;
        }
        counters
            .request_durations
            .add(*this.arrived, context.clock.now());
        counters.requests_answered.add();
        if !matches!(
            this.state.as_mut().project(),
            StateProjection::Tunneling { .. }
        ) {
            this.state.set(State::Draining);
        }
        true
    }
}
