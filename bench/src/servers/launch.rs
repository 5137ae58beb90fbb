//! The parameters that every server is started with.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::{
    cores,
    fixtures::Credentials,
    shapes::Service,
    site::Site,
    terms::{Group, Http},
};

pub struct Launch<'a> {
    pub site: &'a Site,
    /// The directory for the server's configuration and everything it writes.
    pub scratch: &'a Path,
    pub addr: SocketAddr,
    pub group: Group,
    pub workers: usize,
    pub service: Service,
    pub http: Http,
    /// The server behind a proxy.
    pub upstream: Option<SocketAddr>,
    pub credentials: Credentials,
}

impl Launch<'_> {
    pub fn pinned(&self, program: impl AsRef<OsStr>) -> Command {
        cores::pinned(&self.site.cores.of_workers(self.workers), program)
    }

    /// The address of the server behind a proxy.
    pub fn upstream(&self) -> anyhow::Result<SocketAddr> {
        self.upstream.context("a proxy has an upstream")
    }

    /// The option of corelane's servers, if limits are lifted: between two turns of a client lie
    /// those of all others.
    pub fn handshake_timeout(&self) -> &'static [&'static str] {
        match self.site.limits_lifted {
            true => &["--handshake-timeout", "60"],
            false => &[],
        }
    }

    /// Writes a configuration file.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.scratch.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// By OpenSSL's configuration.
    pub fn disable_tls13(&self, command: &mut Command) -> anyhow::Result<()> {
        const NO_TLS13: &str = "openssl_conf = start
[start]
ssl_conf = libraries
[libraries]
system_default = tls
[tls]
MaxProtocol = TLSv1.2
";
        command.env("OPENSSL_CONF", self.write("openssl.cnf", NO_TLS13)?);
        Ok(())
    }
}

/// Servers that are started by root give it up, unless they are configured to keep it. They need it
/// to read the harness's files.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
