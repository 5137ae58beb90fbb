//! Sections 2.2, 2.3 and 3: the request line and its target.

use crate::case::{Case, last, refused, served};

const HOST: &str = "host: localhost\r\n\r\n";

/// A request with this line and `host`.
fn line(line: &str) -> String {
    format!("{line}\r\n{HOST}")
}

pub fn cases() -> Vec<Case> {
    const MINOR: &str = "hyper answers 400 to versions other than 1.0 and 1.1";
    const FRAGMENT: &str = "crate http drops the fragment of a target";
    const ROOT: &str = "GET / localhost 0";

    vec![
        // 2.2
        served("2.2 a request", ROOT, line("GET / HTTP/1.1")),
        served(
            "2.2 an empty line before it",
            ROOT,
            line("\r\nGET / HTTP/1.1"),
        ),
        served("2.2 LF before it", ROOT, line("\n\nGET / HTTP/1.1")),
        refused("2.2 empty lines without end", "431", vec![b'\n'; 100_000]),
        served(
            "2.2 lines that end in LF alone",
            ROOT,
            "GET / HTTP/1.1\nhost: localhost\n\n",
        ),
        refused(
            "2.2 bare CR behind the line",
            "400",
            "GET / HTTP/1.1\rhost: localhost\r\n\r\n",
        ),
        refused("2.2 bare CR in the line", "400", line("GET /\r HTTP/1.1")),
        refused(
            "2.2 whitespace before the first field",
            "400",
            "GET / HTTP/1.1\r\n host: localhost\r\n\r\n",
        ),
        refused(
            "2.2 a tab before the first field",
            "400",
            "GET / HTTP/1.1\r\n\thost: localhost\r\n\r\n",
        ),
        refused(
            "2.2 no HTTP at all",
            "400",
            "\x16\x03\x01\x02\x00\x01\r\n\r\n",
        ),
        refused("2.2 a line without end", "400", "GET / HTTP/1.1")
            .cut()
            .unanswered(),
        refused(
            "2.2 a head without end",
            "400",
            "GET / HTTP/1.1\r\nhost: localhost\r\n",
        )
        .cut()
        .unanswered(),
        // 2.3
        refused("2.3 HTTP/1.2", "400", line("GET / HTTP/1.2")).deviates(MINOR),
        refused("2.3 HTTP/1.9", "400", line("GET / HTTP/1.9")).deviates(MINOR),
        refused("2.3 HTTP/2.0", "400", line("GET / HTTP/2.0")).deviates(MINOR),
        refused("2.3 HTTP/3.0", "400", line("GET / HTTP/3.0")).deviates(MINOR),
        refused("2.3 HTTP/0.9", "400", line("GET / HTTP/0.9")).deviates(MINOR),
        refused("2.3 HTTP/1.10", "400", line("GET / HTTP/1.10")),
        refused("2.3 HTTP/01.1", "400", line("GET / HTTP/01.1")),
        refused("2.3 HTTP/1,1", "400", line("GET / HTTP/1,1")),
        refused("2.3 http/1.1", "400", line("GET / http/1.1")),
        refused("2.3 HTTP /1.1", "400", line("GET / HTTP /1.1")),
        refused("2.3 HTTP/1.", "400", line("GET / HTTP/1.")),
        refused("2.3 HTPP/1.1", "400", line("GET / HTPP/1.1")),
        refused("2.3 no version, as in HTTP/0.9", "400", "GET /\r\n\r\n"),
        refused("2.3 no version, with a field", "400", line("GET /")),
        refused(
            "2.3 the preface of HTTP/2",
            "505",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ),
        // 3
        refused(
            "3 two spaces before the target",
            "400",
            line("GET  / HTTP/1.1"),
        ),
        refused(
            "3 two spaces before the version",
            "400",
            line("GET /  HTTP/1.1"),
        ),
        refused("3 a space at the end", "400", line("GET / HTTP/1.1 ")),
        refused("3 a space at the start", "400", line(" GET / HTTP/1.1")),
        refused("3 a tab before the target", "400", line("GET\t/ HTTP/1.1")),
        refused("3 a tab before the version", "400", line("GET /\tHTTP/1.1")),
        refused("3 a space in the target", "400", line("GET /a b HTTP/1.1")),
        refused("3 NUL in the target", "400", line("GET /\0 HTTP/1.1")),
        refused("3 DEL in the target", "400", line("GET /\x7f HTTP/1.1")),
        refused("3 a tab in the target", "400", line("GET /a\tb HTTP/1.1")),
        refused(
            "3 a vertical tab as a space",
            "400",
            line("GET\x0b/ HTTP/1.1"),
        ),
        refused("3 no target", "400", line("GET HTTP/1.1")),
        refused("3 no method", "400", line("/ HTTP/1.1")),
        refused(
            "3 a target past the limit",
            "414",
            line(&format!("GET /{} HTTP/1.1", "a".repeat(20_000))),
        ),
        refused(
            "3 a target far past the limit",
            "414",
            line(&format!("GET /{} HTTP/1.1", "a".repeat(200_000))),
        ),
        served(
            "3 a target of 8,000 bytes (RFC 9110 section 4.1)",
            &format!("GET /{} localhost 0", "a".repeat(7_999)),
            line(&format!("GET /{} HTTP/1.1", "a".repeat(7_999))),
        ),
        // 3.1
        served(
            "3.1 a method in lower case",
            "get / localhost 0",
            line("get / HTTP/1.1"),
        ),
        served(
            "3.1 a method of one's own",
            "PURGE-1 / localhost 0",
            line("PURGE-1 / HTTP/1.1"),
        ),
        refused(
            "3.1 a method with a parenthesis",
            "400",
            line("G(T / HTTP/1.1"),
        ),
        refused("3.1 a method with a colon", "400", line("GET: / HTTP/1.1")),
        refused(
            "3.1 a method past ASCII",
            "400",
            line("G\u{e9}T / HTTP/1.1"),
        ),
        // 3.2
        refused("3.2 no host", "400", "GET / HTTP/1.1\r\n\r\n"),
        refused(
            "3.2 two hosts",
            "400",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        ),
        refused(
            "3.2 two hosts that are equal",
            "400",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        ),
        refused(
            "3.2 a host with a space",
            "400",
            "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        ),
        refused(
            "3.2 a host with a path",
            "400",
            "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        ),
        refused(
            "3.2 a host with user information",
            "400",
            "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n",
        ),
        refused(
            "3.2 a host with a port that is no number",
            "400",
            "GET / HTTP/1.1\r\nhost: a:b\r\n\r\n",
        ),
        refused(
            "3.2 two hosts in one field",
            "400",
            "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
        ),
        served(
            "3.2 an empty host",
            "GET /  0",
            "GET / HTTP/1.1\r\nhost:\r\n\r\n",
        ),
        served(
            "3.2 a host with a port",
            "GET / a:8443 0",
            "GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n",
        ),
        served(
            "3.2 an address in brackets",
            "GET / [::1]:1 0",
            "GET / HTTP/1.1\r\nhost: [::1]:1\r\n\r\n",
        ),
        // 3.2.1
        served(
            "3.2.1 a query",
            "GET /a?b=c&d localhost 0",
            line("GET /a?b=c&d HTTP/1.1"),
        ),
        served(
            "3.2.1 a fragment",
            "GET /a localhost 0",
            line("GET /a#b HTTP/1.1"),
        )
        .deviates(FRAGMENT),
        served(
            "3.2.1 dots",
            "GET /../../a localhost 0",
            line("GET /../../a HTTP/1.1"),
        ),
        served(
            "3.2.1 two slashes",
            "GET //a localhost 0",
            line("GET //a HTTP/1.1"),
        ),
        // 3.2.2
        served(
            "3.2.2 absolute form",
            "GET http://localhost/a localhost 0",
            line("GET http://localhost/a HTTP/1.1"),
        ),
        served(
            "3.2.2 absolute form with another host",
            "GET http://other:8080/a other:8080 0",
            line("GET http://other:8080/a HTTP/1.1"),
        ),
        served(
            "3.2.2 absolute form without a path",
            "GET http://other/ other 0",
            line("GET http://other HTTP/1.1"),
        ),
        refused(
            "3.2.2 absolute form without a host",
            "400",
            "GET http://other/a HTTP/1.1\r\n\r\n",
        ),
        refused(
            "3.2.2 absolute form with user information",
            "400",
            line("GET http://user@other/ HTTP/1.1"),
        ),
        refused(
            "3.2.2 absolute form with an empty host",
            "400",
            line("GET http:///a HTTP/1.1"),
        ),
        // 3.2.3
        refused(
            "3.2.3 authority form",
            "400",
            line("GET localhost:80 HTTP/1.1"),
        ),
        refused(
            "3.2.3 CONNECT",
            "405",
            line("CONNECT localhost:80 HTTP/1.1"),
        ),
        refused(
            "3.2.3 CONNECT with a path",
            "405",
            line("CONNECT / HTTP/1.1"),
        ),
        // 3.2.4
        served(
            "3.2.4 asterisk form",
            "OPTIONS * localhost 0",
            line("OPTIONS * HTTP/1.1"),
        ),
        refused("3.2.4 asterisk form of GET", "400", line("GET * HTTP/1.1")),
        // 9.3
        last("9.3 HTTP/1.0", "GET / localhost 0", line("GET / HTTP/1.0")),
        last(
            "9.3 HTTP/1.0 without a host",
            "GET / - 0",
            "GET / HTTP/1.0\r\n\r\n",
        ),
        served(
            "9.3 HTTP/1.0 with keep-alive",
            ROOT,
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\nhost: localhost\r\n\r\n",
        ),
        last(
            "9.3 close",
            ROOT,
            "GET / HTTP/1.1\r\nconnection: close\r\nhost: localhost\r\n\r\n",
        ),
        last(
            "9.3 close among others",
            ROOT,
            "GET / HTTP/1.1\r\nconnection: x, Close\r\nhost: localhost\r\n\r\n",
        ),
        last(
            "9.3 close, then keep-alive",
            ROOT,
            "GET / HTTP/1.1\r\nconnection: close\r\nconnection: keep-alive\r\nhost: localhost\r\n\r\n",
        ),
    ]
}
