//! The options of a proxy.

use std::time::Duration;

use corelane::IpNet;

/// The options of a [`Proxy`](super::Proxy).
///
/// ```
/// use std::time::Duration;
///
/// use corelane_gateway::ProxyOptions;
///
/// let mut options = ProxyOptions::default();
/// options.response_timeout = Duration::from_secs(300);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyOptions {
    /// How long opening a connection may take, the resolution of a host name included. A request that
    /// waited for longer is answered with 504. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long the upstream may take for the head of its response, once it has the request; and how
    /// long it may send nothing of the response's body. The time in which the proxy waits for more of
    /// the request from the client does not count. Before the head, the request is answered with 504;
    /// after it, the client's stream is reset. Default: 60 s, as nginx' `proxy_read_timeout`.
    pub response_timeout: Duration,
    /// Whether `host` is the client's, as in Caddy, so that the application can make links and check
    /// origins. Otherwise it is the upstream's host and port, as in nginx. Default: true.
    pub preserve_host: bool,
    /// The networks of proxies in front of this one. If a request comes from one of them, its
    /// `forwarded` and `x-forwarded-*` are kept and extended; from any other peer they are replaced.
    /// A peer on a Unix socket counts as 127.0.0.1. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether fields with an underscore in their name are forwarded. Applications that see names as
    /// CGI variables (RFC 3875 section 4.1.18) cannot tell `x_forwarded_for` from `x-forwarded-for`.
    /// Default: false, as nginx' `underscores_in_headers`.
    pub underscores_in_headers: bool,
    /// How many idle connections each worker keeps to each upstream: as many as it has requests at once,
    /// or it opens new ones all the time. Default: 1,024.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept, or 1 s less than the upstream announces in `keep-alive`
    /// if that is shorter. Default: 60 s.
    pub idle_timeout: Duration,
    /// After how many failures in a row an upstream is not used for
    /// [`failure_timeout`](Self::failure_timeout). Refused and broken connections count, and time
    /// limits; responses do not, whatever their status. A single upstream is always used.
    /// Default: 3.
    pub max_failures: u32,
    /// How long an upstream is not used after failures. Default: 10 s, as nginx' `fail_timeout`.
    pub failure_timeout: Duration,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            preserve_host: true,
            trusted_proxies: Vec::new(),
            underscores_in_headers: false,
            max_idle_connections: 1024,
            idle_timeout: Duration::from_secs(60),
            max_failures: 3,
            failure_timeout: Duration::from_secs(10),
        }
    }
}
