//! What the workers share.

use std::sync::atomic::AtomicUsize;

use super::{health::Health, options::ProxyOptions, upstream::Upstream};

pub(super) struct Shared {
    pub(super) upstreams: Vec<(Upstream, Health)>,
    pub(super) options: ProxyOptions,
    /// How many workers were made.
    pub(super) workers: AtomicUsize,
}

impl Shared {
    pub(super) fn new(upstreams: Vec<Upstream>, options: ProxyOptions) -> Self {
        let upstreams = upstreams.into_iter();
        Self {
            upstreams: upstreams.map(|it| (it, Health::new())).collect(),
            options,
            workers: AtomicUsize::new(0),
        }
    }
}
