//! What a server listens on: a TCP address or a Unix socket.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// An address to listen on. As text it is `127.0.0.1:8443`, `[::1]:8443` or `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A Unix socket with this absolute path.
    Unix(PathBuf),
}

const UNIX: &str = "unix:";

impl From<SocketAddr> for ListenAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<PathBuf> for ListenAddr {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let path = Path::new(path);
            return match path.is_absolute() {
                true => Ok(Self::Unix(path.to_path_buf())),
                false => Err("expected an absolute path, for instance unix:/run/app.sock".into()),
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            "expected an address and a port, for instance 0.0.0.0:443 or [::]:443, or \
             unix:/run/app.sock"
                .into()
        })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_as_it_is_parsed() {
        for text in ["127.0.0.1:8443", "[::1]:8443", "unix:/run/app.sock"] {
            let addr: ListenAddr = text.parse().expect(text);
            assert_eq!(addr.to_string(), text);
        }
        for text in ["", "127.0.0.1", "unix:", "unix:app.sock", "/run/app.sock"] {
            text.parse::<ListenAddr>().expect_err(text);
        }
    }
}
