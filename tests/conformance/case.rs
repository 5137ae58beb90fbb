//! A case: the input, the outcomes that the RFC allows, and today's outcome.

use corelane::Http2Engine;
use corelane_test_support::{
    Backend, TestServer,
    frames::{self, WHOLE, kind},
    hpack,
    peer::{Frame, Peer},
    server::http2_engine,
};

/// Error codes (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(dead_code, clippy::enum_variant_names)]
pub enum Code {
    NoError,
    ProtocolError,
    InternalError,
    FlowControlError,
    SettingsTimeout,
    StreamClosed,
    FrameSizeError,
    RefusedStream,
    Cancel,
    CompressionError,
    ConnectError,
    EnhanceYourCalm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// GOAWAY with this code, then the end of the connection.
    Connection(u32),
    /// The end of the connection without GOAWAY.
    Closed,
    /// RST_STREAM with this code; the connection continues.
    Stream(u32),
    /// A complete response with this status; the connection continues.
    Answered(u16),
    /// A response whose body pauses after this many bytes.
    Waits(usize),
    /// Nothing on the stream; the connection continues.
    Ignored,
}

pub enum Step {
    Send(Vec<u8>),
    Settle,
    End,
}

pub struct Script(pub Vec<Step>);

/// Starts a script.
pub fn send(bytes: Vec<u8>) -> Script {
    Script(vec![Step::Send(bytes)])
}

impl Script {
    /// Waits until the server has handled everything sent so far.
    pub fn settle(mut self) -> Self {
        self.0.push(Step::Settle);
        self
    }

    pub fn send(mut self, bytes: Vec<u8>) -> Self {
        self.0.push(Step::Send(bytes));
        self
    }

    /// The client ends its sending side.
    pub fn end(mut self) -> Self {
        self.0.push(Step::End);
        self
    }
}

impl From<Vec<u8>> for Script {
    fn from(bytes: Vec<u8>) -> Self {
        send(bytes)
    }
}

type Check = (&'static str, fn(&[Frame]) -> bool);

pub struct Case {
    /// Starts with the section of RFC 9113, or with "HPACK" and the section of RFC 7541.
    pub name: &'static str,
    pub script: Script,
    /// The stream on which the outcome is expected.
    stream: u32,
    /// The script is all that the client sends.
    pub bare: bool,
    pub ask_again: bool,
    allowed: Vec<Outcome>,
    pub today: Outcome,
    /// Today's outcome without TLS, if it differs.
    cleartext: Option<Outcome>,
    /// Why today's outcome differs from what the RFC allows.
    pub deviation: Option<&'static str>,
    /// What the RFC requires of the received frames besides the outcome, where today's frames lack it.
    lacking: Option<fn(&[Frame]) -> bool>,
    also: Vec<Check>,
}

fn case(name: &'static str, script: Script, allowed: Vec<Outcome>) -> Case {
    Case {
        name,
        script,
        stream: 1,
        bare: false,
        ask_again: true,
        today: allowed[0],
        allowed,
        cleartext: None,
        deviation: None,
        lacking: None,
        also: Vec::new(),
    }
}

/// GOAWAY is a SHOULD (section 5.4.1), so closing the connection would be enough.
pub fn connection_error(name: &'static str, code: Code, script: impl Into<Script>) -> Case {
    let allowed = vec![Outcome::Connection(code as u32), Outcome::Closed];
    case(name, script.into(), allowed)
}

/// May be treated as a connection error (section 5.4.1).
pub fn stream_error(name: &'static str, code: Code, script: impl Into<Script>) -> Case {
    let code = code as u32;
    let allowed = vec![
        Outcome::Stream(code),
        Outcome::Connection(code),
        Outcome::Closed,
    ];
    case(name, script.into(), allowed)
}

/// A malformed request is a stream error, and may get a response first (section 8.1.1).
pub fn malformed(name: &'static str, script: impl Into<Script>) -> Case {
    stream_error(name, Code::ProtocolError, script).or(Outcome::Answered(400))
}

/// A name or value that crate http cannot hold: h2 treats it as a connection error.
pub fn forbidden(name: &'static str, script: impl Into<Script>) -> Case {
    malformed(name, script).today(Outcome::Connection(Code::ProtocolError as u32))
}

pub fn answered(name: &'static str, script: impl Into<Script>) -> Case {
    case(name, script.into(), vec![Outcome::Answered(200)])
}

pub fn ignored(name: &'static str, script: impl Into<Script>) -> Case {
    case(name, script.into(), vec![Outcome::Ignored])
}

pub fn outcome(name: &'static str, outcome: Outcome, script: impl Into<Script>) -> Case {
    case(name, script.into(), vec![outcome])
}

impl Case {
    /// The RFC allows this too.
    pub fn or(mut self, outcome: Outcome) -> Self {
        self.allowed.push(outcome);
        self
    }

    /// The one outcome that happens today without TLS, if it differs.
    pub fn cleartext(mut self, outcome: Outcome) -> Self {
        self.cleartext = Some(outcome);
        self
    }

    /// The one outcome that happens today, of those that the RFC allows.
    pub fn today(mut self, outcome: Outcome) -> Self {
        self.today = outcome;
        self
    }

    /// Today's outcome deviates from the RFC.
    pub fn deviates(mut self, outcome: Outcome, why: &'static str) -> Self {
        self.today = outcome;
        self.deviation = Some(why);
        self
    }

    /// Today's outcome is right, but the RFC requires this of the received frames, and it is missing.
    pub fn lacks(mut self, required: fn(&[Frame]) -> bool, why: &'static str) -> Self {
        self.lacking = Some(required);
        self.deviation = Some(why);
        self
    }

    pub fn on(mut self, stream: u32) -> Self {
        self.stream = stream;
        self
    }

    /// The connection starts with the script. Otherwise the script follows the exchange of
    /// settings.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// The test sends no further request, because it would get no response.
    pub fn full(mut self) -> Self {
        self.ask_again = false;
        self
    }

    /// A condition on the received frames, besides the outcome.
    pub fn also(mut self, what: &'static str, check: fn(&[Frame]) -> bool) -> Self {
        self.also.push((what, check));
        self
    }

    /// Checks the outcome by the RFC alone.
    pub fn judge(&self, received: &Received) -> Result<Outcome, String> {
        let seen = outcome_of(received, self.stream);
        if !self.allowed.contains(&seen) {
            return Err(format!(
                "{}: {seen:?} instead of {:?}",
                self.name, self.allowed
            ));
        }
        let is_complete = |required: fn(&[Frame]) -> bool| required(&received.frames);
        if !self.lacking.is_none_or(is_complete) {
            return Err(format!("{}: something is missing: {received:?}", self.name));
        }
        match self.also.iter().find(|(_, check)| !check(&received.frames)) {
            Some((what, _)) => Err(format!("{}: not so: {what}: {received:?}", self.name)),
            None => Ok(seen),
        }
    }

    /// Reports the differences from the case on this server.
    pub async fn run(&self, backend: Backend, server: &TestServer) -> Result<(), String> {
        let received = self.received(backend, server).await;
        if http2_engine() != Http2Engine::H2 {
            return self.judge(&received).map(|_seen| ());
        }
        let seen = outcome_of(&received, self.stream);
        let is_complete = self
            .lacking
            .is_none_or(|required| required(&received.frames));
        let is_allowed = self.allowed.contains(&seen) && is_complete;
        let today = match self.cleartext {
            Some(outcome) if !backend.tls => outcome,
            _ => self.today,
        };
        if seen != today {
            return Err(format!(
                "{}: {seen:?} instead of {today:?}, which the RFC {}",
                self.name,
                if is_allowed { "allows" } else { "forbids" }
            ));
        }
        if is_allowed == self.deviation.is_some() {
            return Err(format!("{}: {seen:?} is marked wrongly", self.name));
        }
        match self.also.iter().find(|(_, check)| !check(&received.frames)) {
            Some((what, _)) => Err(format!("{}: not so: {what}: {received:?}", self.name)),
            None => Ok(()),
        }
    }

    async fn received(&self, backend: Backend, server: &TestServer) -> Received {
        let mut peer = match self.bare {
            true => Peer::connect(backend, server).await,
            false => Peer::open(backend, server, &[]).await,
        };
        let mut received = Received::default();
        for step in &self.script.0 {
            match step {
                // If the server has closed already, reading reports it.
                Step::Send(bytes) => drop(peer.send(bytes).await),
                Step::End => drop(peer.end().await),
                Step::Settle => received.settle(&mut peer).await,
            }
        }
        received.settle(&mut peer).await;
        if !received.over && self.ask_again {
            received.ask_again(&mut peer).await;
        }
        received
    }
}

/// The frames that arrived before the server had handled everything or the connection ended.
#[derive(Debug, Default)]
pub struct Received {
    pub frames: Vec<Frame>,
    pub pings: u8,
    pub over: bool,
}

impl Received {
    /// Three round trips. After the first, the server has read the frames; after the second, the
    /// handlers have run; after the third, the server has sent what they answered.
    async fn settle(&mut self, peer: &mut Peer) {
        for _ in 0..3 {
            self.pings += 1;
            let payload = [b'C', b'O', b'R', b'E', b'L', b'A', b'N', self.pings];
            drop(peer.send(&frames::ping(&payload)).await);
            self.until(peer, |frame| {
                frame.is_ack(kind::PING) && frame.payload == payload
            })
            .await;
        }
    }

    /// The connection continues: a request on it gets a response.
    async fn ask_again(&mut self, peer: &mut Peer) {
        const STREAM: u32 = 0x1001;
        let request = frames::headers(STREAM, WHOLE, &hpack::get("/"));
        drop(peer.send(&request).await);
        self.until(peer, |frame| frame.ends(STREAM)).await;
    }

    async fn until(&mut self, peer: &mut Peer, wanted: impl Fn(&Frame) -> bool) {
        while !self.over {
            match peer.next().await {
                Some(frame) => {
                    let found = wanted(&frame);
                    self.frames.push(frame);
                    if found {
                        return;
                    }
                }
                None => self.over = true,
            }
        }
    }
}

fn outcome_of(received: &Received, stream: u32) -> Outcome {
    let frames = &received.frames;
    let find = |kind| frames.iter().find(|frame| frame.is(kind, stream));
    if received.over {
        // The last GOAWAY counts, because a graceful one may precede it.
        let goaway = frames.iter().rev().find(|frame| frame.is(kind::GOAWAY, 0));
        return match goaway.and_then(Frame::code) {
            Some(code) => Outcome::Connection(code),
            None => Outcome::Closed,
        };
    }
    if let Some(code) = find(kind::RST_STREAM).and_then(Frame::code) {
        return Outcome::Stream(code);
    }
    match find(kind::HEADERS) {
        None => Outcome::Ignored,
        Some(head) if frames.iter().any(|frame| frame.ends(stream)) => {
            Outcome::Answered(head.status())
        }
        Some(_) => Outcome::Waits(
            frames
                .iter()
                .filter(|frame| frame.is(kind::DATA, stream))
                .map(|frame| frame.payload.len())
                .sum(),
        ),
    }
}
