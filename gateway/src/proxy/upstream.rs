//! Where an upstream is, and which protocol it speaks.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use corelane::Error;
use http::uri::Authority;

/// The longest path of a Unix socket, bytes: `sun_path` of unix(7) without its NUL.
const LONGEST_PATH: usize = 107;

/// A server to which requests are forwarded. Parsed from one of
///
/// - `http://HOST:PORT`: HTTP/1.1,
/// - `http2://HOST:PORT`: HTTP/2 without TLS, with prior knowledge (RFC 9113 section 3.3),
/// - `unix:PATH`: HTTP/1.1 on a Unix socket.
///
/// A host name is resolved when a connection is opened, at most every 10 s, and its addresses are
/// tried in the resolver's order.
///
/// ```
/// use corelane_gateway::Upstream;
///
/// let upstream: Upstream = "http://127.0.0.1:3000".parse()?;
/// assert_eq!(upstream.to_string(), "http://127.0.0.1:3000");
/// assert!("https://127.0.0.1:3000".parse::<Upstream>().is_err());
/// # Ok::<_, corelane::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    pub(super) address: Address,
    pub(super) http2: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    /// The host of IPv6 has no brackets.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl Upstream {
    /// The value of `host` in requests that do not keep the client's.
    pub(super) fn authority(&self) -> String {
        match &self.address {
            Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp { host, port } => format!("{host}:{port}"),
            Address::Unix(_) => "localhost".into(),
        }
    }
}

impl FromStr for Upstream {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = |why: &str| Error::config(format!("upstream {text:?}: {why}"));
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                _ if !path.starts_with('/') => Err(error("the path of a Unix socket is absolute")),
                _ if path.len() > LONGEST_PATH => {
                    Err(error("the path of a Unix socket has at most 107 bytes"))
                }
                _ if path.contains('\0') => Err(error("the path contains a NUL")),
                _ => Ok(Self {
                    address: Address::Unix(path.into()),
                    http2: false,
                }),
            };
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| error("write http://HOST:PORT, http2://HOST:PORT or unix:PATH"))?;
        let http2 = match scheme {
            "http" => false,
            "http2" => true,
            "https" => {
                return Err(error(
                    "TLS to an upstream is not supported: use http:// or http2://",
                ));
            }
            "h2" | "h2c" => return Err(error("write http2://HOST:PORT")),
            _ => return Err(error("the scheme is not one of http, http2 and unix")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(error("a path is not supported: requests keep theirs"));
        }
        let authority: Authority = rest
            .parse()
            .map_err(|source| error("the host or the port is invalid").with_source(source))?;
        if rest.contains('@') {
            return Err(error("a user name is not supported"));
        }
        let port = authority
            .port_u16()
            .filter(|port| *port != 0)
            .ok_or_else(|| error("the port is missing or invalid: write HOST:PORT"))?;
        let host = authority.host();
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(host) if host.parse::<IpAddr>().is_ok() => host,
            Some(_) => return Err(error("the IPv6 address is invalid")),
            None if host.is_empty() => return Err(error("the host is missing")),
            None => host,
        };
        Ok(Self {
            address: Address::Tcp {
                host: host.into(),
                port,
            },
            http2,
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp { .. } if self.http2 => write!(f, "http2://{}", self.authority()),
            Address::Tcp { .. } => write!(f, "http://{}", self.authority()),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_parsed_and_shown() {
        for text in [
            "http://127.0.0.1:3000",
            "http://[::1]:80",
            "http://app.internal:8080",
            "http2://localhost:50051",
            "unix:/run/app.sock",
        ] {
            let upstream: Upstream = text.parse().expect(text);
            assert_eq!(upstream.to_string(), text);
        }
        let slash: Upstream = "http://localhost:3000/".parse().expect("an upstream");
        assert_eq!(slash.to_string(), "http://localhost:3000");
        let slashes: Upstream = "unix:///run/app.sock".parse().expect("an upstream");
        assert_eq!(slashes.to_string(), "unix:/run/app.sock");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let long = format!("unix:/{}", "a".repeat(LONGEST_PATH));
        for (text, why) in [
            ("127.0.0.1:3000", "write http://HOST:PORT"),
            (
                "https://localhost:3000",
                "TLS to an upstream is not supported",
            ),
            ("h2c://localhost:3000", "write http2://HOST:PORT"),
            ("ftp://localhost:21", "the scheme is not one of"),
            ("http://localhost", "the port is missing"),
            ("http://localhost:0", "the port is missing"),
            ("http://localhost:99999", "the port is missing"),
            ("http://localhost:3000/api", "a path is not supported"),
            ("http://me@localhost:3000", "a user name is not supported"),
            ("http://:3000", "the host"),
            ("http://", "the host or the port is invalid"),
            ("http://[::g]:80", "invalid"),
            ("http://a b:80", "the host or the port is invalid"),
            ("unix:app.sock", "the path of a Unix socket is absolute"),
            ("unix:", "the path of a Unix socket is absolute"),
            (&long, "at most 107 bytes"),
        ] {
            let error = text.parse::<Upstream>().expect_err(text).to_string();
            assert!(
                error.contains(why) && error.contains(text),
                "{text}: {error}"
            );
        }
    }
}
