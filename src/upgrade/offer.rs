//! A request's upgrade as its connection sees it.

use std::sync::Arc;

use http::{Extensions, StatusCode};

use super::{
    Means,
    handover::Handover,
    request::Upgrade,
    stream::{Tunnel, Unjoined},
};
use crate::counters::Counters;

/// The upgrade that a request asks for, until its response decides about it. Dropping it tells the
/// handler that it was not accepted.
pub(crate) struct Offer(Box<Inner>);

struct Inner {
    means: Means,
    handover: Handover,
    unjoined: Unjoined,
    counters: Arc<Counters>,
}

impl Offer {
    /// Puts an [`Upgrade`], and what hyper's users look for, among the extensions of the request.
    pub(crate) fn new(
        means: Means,
        protocol: &str,
        extensions: &mut Extensions,
        counters: &Arc<Counters>,
    ) -> Option<Self> {
        let (upgraded, unjoined) = Unjoined::new();
        let (on_upgrade, handover) = Handover::new(upgraded)?;
        extensions.insert(Upgrade::new(means, protocol, on_upgrade.clone()));
        extensions.insert(on_upgrade);
        if means == Means::Connect && !protocol.is_empty() {
            extensions.insert(hyper::ext::Protocol::from(protocol));
        }
        Some(Self(Box::new(Inner {
            means,
            handover,
            unjoined,
            counters: Arc::clone(counters),
        })))
    }

    /// Hands the stream over to the handler, if a response of this status accepts the upgrade. `None` if
    /// it does not, or if the handler has no use for the stream.
    pub(crate) fn accept(self, status: StatusCode) -> Option<Tunnel> {
        let accepts = match self.0.means {
            Means::Field => status == StatusCode::SWITCHING_PROTOCOLS,
            Means::Connect => status.is_success(),
        };
        if !accepts {
            return None;
        }
        let handover = self.0.handover;
        self.0
            .unjoined
            .join(|| handover.complete(), self.0.counters)
    }
}
