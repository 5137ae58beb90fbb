//! Why a request is answered by the proxy itself.

use std::{error::Error as StdError, fmt, io, rc::Rc};

use corelane::Chain;
use http::{Method, Response, StatusCode};
use nix::errno::Errno;

use super::upstream::Upstream;
use crate::{body::ResponseBody, plain::plain};

#[derive(Debug)]
pub(super) enum Failure {
    /// What the client sent cannot be forwarded.
    Request(StatusCode, &'static str),
    /// The client's stream failed while its body was sent.
    RequestBody(hyper::Error),
    /// All upstreams have failed lately.
    AllDown,
    /// No connection; [`TimedOut`](io::ErrorKind::TimedOut): the connect timeout is over.
    Connect(Rc<io::Error>),
    /// The connection failed before the head of the response.
    NoResponse(hyper::Error),
    /// The head of the response is larger than is allowed.
    HeadTooLarge,
    ResponseTimeout,
    /// A response that must not be forwarded.
    Malformed(&'static str),
}

impl Failure {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Request(status, _) => *status,
            Self::RequestBody(_) => StatusCode::BAD_REQUEST,
            Self::AllDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Connect(error) if error.kind() == io::ErrorKind::TimedOut => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect(error) if is_shortage(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Connect(_) | Self::NoResponse(_) | Self::HeadTooLarge | Self::Malformed(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// Whether the upstream is to blame, rather than the client or this request.
    pub(super) fn counts(&self) -> bool {
        match self {
            Self::Request(..) | Self::RequestBody(_) | Self::AllDown => false,
            Self::Connect(error) => !is_shortage(error),
            _ => true,
        }
    }

    pub(super) fn log(&self, upstream: Option<&Upstream>, method: &Method) {
        let status = self.status().as_u16();
        let upstream = upstream.map(tracing::field::display);
        let error = Chain(self);
        match self {
            Self::Request(..) | Self::RequestBody(_) => {
                tracing::debug!(%error, %method, status, upstream, "request not forwarded");
            }
            _ => tracing::warn!(%error, %method, status, upstream, "no response from the upstream"),
        }
    }

    /// The answer to the client: it tells nothing about the upstream.
    pub(super) fn response(&self) -> Response<ResponseBody> {
        let status = self.status();
        let text = match self {
            Self::Request(_, why) => format!("{status}: {why}\n"),
            _ => format!("{status}\n"),
        };
        plain(status, text)
    }
}

/// Whether this host has no descriptor, port or memory left for another socket (socket(2), connect(2)).
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::EADDRNOTAVAIL,
        Errno::ENOBUFS,
        Errno::ENOMEM,
    ];
    let code = error.raw_os_error();
    code.is_some_and(|code| shortages.contains(&Errno::from_raw(code)))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request(_, why) | Self::Malformed(why) => why,
            Self::RequestBody(_) => "the client's request body failed",
            Self::AllDown => "all upstreams have failed lately",
            Self::Connect(error) if is_shortage(error) => {
                "cannot connect: this host has no more sockets, whatever the upstream does"
            }
            Self::Connect(_) => "cannot connect",
            Self::NoResponse(_) => "the connection failed before the head of the response",
            Self::HeadTooLarge => "the head of the response is too large",
            Self::ResponseTimeout => "the upstream did not answer within the response timeout",
        })
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Connect(error) => Some(&**error),
            Self::RequestBody(error) | Self::NoResponse(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_not_blamed_for_a_lack_of_sockets() {
        for (errno, status, counts) in [
            (Errno::EMFILE, StatusCode::SERVICE_UNAVAILABLE, false),
            (Errno::ENFILE, StatusCode::SERVICE_UNAVAILABLE, false),
            (Errno::EADDRNOTAVAIL, StatusCode::SERVICE_UNAVAILABLE, false),
            (Errno::ENOBUFS, StatusCode::SERVICE_UNAVAILABLE, false),
            (Errno::ENOMEM, StatusCode::SERVICE_UNAVAILABLE, false),
            (Errno::ECONNREFUSED, StatusCode::BAD_GATEWAY, true),
            (Errno::EHOSTUNREACH, StatusCode::BAD_GATEWAY, true),
        ] {
            let failure = Failure::Connect(Rc::new(errno.into()));
            assert_eq!(failure.status(), status, "{errno}");
            assert_eq!(failure.counts(), counts, "{errno}");
        }
    }
}
