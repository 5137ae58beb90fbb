//! The command line.

use std::{num::NonZeroUsize, path::PathBuf, str::FromStr};

use clap::{Parser, Subcommand, ValueEnum};
use corelane::{
    AlpnMissing, Driver, Http2Engine, IpNet, ProtocolName,
    tls::{CipherSuite, NamedGroup},
};
use corelane_ops::ListenAddr;

use crate::{
    access_log::AccessLogArgs,
    admin::AdminArgs,
    alpn::AlpnArgs,
    certificates::CertificateArgs,
    client_certificates::ClientCertificateArgs,
    configuration::Sources,
    limits::LimitArgs,
    network::network,
    restart::{ReloadArgs, RestartArgs, UpgradeArgs},
    routes::RouteArgs,
    status::StatusArgs,
    tickets::TicketArgs,
};

/// HTTP/2 over TLS, one server per core: for the files of a folder (--root) and for applications
/// (--upstream), by path if need be (--route).
///
/// With none of these it answers a demonstration: / (a live status page for browsers, otherwise what was
/// negotiated), /bytes/N (N bytes, 1 GiB at most), /echo (the request's body and trailers), /drain (length
/// and SHA-256 of the request's body), /healthz and /readyz (liveness and readiness). SIGINT, SIGTERM and
/// SIGQUIT let requests in flight finish; a second signal ends the process at once. SIGHUP reloads the
/// configuration file and the certificates, as corelane reload does. SIGUSR2 replaces the server by a new
/// process, as corelane upgrade does.
///
/// Every option can also be set by an environment variable, and by its name as a key in the file of
/// --config. A flag wins over the environment, the environment over the file.
#[derive(Debug, Parser)]
#[command(name = "corelane", version, args_conflicts_with_subcommands = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) args: Args,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Alpn(Box<AlpnArgs>),
    Upgrade(UpgradeArgs),
    Reload(ReloadArgs),

    /// Check a server's options without starting it, and print them.
    ///
    /// Takes the options of the server. Reads the files that they name, opens no socket and writes
    /// no file. Prints the effective configuration as a file for --config, each value with its
    /// source. Exit status: 0 when a server would start with it, apart from its ports; 1 when it
    /// would not; 2 when the command line is wrong.
    Check(Box<CheckArgs>),
}

/// The options of `corelane check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Print errors and warnings only, not the configuration.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) args: Args,
}

/// The options of the server.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Read options from this TOML file. Its keys are the long names of the flags.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Address and port to listen on, for instance 0.0.0.0:443 or [::]:443, or a Unix socket, for
    /// instance unix:/run/corelane/http.sock; repeatable. Port 0 means any free port. [default:
    /// 127.0.0.1:8443 and, where there is IPv6, [::1]:8443]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<ListenAddr>,

    /// The mode of the files of Unix sockets, octal: clients need the permission to write.
    #[arg(long, value_name = "MODE", value_parser = mode, default_value = "660")]
    pub(crate) unix_mode: Mode,

    /// TLS backend: rustls, openssl, native-tls or none. [default: the first that is compiled in]
    #[arg(long, value_name = "BACKEND")]
    pub(crate) tls: Option<String>,

    /// The oldest TLS version to accept. [default: 1.2]
    #[arg(long, value_enum, value_name = "VERSION")]
    pub(crate) min_tls: Option<MinTlsArg>,

    /// Append the secrets of all connections to the file that the environment variable SSLKEYLOGFILE
    /// names, so that programs such as Wireshark can decrypt recorded traffic. Not with native-tls.
    #[arg(long)]
    pub(crate) key_log: bool,

    /// The cipher suites to allow, best first, by their IANA names, for instance
    /// TLS_AES_128_GCM_SHA256; not with native-tls. [default: those of the backend, or of the system's
    /// policy for OpenSSL]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) ciphers: Vec<CipherSuite>,

    /// The key exchange groups to allow, best first, for instance X25519MLKEM768,x25519,secp256r1; not
    /// with native-tls. [default: those of the backend, or of the system's policy for OpenSSL]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) groups: Vec<NamedGroup>,

    /// Number of workers, or auto for one per CPU.
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    pub(crate) workers: Workers,

    /// CPUs to pin the workers to, for instance 0,2,4. [default: those that the process may use, if there
    /// are as many as workers; otherwise none]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) cpus: Vec<usize>,

    /// Let the kernel move the workers between CPUs.
    #[arg(long, conflicts_with = "cpus")]
    pub(crate) no_affinity: bool,

    /// I/O driver of the workers; auto means io_uring where it is allowed, otherwise epoll.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) driver: DriverArg,

    /// Whether to serve HTTP/1.1 beside HTTP/2, to clients that do not offer h2 by ALPN; auto means with
    /// --root, --upstream or --route.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) http1: Http1Arg,

    /// The implementation of HTTP/2: crate h2, or crate corelane-http2, which needs less time for a
    /// request and less memory for a connection.
    #[arg(long, value_enum, value_name = "ENGINE", default_value = "h2")]
    pub(crate) http2_engine: Http2EngineArg,

    /// How to treat clients that offer no protocol by ALPN and speak HTTP/2. Where HTTP/1.1 is served,
    /// they can always speak that.
    #[arg(long, value_enum, default_value = "reject")]
    pub(crate) alpn_missing: AlpnMissingArg,

    /// Expect a PROXY header (v1 or v2) on connections from this network, for instance 10.0.0.0/8,
    /// or on Unix sockets (unix:), and take the client's address from it; repeatable. Connections from
    /// there without a header are closed.
    #[arg(long, value_name = "CIDR|unix:", value_parser = proxies)]
    pub(crate) proxy_protocol: Vec<Proxies>,

    /// Log more: -v failed handshakes, -vv every connection.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(flatten)]
    pub(crate) routes: RouteArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) status: StatusArgs,

    #[command(flatten)]
    pub(crate) certificates: CertificateArgs,

    #[command(flatten)]
    pub(crate) client_certificates: ClientCertificateArgs,

    #[command(flatten)]
    pub(crate) tickets: TicketArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) restart: RestartArgs,

    #[command(flatten)]
    pub(crate) access_log: AccessLogArgs,

    /// Where the settings come from, for errors.
    #[arg(skip)]
    pub(crate) sources: Sources,
}

impl Args {
    /// The protocols to serve, best first.
    pub(crate) fn protocols(&self) -> Vec<ProtocolName> {
        let http1 = match self.http1 {
            Http1Arg::Auto => !self.routes.is_demo(),
            Http1Arg::On => true,
            Http1Arg::Off => false,
        };
        let mut protocols = vec![ProtocolName::H2];
        if http1 {
            protocols.extend([ProtocolName::HTTP_1_1, ProtocolName::HTTP_1_0]);
        }
        protocols
    }
}

/// The mode of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode(pub(crate) u32);

fn mode(text: &str) -> Result<Mode, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ ..=0o777) => Ok(Mode(mode)),
        _ => Err("expected a mode in octal of at most 777, for instance 660".into()),
    }
}

/// Connections that begin with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxies {
    Network(IpNet),
    Unix,
}

fn proxies(text: &str) -> Result<Proxies, String> {
    if text == "unix:" {
        return Ok(Proxies::Unix);
    }
    network(text)
        .map(Proxies::Network)
        .map_err(|_| "expected a network, for instance 10.0.0.0/8, an address or unix:".into())
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Workers(pub(crate) Option<NonZeroUsize>);

impl FromStr for Workers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(None)),
            number => number
                .parse()
                .map(|workers| Self(Some(workers)))
                .map_err(|_| "expected a number of at least 1, or auto".into()),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DriverArg {
    Auto,
    IoUring,
    Epoll,
}

impl From<DriverArg> for Driver {
    fn from(arg: DriverArg) -> Self {
        match arg {
            DriverArg::Auto => Self::Auto,
            DriverArg::IoUring => Self::IoUring,
            DriverArg::Epoll => Self::Epoll,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MinTlsArg {
    /// TLS 1.2 and 1.3.
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3 only; not with native-tls.
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Http1Arg {
    Auto,
    On,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Http2EngineArg {
    H2,
    Corelane,
}

impl From<Http2EngineArg> for Http2Engine {
    fn from(arg: Http2EngineArg) -> Self {
        match arg {
            Http2EngineArg::H2 => Self::H2,
            Http2EngineArg::Corelane => Self::Corelane,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AlpnMissingArg {
    /// Refuse them with the alert no_application_protocol.
    Reject,
    /// Serve them HTTP/2 with prior knowledge.
    Allow,
}

impl From<AlpnMissingArg> for AlpnMissing {
    fn from(arg: AlpnMissingArg) -> Self {
        match arg {
            AlpnMissingArg::Reject => Self::Reject,
            AlpnMissingArg::Allow => Self::Allow,
        }
    }
}
