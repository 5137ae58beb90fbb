//! The command line of `corelane alpn`.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};
use corelane_probe::{AddressFamily, Client, Endpoint, Expectation};

/// Offers ALPN to a server, any server, and judges what it chooses.
///
/// Each client that is compiled in makes every offer that it can make: rustls, openssl, native-tls, and
/// a raw client that makes malformed offers. Where the server chooses h2, the client also speaks it. A
/// run makes nine connections by each TLS client and five by the raw one, and sends GET / on many of
/// them. STARTTLS is not supported.
///
/// Exit status: 0 if every rule given by --expect holds or, without rules, if no answer violates RFC
/// 7301 or RFC 9113 and every TLS client completes a handshake; 1 if a rule does not hold or, without
/// rules, if an answer violates an RFC or is missing, or a certificate is not trusted; 2 if the server
/// is unreachable or does not speak TLS, or the command line is wrong.
#[derive(Debug, Parser)]
pub(crate) struct AlpnArgs {
    /// The server; the port is 443 unless given, an IPv6 address goes in brackets.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: Target,

    /// A rule that has to hold, OFFER=ANSWER, for instance h2=h2 or http/1.1=alert:120; repeatable.
    ///
    /// OFFER is protocols (h2,http/1.1), none (no ALPN) or malformed; " (TLS 1.2)" or " (TLS 1.3)"
    /// after it limits it to that version, and so do " (TLS 1.0)" and " (TLS 1.1)", which openssl alone
    /// offers on most systems. ANSWER is the protocol of the offer that the server has
    /// to choose (h2 has to be served, too); none; alert (any alert), alert:120 or
    /// alert:no_application_protocol (this alert); or close. A protocol alone, h2, is short for
    /// h2=h2.
    #[arg(long, value_name = "RULE")]
    pub(crate) expect: Vec<Expectation>,

    /// How to print the report.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,

    /// Connect to this host or address, with another port if one is given, instead of HOST:PORT; or to
    /// another port only, :PORT.
    #[arg(long, value_name = "ADDR", value_parser = connect)]
    pub(crate) connect: Option<Target>,

    /// The name to ask for (SNI) and to find in the certificate. [default: HOST]
    #[arg(long, value_name = "NAME")]
    pub(crate) servername: Option<String>,

    /// Trust these certificates, PEM, instead of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) cacert: Option<PathBuf>,

    /// Trust any certificate.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Send this certificate to a server that asks for one: PEM, followed by those that issued it.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,

    /// The key of the client certificate: PEM; PKCS#8 for the client native-tls.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,

    /// How long one connection may take, up to the answer to the GET; a twentieth of it once a server has
    /// let it pass. [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,

    /// How long to try again until the server is up.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Option<Duration>,

    /// Connect by IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,

    /// Connect by IPv6 only.
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,

    /// A client that makes the offers; repeatable. [default: all that are compiled in]
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub(crate) client: Vec<ClientArg>,
}

const HTTPS: u16 = 443;

impl AlpnArgs {
    /// Where to connect.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let target = self.connect.as_ref().unwrap_or(&self.target);
        let port = target.port.or(self.target.port).unwrap_or(HTTPS);
        let host = match &*target.host {
            "" => &self.target.host,
            host => host,
        };
        let endpoint = Endpoint::new(host, port);
        match (self.ipv4, self.ipv6) {
            (true, _) => endpoint.family(AddressFamily::Ipv4),
            (_, true) => endpoint.family(AddressFamily::Ipv6),
            _ => endpoint,
        }
    }

    /// The name to ask for.
    pub(crate) fn server_name(&self) -> &str {
        match &self.servername {
            Some(name) => name,
            None => self.target.server_name(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    Table,
    /// JSON by the schema probe/schema/alpn-report.json.
    Json,
    /// JUnit's XML.
    Junit,
    /// The Test Anything Protocol, version 13.
    Tap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientArg {
    Rustls,
    Openssl,
    NativeTls,
    /// A client that makes malformed offers.
    Raw,
}

impl From<ClientArg> for Client {
    fn from(arg: ClientArg) -> Self {
        match arg {
            ClientArg::Rustls => Self::Rustls,
            ClientArg::Openssl => Self::Openssl,
            ClientArg::NativeTls => Self::NativeTls,
            ClientArg::Raw => Self::Raw,
        }
    }
}

/// A host, by name or address, and a port if one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "expected HOST:PORT, for instance example.org:443 or [::1]:8443";
        if text.contains("://") || text.contains('/') {
            return Err(format!("{SHAPE}, not a URL"));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest
                    .split_once(']')
                    .ok_or_else(|| format!("{SHAPE}; the bracket is not closed"))?;
                if !matches!(without_zone(host).parse(), Ok(IpAddr::V6(_))) {
                    return Err(format!("{SHAPE}; {host:?} is not an IPv6 address"));
                }
                match port {
                    "" => (host, None),
                    port => match port.strip_prefix(':') {
                        Some(port) => (host, Some(port)),
                        None => return Err(SHAPE.into()),
                    },
                }
            }
            None if text.matches(':').count() > 1 => {
                return Err(format!("{SHAPE}; an IPv6 address goes in brackets"));
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(format!("{SHAPE}; there is no host in it"));
        }
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(0)) | Some(Err(_)) => {
                return Err(format!("{SHAPE}; a port is a number from 1 to 65535"));
            }
            Some(Ok(port)) => Some(port),
        };
        Ok(Self {
            host: host.into(),
            port,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Target {
    /// The host as a server name: an address has no zone.
    pub(crate) fn server_name(&self) -> &str {
        match self.host.contains(':') {
            true => without_zone(&self.host),
            false => &self.host,
        }
    }
}

/// The address without its zone, which means nothing to the server (RFC 4007 section 11).
fn without_zone(address: &str) -> &str {
    address
        .split_once('%')
        .map_or(address, |(address, _)| address)
}

/// A target, or a port alone.
fn connect(text: &str) -> Result<Target, String> {
    match text.strip_prefix(':') {
        Some(port) => {
            let mut target: Target = format!("localhost:{port}").parse()?;
            target.host.clear();
            Ok(target)
        }
        None => text.parse(),
    }
}

/// More than zero and at most a day.
fn seconds(text: &str) -> Result<Duration, String> {
    const MOST: f64 = 86_400.0;
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds, more than 0 and at most 86400".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_hosts_and_ports() {
        for (text, host, port) in [
            ("example.org:443", "example.org", Some(443)),
            ("example.org", "example.org", None),
            ("192.0.2.1:8443", "192.0.2.1", Some(8443)),
            ("[::1]:8443", "::1", Some(8443)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[fe80::1%lo]:443", "fe80::1%lo", Some(443)),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!((&*target.host, target.port), (host, port), "{text}");
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn an_invalid_target_gets_advice() {
        for (text, advice) in [
            ("https://example.org", "URL"),
            ("example.org:https", "1 to 65535"),
            ("example.org:", "1 to 65535"),
            ("example.org:0", "1 to 65535"),
            ("example.org:65536", "1 to 65535"),
            ("::1", "brackets"),
            ("[::1", "not closed"),
            ("[::1]443", "HOST:PORT"),
            ("[example.org]:443", "not an IPv6 address"),
            (":443", "no host"),
            ("", "no host"),
            ("two words:443", "no host"),
        ] {
            let error = text.parse::<Target>().expect_err(text);
            assert!(error.contains(advice), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_server_name_has_no_zone() {
        for (text, name) in [
            ("[fe80::1%lo]:443", "fe80::1"),
            ("[::1]", "::1"),
            ("example.org", "example.org"),
        ] {
            assert_eq!(text.parse::<Target>().expect(text).server_name(), name);
        }
    }

    #[test]
    fn connect_takes_a_port_alone() {
        let target = connect(":9005").expect("a port");
        assert_eq!((&*target.host, target.port), ("", Some(9005)));
        assert!(connect(":").is_err() && connect(":0").is_err());
        assert_eq!(connect("a:1"), "a:1".parse());
    }

    #[test]
    fn the_default_timeout_is_that_of_the_help() {
        assert_eq!(corelane_probe::TIMEOUT, Duration::from_secs(5));
    }

    #[test]
    fn seconds_may_be_a_fraction() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "NaN", "inf", "1e9", "soon", ""] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
