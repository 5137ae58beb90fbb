//! The command line of the servers.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Parser, ValueEnum};

/// A server to measure. It answers GET /tiny, /16k, /64k and /1m with the files of these names,
/// GET /bytes/N with N bytes, and POST /upload with the length of the body.
#[derive(Debug, Parser)]
pub struct Args {
    #[arg(long)]
    pub listen: SocketAddr,
    /// Certificate (PEM).
    #[arg(long)]
    pub cert: PathBuf,
    /// Private key (PEM, PKCS#8).
    #[arg(long)]
    pub key: PathBuf,
    /// Directory of the response bodies. They are read once, at the start.
    #[arg(long)]
    pub bodies: PathBuf,
    #[arg(long, default_value = "1")]
    pub workers: NonZeroUsize,
    #[arg(long, value_enum, default_value = "rustls")]
    pub tls: Backend,
    /// Disable TLS 1.3. The backend native-tls never has it; on openssl corelane leaves it to
    /// OpenSSL's configuration.
    #[arg(long)]
    pub tls12: bool,
    /// Serve HTTP/1.1 instead of HTTP/2.
    #[arg(long)]
    pub http1: bool,
    /// The I/O driver of corelane and xitca-http: auto, io-uring or epoll. The other servers have epoll
    /// only; auto is io-uring on corelane and epoll on xitca-http.
    #[arg(long, default_value = "auto")]
    pub driver: String,
    /// The HTTP/2 engine of corelane and of the floor: h2 or corelane.
    #[arg(long, default_value = "h2")]
    pub http2_engine: String,
    /// Further certificates of corelane, each in a file (PEM), all with the key of --key.
    #[arg(long)]
    pub identities: Option<PathBuf>,
    /// How long handshakes with corelane may take, in seconds.
    #[arg(long)]
    pub handshake_timeout: Option<u64>,
}

impl Args {
    /// For servers of HTTP/2 only.
    pub fn ensure_http2(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.http1, "this server is measured with HTTP/2 only");
        Ok(())
    }

    /// The only protocol of the server, as ALPN names it.
    pub fn protocol(&self) -> &'static str {
        if self.http1 { "http/1.1" } else { "h2" }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Rustls,
    NativeTls,
    Openssl,
}
