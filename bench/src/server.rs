//! The servers that are measured.

use crate::{options::Http2Engine, terms::Group};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Backend {
    Rustls,
    NativeTls,
    Openssl,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    Corelane(Backend),
    /// corelane on its own HTTP/2 engine instead of crate h2.
    CorelaneHttp2(Backend),
    /// corelane's command on rustls. Of its own it answers `/bytes/N`.
    Command {
        access_log: bool,
    },
    Hyper(Backend),
    Axum,
    Xitca(Backend),
    /// xitca-http on rustls and its own runtime on io_uring, instead of tokio's.
    XitcaUring,
    Actix(Backend),
    Ntex(Backend),
    Nginx,
    H2o,
    Nghttpd,
    Haproxy,
    Caddy,
    /// What no server on rustls and this HTTP/2 engine can do without.
    Floor(Http2Engine),
}

impl Backend {
    pub const ALL: [Self; 3] = [Self::Rustls, Self::NativeTls, Self::Openssl];

    /// The value of corelane's `--tls`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rustls => "rustls",
            Self::NativeTls => "native-tls",
            Self::Openssl => "openssl",
        }
    }

    /// The newest version of TLS that the backend has as a server.
    pub fn group(self) -> Group {
        match self {
            Self::Rustls | Self::Openssl => Group::Tls13,
            Self::NativeTls => Group::Tls12,
        }
    }

    /// The backend that stands for corelane in this group.
    pub fn of(group: Group) -> Self {
        match group {
            Group::Tls13 => Self::Rustls,
            Group::Tls12 => Self::NativeTls,
        }
    }
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Self::Corelane(Backend::Rustls) => "corelane rustls",
            Self::Corelane(Backend::NativeTls) => "corelane native-tls",
            Self::Corelane(Backend::Openssl) => "corelane openssl",
            Self::CorelaneHttp2(Backend::Rustls) => "corelane-http2 rustls",
            Self::CorelaneHttp2(Backend::NativeTls) => "corelane-http2 native-tls",
            Self::CorelaneHttp2(Backend::Openssl) => "corelane-http2 openssl",
            Self::Command { access_log: false } => "corelane command",
            Self::Command { access_log: true } => "corelane command, log",
            Self::Hyper(Backend::Rustls) => "hyper + tokio-rustls",
            Self::Hyper(Backend::NativeTls) => "hyper + tokio-native-tls",
            Self::Hyper(Backend::Openssl) => "hyper + tokio-openssl",
            Self::Axum => "axum-server",
            Self::Xitca(Backend::Rustls) => "xitca-http rustls",
            Self::Xitca(Backend::NativeTls) => "xitca-http native-tls",
            Self::Xitca(Backend::Openssl) => "xitca-http openssl",
            Self::XitcaUring => "xitca-http io_uring",
            Self::Actix(Backend::Rustls) => "actix-web rustls",
            Self::Actix(Backend::NativeTls) => "actix-web native-tls",
            Self::Actix(Backend::Openssl) => "actix-web openssl",
            Self::Ntex(Backend::Rustls) => "ntex rustls",
            Self::Ntex(Backend::NativeTls) => "ntex native-tls",
            Self::Ntex(Backend::Openssl) => "ntex openssl",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Nghttpd => "nghttpd",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Floor(Http2Engine::H2) => "floor",
            Self::Floor(Http2Engine::Corelane) => "floor, corelane-http2",
        }
    }

    /// None if it has no choice of backends here.
    pub fn backend(self) -> Option<Backend> {
        match self {
            Self::Corelane(backend)
            | Self::CorelaneHttp2(backend)
            | Self::Hyper(backend)
            | Self::Xitca(backend)
            | Self::Actix(backend)
            | Self::Ntex(backend) => Some(backend),
            Self::Command { .. } | Self::XitcaUring | Self::Floor(_) => Some(Backend::Rustls),
            _ => None,
        }
    }

    pub fn is_corelane(self) -> bool {
        matches!(
            self,
            Self::Corelane(_) | Self::CorelaneHttp2(_) | Self::Command { .. }
        )
    }

    /// A server that could be used in corelane's place.
    pub fn is_peer(self) -> bool {
        !self.is_corelane() && !matches!(self, Self::Floor(_))
    }

    /// The value of `--peer`. corelane's library always takes part.
    pub fn family(self) -> &'static str {
        match self {
            Self::Corelane(_) | Self::CorelaneHttp2(_) => "corelane",
            Self::Command { .. } => "command",
            Self::Hyper(_) => "hyper",
            Self::Xitca(_) | Self::XitcaUring => "xitca-http",
            Self::Actix(_) => "actix-web",
            Self::Ntex(_) => "ntex",
            Self::Floor(_) => "floor",
            other => other.name(),
        }
    }
}
