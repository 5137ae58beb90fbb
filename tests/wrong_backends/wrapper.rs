//! A wrapper of a right backend that a fault changes in one place.

use std::{
    io::{self, IoSlice},
    marker::PhantomData,
};

use bytes::BufMut;
use corelane::{
    Error, ProtocolName,
    tls::{Client, Negotiated, RustlsAcceptor, Start, TlsAcceptor, TlsConfig, TlsSession, Wire},
};

pub type Inner = Box<dyn TlsSession>;

/// What a wrong backend does instead. Each call of the session goes through it.
pub trait Fault: Default + 'static {
    fn handshake(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        session.handshake(wire)
    }

    fn negotiated(&self, session: &Inner) -> Negotiated {
        session.negotiated()
    }

    fn read(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        buf: &mut dyn BufMut,
    ) -> io::Result<usize> {
        session.read(wire, buf)
    }

    fn write(
        &mut self,
        session: &mut Inner,
        wire: &mut dyn Wire,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        session.write(wire, bufs)
    }

    fn flush(&mut self, session: &mut Inner, wire: &mut dyn Wire) -> io::Result<()> {
        session.flush(wire)
    }

    fn wants_flush(&self, session: &Inner) -> bool {
        session.wants_flush()
    }

    fn send_close_notify(&mut self, session: &mut Inner) {
        session.send_close_notify();
    }

    fn drop(&mut self, _session: Inner) {}
}

/// The right backend, unchanged.
#[derive(Default)]
pub struct Right;

impl Fault for Right {}

pub struct Faulty<F> {
    right: RustlsAcceptor,
    fault: PhantomData<fn() -> F>,
}

/// Makes acceptors with this fault.
pub fn faulty<F: Fault>(config: &TlsConfig) -> Result<Faulty<F>, Error> {
    Ok(Faulty {
        right: RustlsAcceptor::new(config)?,
        fault: PhantomData,
    })
}

impl<F: Fault> TlsAcceptor for Faulty<F> {
    fn backend(&self) -> &'static str {
        "faulty"
    }

    fn alpn_protocols(&self) -> Option<Vec<ProtocolName>> {
        self.right.alpn_protocols()
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        match self.right.start(client)? {
            Start::Now(session) => Ok(Session {
                session: Some(session),
                fault: F::default(),
            }
            .into()),
            later => Ok(later),
        }
    }
}

struct Session<F: Fault> {
    /// `None` while it is dropped.
    session: Option<Inner>,
    fault: F,
}

impl<F: Fault> Session<F> {
    fn parts(&mut self) -> (&mut F, &mut Inner) {
        (&mut self.fault, self.session.as_mut().expect("in use"))
    }
}

impl<F: Fault> Drop for Session<F> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.fault.drop(session);
        }
    }
}

impl<F: Fault> TlsSession for Session<F> {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        let (fault, session) = self.parts();
        fault.handshake(session, wire)
    }

    fn negotiated(&self) -> Negotiated {
        let session = self.session.as_ref().expect("in use");
        self.fault.negotiated(session)
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        let (fault, session) = self.parts();
        fault.read(session, wire, buf)
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let (fault, session) = self.parts();
        fault.write(session, wire, bufs)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        let (fault, session) = self.parts();
        fault.flush(session, wire)
    }

    fn wants_flush(&self) -> bool {
        let session = self.session.as_ref().expect("in use");
        self.fault.wants_flush(session)
    }

    fn send_close_notify(&mut self) {
        let (fault, session) = self.parts();
        fault.send_close_notify(session);
    }
}
