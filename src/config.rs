//! Every limit and every setting of HTTP/2, each with its unit and its reason.

use std::{num::NonZeroUsize, time::Duration};

use crate::error::Error;

/// How long things may take. Each is measured per connection.
///
/// Checked by timers of the worker that serves the connection; what the peer sees when one runs
/// out stands with each field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// From the accepted socket to the end of the HTTP/2 preface: TLS handshake and the client's
    /// first SETTINGS. Past it the connection is closed. Default [`HANDSHAKE`](Self::HANDSHAKE).
    pub handshake: Duration,
    /// How long a connection may stand open without a stream. Past it the peer gets GOAWAY
    /// (`NO_ERROR`) and the connection is closed. Default [`IDLE`](Self::IDLE).
    pub idle: Duration,
    /// How long a write may go on slower than [`min_rate`](Self::min_rate). Where the socket takes
    /// less for this long the connection is closed; where the peer grants a stream less window than
    /// that (RFC 9113 section 5.2) while there is something to send, that stream is reset with
    /// `CANCEL`. Default [`WRITE`](Self::WRITE).
    pub write: Duration,
    /// How long a peer may be silent while a stream is open before it is asked by PING (RFC 9113
    /// section 6.7) whether it is still there. Default `None`, never: listeners that the server
    /// opens have TCP's own keep-alive (see [`TCP_KEEP_ALIVE`](crate::TCP_KEEP_ALIVE)), which finds
    /// peers that are gone and, unlike a PING behind megabytes on a slow link, no others. It is for
    /// peers behind a proxy, whose TCP says nothing about them.
    pub keep_alive_interval: Option<Duration>,
    /// How long a peer may go on being silent after that PING; any byte is an answer. Past it the
    /// connection is closed. Default [`KEEP_ALIVE_TIMEOUT`](Self::KEEP_ALIVE_TIMEOUT).
    pub keep_alive_timeout: Duration,
    /// How long a request's body may come in slower than [`min_rate`](Self::min_rate), counted while
    /// its handler waits for it and until the response has begun. Past it the request is answered
    /// 408 (RFC 9110 section 15.5.9) and its handler is dropped. What nobody reads of a body, behind the
    /// response too, is read and forgotten for as long, but not more than 30 s and 5 s of silence; then
    /// it is reset with `NO_ERROR` (RFC 9113 section 8.1). A service whose clients send over hours what it answers in the end, as with
    /// client streaming in gRPC, wants a long one. Default [`BODY`](Self::BODY).
    pub body: Duration,
    /// The least that has to be sent or received, bytes per second, averaged over the limits
    /// [`write`](Self::write) and [`body`](Self::body): without it a peer could keep what it holds
    /// here by a byte now and then. With 0 every byte counts as progress. Default
    /// [`MIN_RATE`](Self::MIN_RATE).
    pub min_rate: u32,
}

impl Limits {
    /// 10 s: three lost packets in a row on a slow link (1 + 2 + 4 s of retransmission) and the
    /// two round trips of TLS 1.2 still fit; a peer that stops half-way holds a socket no longer.
    pub const HANDSHAKE: Duration = Duration::from_secs(10);

    /// 75 s: what nginx keeps connections for, so that clients and load balancers tuned to it
    /// behave the same here.
    pub const IDLE: Duration = Duration::from_secs(75);

    /// 30 s: TCP retransmits six times in it; a reader that took not one byte meanwhile is gone
    /// or means harm.
    pub const WRITE: Duration = Duration::from_secs(30);

    /// 20 s: hyper's. A phone that changes networks is back in less.
    pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

    /// 60 s: what nginx waits for more of a request's body.
    pub const BODY: Duration = Duration::from_secs(60);

    /// 240 bytes a second, either way: what Kestrel and IIS ask for. The slowest modem was faster.
    pub const MIN_RATE: u32 = 240;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Self::HANDSHAKE,
            idle: Self::IDLE,
            write: Self::WRITE,
            keep_alive_interval: None,
            keep_alive_timeout: Self::KEEP_ALIVE_TIMEOUT,
            body: Self::BODY,
            min_rate: Self::MIN_RATE,
        }
    }
}

impl Limits {
    /// Zero would end everything at once, and past a year the sum with the clock could overflow.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let interval = self.keep_alive_interval.unwrap_or(LONGEST);
        for (name, limit) in [
            ("handshake", self.handshake),
            ("idle", self.idle),
            ("write", self.write),
            ("keep_alive_interval", interval),
            ("keep_alive_timeout", self.keep_alive_timeout),
            ("body", self.body),
        ] {
            if limit.is_zero() || limit > LONGEST {
                return Err(Error::config(format!(
                    "Limits::{name} is {limit:?}, it has to be more than 0 and at most 365 days"
                )));
            }
        }
        Ok(())
    }
}

/// How long [`Handle::shutdown`](crate::Handle::shutdown) is usually given: 30 s, what Kubernetes
/// waits between SIGTERM and SIGKILL.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);

/// How long a server that shuts down waits, on a connection that has not asked for anything yet, for
/// its first request before it says GOAWAY: 2 s, some round trips of the slowest link. A request
/// nearly always follows the handshake at once; told to go before, a client that is busy has not
/// even sent it.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// Connections that the kernel completes and keeps for a worker until it accepts them, per
/// listener: 4096, what the kernel itself defaults to since Linux 5.4. The kernel caps it at
/// `net.core.somaxconn`.
pub const BACKLOG: u32 = 4096;

/// Connections that a worker has open at once: 16,384, more than a core can keep busy, and half a
/// GiB of them if they idle. See [`Builder::max_connections`](crate::Builder::max_connections).
pub const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap(); // Zero would not compile.

/// Handshakes that a worker has under way at once: 1,024, about what a core can finish in one
/// second. See [`Builder::max_handshakes`](crate::Builder::max_handshakes).
pub const MAX_HANDSHAKES: NonZeroUsize = NonZeroUsize::new(1_024).unwrap(); // Zero would not compile.

/// A PROXY header, bytes: 4 KiB, nginx' bound. Addresses take 232 bytes at most, the rest is what
/// proxies tell of the client's TLS. A longer one is refused.
pub(crate) const MAX_PROXY_HEADER: usize = 4096;

/// How long a connection may be silent until the kernel asks whether its peer is still there: 75 s,
/// as long as an idle one lives, then three times in steps of 15 s. So a peer that vanished while it
/// waited for a response, and to which nothing is sent, holds its connection for two minutes. Set on
/// the listeners that the server opens; on those that are given the caller has the say.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What the server tells its peers in SETTINGS, and how much it holds for one connection.
///
/// The defaults are hyper's where hyper has one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http2Config {
    /// Flow-control window of each request body, bytes (`SETTINGS_INITIAL_WINDOW_SIZE`, RFC 9113
    /// section 6.5.2). Default 1 MiB: 100 Mbit/s at 80 ms.
    pub initial_stream_window_size: u32,
    /// Flow-control window of all request bodies of one connection together, bytes. It is also the
    /// most that unread request bodies can make a connection hold. Default 1 MiB, so that one upload
    /// alone can have it all.
    pub initial_connection_window_size: u32,
    /// Streams that a peer may have open at once (`SETTINGS_MAX_CONCURRENT_STREAMS`); one more is
    /// refused with `REFUSED_STREAM`, which its client may send again. Default 200: browsers ask for
    /// 100 at once.
    pub max_concurrent_streams: u32,
    /// Size of a request's header list, bytes, counted as RFC 9113 section 6.5.2 does
    /// (`SETTINGS_MAX_HEADER_LIST_SIZE`); a larger one is answered 431. Default 16 KiB: cookies
    /// rarely pass 8 KiB. 1 KiB at least.
    pub max_header_list_size: u32,
    /// Largest frame that a peer may send, bytes (`SETTINGS_MAX_FRAME_SIZE`); a larger one ends the
    /// connection with `FRAME_SIZE_ERROR`. Default 16 KiB, the least that the RFC allows; a TLS
    /// record holds no more.
    pub max_frame_size: u32,
    /// Response bytes that may wait to be sent on one connection, over all its streams. Past it
    /// response bodies are not asked for more. Default 1 MiB, as the windows.
    pub max_send_buffer_size: usize,
    /// Size of a request's body, bytes. A larger one, by `content-length` or as it comes in, is
    /// answered 413 (RFC 9110 section 15.5.14); if the response has begun by then, the body ends
    /// with an error ([`Error::is_body_too_large`]). Default `None`, any size: what is read is the
    /// handler's choice, and what is not read is bounded by the windows.
    pub max_request_body_size: Option<u64>,
    /// Frames that a peer may send within 10 s beyond those that come with requests and responses:
    /// PING, SETTINGS, PRIORITY, WINDOW_UPDATE and so on, each of which is work without use. SETTINGS
    /// behind the first count for 100, and so does DATA without content that does not end its stream;
    /// what ends a stream counts for one, other DATA for nothing. A request accounts for 8, a piece of a response's body for 4 and one
    /// for every 256 bytes.
    ///
    /// 1,000 of them are taken at once, or a tenth of the limit if that is more. Behind them the
    /// connection is read no faster than the limit divided by 10 s, so that the peer finds its socket
    /// full; responses go on. A peer that does not stop gets GOAWAY (`ENHANCE_YOUR_CALM`) once it is
    /// past the limit, and the connection is closed (RFC 9113 section 10.5; CVE-2019-9511, 9512, 9513,
    /// 9515, 9518). With 1,000 or less nobody is held back, but ended.
    ///
    /// DATA of less than 5 bytes, which is shorter than any message, is held back in the same way where
    /// there is more of it than of longer DATA; it ends no connection. Default 10,000: a core does not
    /// feel 1,000 a second. 100 at least.
    pub max_extra_frames: u32,
    /// Requests that a peer may reset within 10 s before their responses have begun, beyond those
    /// that were answered: each has cost a handler's work. Past it the peer gets GOAWAY
    /// (`ENHANCE_YOUR_CALM`) and the connection is closed (CVE-2023-44487). Resets that the peer
    /// provokes by errors count too (CVE-2025-8671). Default 500, as with Envoy.
    pub max_early_resets: u32,
}

/// Streams of one connection, over its whole life, that may be reset or refused for the peer's
/// errors: past it the peer gets GOAWAY (`ENHANCE_YOUR_CALM`). 1024, h2's default: five times the
/// streams that may be open, so that one burst too many is forgiven.
pub(crate) const MAX_ERROR_RESETS: usize = 1024;

/// Streams that were reset here and are remembered for a second, so that what the peer had sent
/// already is ignored (RFC 9113 section 5.4.2). 50, h2's default; past it the oldest are forgotten.
pub(crate) const MAX_RESET_STREAMS: usize = 50;

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            initial_stream_window_size: 1024 * 1024,
            initial_connection_window_size: 1024 * 1024,
            max_concurrent_streams: 200,
            max_header_list_size: 16 * 1024,
            max_frame_size: 16 * 1024,
            max_send_buffer_size: 1024 * 1024,
            max_request_body_size: None,
            max_extra_frames: 10_000,
            max_early_resets: 500,
        }
    }
}

/// The least that [`Http2Config::max_header_list_size`] may be, bytes.
const MIN_HEADER_LIST: u32 = 1024;

/// The least that [`Http2Config::max_extra_frames`] may be.
const MIN_EXTRA_FRAMES: u32 = 100;

impl Http2Config {
    /// What DATA frames of less than 256 bytes that no handler has read may fall short of that in
    /// all, bytes: each takes about so much memory. h2 has an eighth of it, 2,000 messages of a few
    /// bytes, which a client that streams them has sent while a handler waits for its database.
    /// Past it the peer gets GOAWAY (`ENHANCE_YOUR_CALM`).
    pub(crate) fn small_frames_budget(&self) -> usize {
        (self.initial_connection_window_size as usize).saturating_mul(4)
    }

    /// Requests that a peer has reset before they were looked at: past this many at once the peer
    /// gets GOAWAY (`ENHANCE_YOUR_CALM`). As many as may be open: a browser that leaves a page takes
    /// back all that it has asked for, in one piece. Those past it are a flood, and so are many of
    /// these bursts: each counts for [`max_early_resets`](Self::max_early_resets).
    pub(crate) fn max_pending_accept_resets(&self) -> usize {
        self.max_concurrent_streams as usize
    }

    /// The ranges of RFC 9113 section 6.5.2, so that a wrong value is an error here and not a
    /// panic below.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        const MAX_WINDOW: u32 = (1 << 31) - 1;
        let wrong = |name: &str, value: usize, range: &str| {
            Err(Error::config(format!(
                "Http2Config::{name} is {value}, it has to be {range}"
            )))
        };
        if self.initial_stream_window_size > MAX_WINDOW {
            return wrong(
                "initial_stream_window_size",
                self.initial_stream_window_size as usize,
                "at most 2^31-1",
            );
        }
        if !(65_535..=MAX_WINDOW).contains(&self.initial_connection_window_size) {
            return wrong(
                "initial_connection_window_size",
                self.initial_connection_window_size as usize,
                "65535 to 2^31-1",
            );
        }
        if !(16_384..=16_777_215).contains(&self.max_frame_size) {
            return wrong(
                "max_frame_size",
                self.max_frame_size as usize,
                "16384 to 16777215",
            );
        }
        if self.max_concurrent_streams == 0 {
            return wrong("max_concurrent_streams", 0, "at least 1");
        }
        if self.max_header_list_size < MIN_HEADER_LIST {
            return wrong(
                "max_header_list_size",
                self.max_header_list_size as usize,
                "at least 1024: a plain request of curl's counts 300",
            );
        }
        if self.max_extra_frames < MIN_EXTRA_FRAMES {
            return wrong(
                "max_extra_frames",
                self.max_extra_frames as usize,
                "at least 100: what a client begins with is among them",
            );
        }
        if !(1..=u32::MAX as usize).contains(&self.max_send_buffer_size) {
            return wrong(
                "max_send_buffer_size",
                self.max_send_buffer_size,
                "1 to 2^32-1",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_outside_of_reason_are_errors() {
        assert!(Limits::default().validate().is_ok());
        for wrong in [Duration::ZERO, Duration::MAX] {
            let limits = Limits {
                idle: wrong,
                ..Limits::default()
            };
            let error = limits.validate().expect_err("out of range");
            assert!(error.is_config(), "{error}");
        }
    }

    #[test]
    fn values_outside_the_rfcs_ranges_are_errors() {
        assert!(Http2Config::default().validate().is_ok());
        let wrong: [fn(&mut Http2Config); 7] = [
            |c| c.initial_stream_window_size = 1 << 31,
            |c| c.initial_connection_window_size = 65_534,
            |c| c.max_frame_size = 16_383,
            |c| c.max_concurrent_streams = 0,
            |c| c.max_send_buffer_size = 0,
            |c| c.max_header_list_size = MIN_HEADER_LIST - 1,
            |c| c.max_extra_frames = MIN_EXTRA_FRAMES - 1,
        ];
        for spoil in wrong {
            let mut config = Http2Config::default();
            spoil(&mut config);
            let error = config.validate().expect_err("out of range");
            assert!(error.is_config(), "{error}");
        }
    }
}
