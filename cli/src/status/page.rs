//! The page as the server renders it. Its script updates it; without scripts it stays as it is.

use std::fmt::{Display, Write};

use corelane::ConnectionInfo;

use super::snapshot::{Snapshot, Worker};
use crate::negotiated;

const TEMPLATE: &str = include_str!("page.html");

pub(super) fn render(connection: &ConnectionInfo, snapshot: &Snapshot) -> String {
    let all: Worker = snapshot.workers.iter().copied().sum();
    let mut page = TEMPLATE.to_owned();
    let mut fill = |place: &str, value: &dyn Display| {
        page = page.replace(&format!("{{{place}}}"), &value.to_string());
    };
    fill("in_flight", &all.in_flight);
    fill("connections", &all.connections);
    fill("resumed", &all.resumed);
    fill("alpn_refused", &all.alpn_refused);
    fill("failed", &all.failed);
    fill("version", &env!("CARGO_PKG_VERSION"));
    fill("up", &format_args!("{} s", snapshot.up / 1000));
    fill("workers", &workers(snapshot));
    fill("versions", &versions(snapshot.backend, &all));
    // Last: it contains text of the client, which must not be filled in.
    fill("negotiated", &negotiated_rows(connection));
    page
}

fn workers(snapshot: &Snapshot) -> String {
    let mut rows = String::new();
    for (index, it) in snapshot.workers.iter().enumerate() {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{index}</th><td>{}</td><td>{}</td><td>{}</td><td>–</td><td>{}</td></tr>",
            it.connections,
            it.in_flight,
            it.requests,
            it.tls_1_2 + it.tls_1_3 + it.no_tls,
        );
    }
    rows
}

fn versions(backend: &str, all: &Worker) -> String {
    let none = match backend {
        "none" => "HTTP/2 without TLS",
        _ => "unknown",
    };
    let mut rows = String::new();
    for (version, field, count) in [
        ("TLS 1.3", "tls_1_3", all.tls_1_3),
        ("TLS 1.2", "tls_1_2", all.tls_1_2),
        (none, "no_tls", all.no_tls),
    ] {
        if (field == "no_tls") == (backend == "none") {
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{}</th><td>{version}</td><td data-sum=\"{field}\">{count}</td></tr>",
                escaped(backend),
            );
        }
    }
    rows
}

fn negotiated_rows(connection: &ConnectionInfo) -> String {
    let mut rows = String::new();
    for (name, value) in negotiated::negotiated(connection) {
        let _ = writeln!(
            rows,
            "<div><dt>{name}</dt><dd>{}</dd></div>",
            escaped(&value)
        );
    }
    rows
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_client_is_escaped() {
        let name = "<script>alert('\"&\"')</script>";
        assert!(!escaped(name).contains(['<', '>', '"', '\'']));
        assert_eq!(escaped("a&b"), "a&amp;b");
    }
}
