//! A client of the admin port.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::{Corelane, DEADLINE};

/// The address of the admin port.
pub(crate) fn admin(server: &Corelane) -> SocketAddr {
    let url = server.printed("metrics: http://");
    let addr = url.strip_suffix("/metrics").expect("a path");
    addr.parse().expect("an address")
}

/// Status and body.
pub(crate) fn ask_admin(addr: SocketAddr, path: &str) -> (u16, String) {
    ask_host(addr, &addr.to_string(), path)
}

/// The same for a request that names this host.
pub(crate) fn ask_host(addr: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}

pub(crate) fn metrics(addr: SocketAddr) -> String {
    let (status, text) = ask_admin(addr, "/metrics");
    assert_eq!(status, 200);
    text
}

/// The sum over all series whose labels contain `label`.
pub(crate) fn sum(text: &str, name: &str, label: &str) -> f64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(name));
    let series = series.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
    let values = series.map(|rest| rest.rsplit(' ').next().expect("a value"));
    values
        .map(|value| value.parse::<f64>().expect("a number"))
        .sum()
}
