//! Which hosts requests may name.
//!
//! The port has no authentication, and a browser can reach it on loopback. A web page whose own name
//! resolves to the port's address (DNS rebinding) could read it, but its requests name its own host.

use std::net::{IpAddr, SocketAddr};

use http::{Request, Version, header::HOST, uri::Authority};

pub(super) struct AllowedHosts {
    names: Vec<String>,
    /// A port that other machines reach has names that this process does not know.
    any: bool,
}

impl AllowedHosts {
    /// Without `names`, a port on loopback allows none beside `localhost`, others allow all.
    pub(super) fn new(names: &[String], addr: SocketAddr) -> Self {
        Self {
            names: names.iter().map(|name| normal(name)).collect(),
            any: names.is_empty() && !addr.ip().to_canonical().is_loopback(),
        }
    }

    /// Whether the request names an address, `localhost` or an allowed name.
    pub(super) fn allow<B>(&self, request: &Request<B>) -> bool {
        match host(request) {
            Host::None => true,
            Host::Invalid => false,
            Host::Named(host) => {
                let address = host.trim_start_matches('[').trim_end_matches(']');
                address.parse::<IpAddr>().is_ok()
                    || host == "localhost"
                    || host.ends_with(".localhost")
                    || self.any
                    || self.names.contains(&host)
            }
        }
    }
}

enum Host {
    /// HTTP/1.0, as in health checks of some load balancers. Browsers always name one.
    None,
    Invalid,
    Named(String),
}

/// The authority of the target comes first, RFC 9112 section 3.2.2.
fn host<B>(request: &Request<B>) -> Host {
    let mut fields = request.headers().get_all(HOST).iter();
    let authority = match (request.uri().authority(), fields.next(), fields.next()) {
        (Some(authority), ..) => Some(authority.clone()),
        (None, Some(field), None) => Authority::try_from(field.as_bytes()).ok(),
        (None, None, _) if request.version() < Version::HTTP_11 => return Host::None,
        _ => None,
    };
    match authority {
        Some(authority) => Host::Named(normal(authority.host())),
        None => Host::Invalid,
    }
}

/// Names are compared without case and without the dot of the root.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Request<()> {
        let uri: Uri = uri.parse().expect("a target");
        let mut request = Request::get(uri).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).expect("a request")
    }

    #[test]
    fn only_addresses_localhost_and_given_names_are_allowed() {
        let loopback = "127.0.0.1:9090".parse().expect("an address");
        let public = "192.0.2.1:9090".parse().expect("an address");
        let given = ["Metrics.Example".to_owned()];
        let strict = AllowedHosts::new(&[], loopback);
        let named = AllowedHosts::new(&given, loopback);
        let public_named = AllowedHosts::new(&given, public);
        let open = AllowedHosts::new(&[], public);
        for (host, expected) in [
            ("127.0.0.1:9090", [true; 4]),
            ("[::1]:9090", [true; 4]),
            ("192.0.2.1", [true; 4]),
            ("localhost", [true; 4]),
            ("LocalHost.:1", [true; 4]),
            ("app.localhost:9090", [true; 4]),
            ("metrics.example:80", [false, true, true, true]),
            ("rebound.example", [false, false, false, true]),
            ("localhost.example", [false, false, false, true]),
            ("notlocalhost", [false, false, false, true]),
            ("127.0.0.1.example", [false, false, false, true]),
            ("2130706433", [false, false, false, true]),
            ("", [false; 4]),
            ("a b", [false; 4]),
        ] {
            let request = request(Version::HTTP_11, "/metrics", &[host]);
            let allowed = [&strict, &named, &public_named, &open].map(|it| it.allow(&request));
            assert_eq!(allowed, expected, "{host:?}");
        }
        let none = |version| request(version, "/metrics", &[]);
        assert!(strict.allow(&none(Version::HTTP_10)));
        assert!(!open.allow(&none(Version::HTTP_11)), "RFC 9112 section 3.2");
        let two = request(Version::HTTP_11, "/", &["localhost", "localhost"]);
        assert!(!open.allow(&two));
        let absolute = "http://rebound.example/metrics";
        assert!(!strict.allow(&request(Version::HTTP_11, absolute, &["localhost"])));
    }
}
