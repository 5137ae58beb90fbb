//! Stands for upgrades in a build without them: none is ever offered.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Extensions, StatusCode};
use tokio::io::ReadBuf;

use super::Means;
use crate::counters::Counters;

pub(crate) struct Offer(Infallible);

pub(crate) struct Tunnel(Infallible);

impl Offer {
    pub(crate) fn new(
        _means: Means,
        _protocol: &str,
        _extensions: &mut Extensions,
        _counters: &Arc<Counters>,
    ) -> Option<Self> {
        None
    }

    pub(crate) fn accept(self, _status: StatusCode) -> Option<Tunnel> {
        match self.0 {}
    }
}

impl Tunnel {
    pub(crate) fn register(&self, _task: &Waker) {
        match self.0 {}
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn poll_input(&mut self, _cx: &mut Context<'_>, _data: &[u8]) -> Poll<usize> {
        match self.0 {}
    }

    pub(crate) fn end_input(&mut self) {
        match self.0 {}
    }

    pub(crate) fn fail(&mut self, _kind: io::ErrorKind) {
        match self.0 {}
    }

    pub(crate) fn shut_down(&mut self) {
        match self.0 {}
    }

    pub(crate) fn poll_output(
        &mut self,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<()> {
        match self.0 {}
    }
}
