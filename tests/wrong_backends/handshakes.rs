//! Faults of `handshake`, `negotiated` and of the end of a session.

use std::io::{self, ErrorKind};

use bytes::BufMut;
use corelane::tls::{Negotiated, Wire};

use crate::{
    common::is,
    wrapper::{Fault, Inner},
};

#[derive(Default)]
pub struct ReportsTruncatedHandshakeAsInvalid;

impl Fault for ReportsTruncatedHandshakeAsInvalid {
    fn handshake(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        let result = session.handshake(wire);
        match is(&result, ErrorKind::UnexpectedEof) {
            true => Err(io::Error::new(ErrorKind::InvalidData, "too short")),
            false => result,
        }
    }
}

#[derive(Default)]
pub struct SucceedsAtAFailedHandshake;

impl Fault for SucceedsAtAFailedHandshake {
    fn handshake(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        let result = session.handshake(wire);
        match is(&result, ErrorKind::WouldBlock) {
            true => result,
            false => Ok(()),
        }
    }
}

/// Drops what waits to be sent when it fails.
#[derive(Default)]
pub struct LosesTheAlert {
    failed: bool,
}

impl Fault for LosesTheAlert {
    fn handshake(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        let result = session.handshake(wire);
        self.failed |= is(&result, ErrorKind::InvalidData);
        result
    }

    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        let result = session.read(wire, buf);
        self.failed |= is(&result, ErrorKind::InvalidData);
        result
    }

    fn flush(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        match self.failed {
            true => Ok(()),
            false => session.flush(wire),
        }
    }

    fn wants_flush(&self, session: &Inner) -> bool {
        !self.failed && session.wants_flush()
    }
}

/// Reports a refused client certificate like any other fault of the peer.
#[derive(Default)]
pub struct HidesWhyItRefused;

impl Fault for HidesWhyItRefused {
    fn handshake(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        let result = session.handshake(wire);
        result.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => io::Error::new(ErrorKind::InvalidData, error),
            _ => error,
        })
    }
}

#[derive(Default)]
pub struct ForgetsTheServerName;

impl Fault for ForgetsTheServerName {
    fn negotiated(&self, session: &Inner) -> Negotiated {
        let mut negotiated = session.negotiated();
        negotiated.server_name = None;
        negotiated
    }
}

#[derive(Default)]
pub struct ForgetsVersionAndGroup;

impl Fault for ForgetsVersionAndGroup {
    fn negotiated(&self, session: &Inner) -> Negotiated {
        let mut negotiated = session.negotiated();
        negotiated.tls_version = None;
        negotiated.key_exchange_group = None;
        negotiated
    }
}

#[derive(Default)]
pub struct PanicsWhenDroppedEarly {
    open: bool,
}

impl Fault for PanicsWhenDroppedEarly {
    fn handshake(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        let result = session.handshake(wire);
        self.open |= result.is_ok();
        result
    }

    fn drop(&mut self, _session: Inner) {
        assert!(self.open || std::thread::panicking(), "dropped too early");
    }
}

#[derive(Default)]
pub struct LeaksASession;

impl Fault for LeaksASession {
    fn drop(&mut self, session: Inner) {
        Box::leak(Box::new(session));
    }
}
