//! Prints the server's settings and how to try it, once it serves.

use std::{
    fmt::Write as _,
    io::Write,
    net::{IpAddr, SocketAddr},
    thread,
};

use corelane::Handle;

use crate::tls;

pub(crate) fn text(
    handle: &Handle,
    tls: &tls::Description,
    served: &str,
    admin: Option<SocketAddr>,
) -> String {
    let mut out = String::new();
    let addrs = handle.local_addrs();
    let scheme = tls.scheme;
    for addr in addrs {
        let _ = writeln!(out, "listening on {scheme}://{addr}");
    }
    for path in handle.unix_paths() {
        let _ = writeln!(out, "listening on unix:{}", path.display());
    }
    let _ = writeln!(out, "TLS: {}", tls.text);
    let workers = handle.workers();
    let _ = writeln!(out, "workers: {}", workers.len());
    for worker in workers {
        let info = worker.info;
        let cpu = match info.cpu {
            Some(cpu) => format!("CPU {cpu}"),
            None => "not pinned".into(),
        };
        let _ = writeln!(out, "  {}: {}, {cpu}", info.index, info.driver);
    }
    out.push_str(served);
    if let Some(admin) = admin {
        let _ = writeln!(out, "metrics: http://{admin}/metrics");
    }
    if let ([], [path, ..]) = (addrs, handle.unix_paths()) {
        let _ = writeln!(
            out,
            "try: curl {} --unix-socket {} {scheme}://localhost/",
            tls.curl_options,
            path.display()
        );
    }
    if let Some(addr) = addrs.first() {
        let host = match addr.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".into(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let _ = writeln!(
            out,
            "try: curl {} {scheme}://{host}:{}/",
            tls.curl_options,
            addr.port()
        );
    }
    out
}

/// Prints to standard output, or to standard error. It does so on its own thread, and errors are
/// ignored: a pipe that is full or closed must not stop the server.
pub(crate) fn print(text: String, to_standard_error: bool) {
    let thread = thread::Builder::new().name("corelane-intro".into());
    let spawned = thread.spawn(move || {
        let mut out: Box<dyn Write> = match to_standard_error {
            true => Box::new(std::io::stderr().lock()),
            false => Box::new(std::io::stdout().lock()),
        };
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot start the thread that prints the settings");
    }
}
