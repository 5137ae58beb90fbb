//! The servers that are measured.

use crate::terms::Group;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Backend {
    Rustls,
    NativeTls,
    Openssl,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    Corelane(Backend),
    /// corelane's command on rustls, which serves the bodies as files.
    Command,
    Hyper(Backend),
    Axum,
    Nginx,
    H2o,
    Nghttpd,
    Haproxy,
    Caddy,
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
            Self::Command => "corelane command",
            Self::Hyper(Backend::Rustls) => "hyper + tokio-rustls",
            Self::Hyper(Backend::NativeTls) => "hyper + tokio-native-tls",
            Self::Hyper(Backend::Openssl) => "hyper + tokio-openssl",
            Self::Axum => "axum-server",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Nghttpd => "nghttpd",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// None if it has no choice of backends here.
    pub fn backend(self) -> Option<Backend> {
        match self {
            Self::Corelane(backend) | Self::Hyper(backend) => Some(backend),
            Self::Command => Some(Backend::Rustls),
            _ => None,
        }
    }

    /// The value of `--peer`.
    pub fn family(self) -> &'static str {
        match self {
            Self::Corelane(_) | Self::Command => "corelane",
            Self::Hyper(_) => "hyper",
            other => other.name(),
        }
    }
}
