//! The command line of every server here.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Parser, ValueEnum};

/// A server to be measured. It answers GET /tiny, /16k, /64k and /1m with the files of these names,
/// and POST /upload with the number of bytes that came in.
#[derive(Debug, Parser)]
pub struct Args {
    #[arg(long)]
    pub listen: SocketAddr,
    /// Certificate, PEM.
    #[arg(long)]
    pub cert: PathBuf,
    /// Its key, PEM (PKCS#8).
    #[arg(long)]
    pub key: PathBuf,
    /// Directory of the files to answer with; they are read once.
    #[arg(long)]
    pub bodies: PathBuf,
    #[arg(long, default_value = "1")]
    pub workers: NonZeroUsize,
    #[arg(long, value_enum, default_value = "rustls")]
    pub tls: Backend,
    /// No TLS 1.3. The backend native-tls has none anyway.
    #[arg(long)]
    pub tls12: bool,
    /// What corelane runs on: auto, io-uring or epoll. The others have epoll only.
    #[arg(long, default_value = "auto")]
    pub driver: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Rustls,
    NativeTls,
}
