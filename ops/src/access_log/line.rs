//! Formats a record as a line. Clients choose much of it: none of their bytes can end the line, end a
//! quoted field or move a terminal's cursor.

use std::{
    borrow::Cow,
    cell::RefCell,
    fmt::Write,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use serde::Serialize;

use super::{format::AccessLogFormat, record::Entry};
use crate::log_writer::Line;

/// nginx's status for a client that closed the connection or stream before its response was complete.
const CLIENT_CLOSED_REQUEST: &str = "499";

impl Line for Entry {
    fn append(&self, lines: &mut String) {
        match self.format {
            AccessLogFormat::Combined => combined(lines, self),
            AccessLogFormat::Json => json(lines, self),
        }
        lines.push('\n');
    }
}

/// `$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer"
/// "$http_user_agent"`, in UTC.
fn combined(line: &mut String, entry: &Entry) {
    let status = match &entry.status {
        Some(status) if entry.complete => status.as_str(),
        _ => CLIENT_CLOSED_REQUEST,
    };
    // Writing to a String cannot fail.
    let _ = match entry.connection.peer_addr {
        Some(addr) => write!(line, "{}", addr.ip()),
        None => write!(line, "{}", entry.connection.peer()),
    };
    line.push_str(" - - [");
    common_time(line, entry.time);
    line.push_str("] \"");
    escape(line, entry.method.as_str().as_bytes());
    line.push(' ');
    escape(line, target(entry).as_bytes());
    let _ = write!(
        line,
        " {:?}\" {status} {} ",
        entry.version, entry.bytes_sent
    );
    quote(line, entry.referer.as_ref());
    line.push(' ');
    quote(line, entry.user_agent.as_ref());
}

/// Appends `25/Nov/2026:18:28:35 +0000`.
fn common_time(line: &mut String, time: SystemTime) {
    thread_local! {
        /// The last second, since the epoch, and its text.
        static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    let second = since_epoch.map_or(0, |it| it.as_secs());
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second || text.is_empty() {
            *last = second;
            text.clear();
            second_of_common_time(text, second);
        }
        line.push_str(text);
    });
}

fn second_of_common_time(text: &mut String, second: u64) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let time = humantime::format_rfc3339_seconds(time).to_string();
    let part = |range| time.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().unwrap_or_default();
    let month = MONTHS.get(month.wrapping_sub(1)).unwrap_or(&"-");
    let (day, year, clock) = (part(8..10), part(0..4), part(11..19));
    // Writing to a String cannot fail.
    let _ = write!(text, "{day}/{month}/{year}:{clock} +0000");
}

fn target(entry: &Entry) -> Cow<'_, str> {
    match (entry.uri.path_and_query(), entry.uri.authority()) {
        (Some(path), _) if path.as_str().starts_with(['/', '*']) => path.as_str().into(),
        // With the slash that `http://host?query` leaves out.
        (Some(path), _) => path.to_string().into(),
        (None, Some(authority)) => authority.as_str().into(),
        (None, None) => "-".into(),
    }
}

fn quote(line: &mut String, value: Option<&HeaderValue>) {
    line.push('"');
    match value {
        Some(value) => escape(line, value.as_bytes()),
        None => line.push('-'),
    }
    line.push('"');
}

/// As nginx does: bytes that are not printable ASCII, `"` and `\` become `\xHH`.
fn escape(line: &mut String, bytes: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    for run in bytes.chunk_by(|one, next| is_plain(one) == is_plain(next)) {
        match str::from_utf8(run) {
            Ok(plain) if run.iter().all(is_plain) => line.push_str(plain),
            _ => {
                for byte in run {
                    let _ = write!(line, "\\x{byte:02X}");
                }
            }
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    time: String,
    peer: String,
    proxy: Option<String>,
    method: &'a str,
    authority: Option<&'a str>,
    path: Cow<'a, str>,
    protocol: String,
    status: Option<u16>,
    bytes_sent: u64,
    /// Seconds.
    duration: f64,
    complete: bool,
    tls_version: Option<String>,
    cipher_suite: Option<String>,
    server_name: Option<String>,
    /// Of the client's certificate.
    client_subject: Option<&'a str>,
    referer: Option<String>,
    user_agent: Option<String>,
    worker: usize,
}

fn json(line: &mut String, entry: &Entry) {
    let connection = &entry.connection;
    let negotiated = &connection.negotiated;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let object = Json {
        time: humantime::format_rfc3339_millis(entry.time).to_string(),
        peer: connection.peer().to_string(),
        proxy: connection.proxy_addr.map(|proxy| proxy.to_string()),
        method: entry.method.as_str(),
        authority: entry.uri.authority().map(|authority| authority.as_str()),
        path: target(entry),
        protocol: format!("{:?}", entry.version),
        status: entry.status.map(|status| status.as_u16()),
        bytes_sent: entry.bytes_sent,
        duration: entry.duration.as_micros() as f64 / 1e6,
        complete: entry.complete,
        tls_version: negotiated.tls_version.map(|version| version.to_string()),
        cipher_suite: negotiated.cipher_suite.map(|suite| suite.to_string()),
        server_name: negotiated.server_name.as_ref().map(ToString::to_string),
        client_subject: negotiated.peer_subject.as_deref(),
        referer: entry.referer.as_ref().map(text),
        user_agent: entry.user_agent.as_ref().map(text),
        worker: connection.worker,
    };
    // Cannot fail: the fields are strings and numbers.
    let object = serde_json::to_string(&object).unwrap_or_default();
    for c in object.chars() {
        // JSON allows these, but terminals and viewers act on them.
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_can_end_a_field_or_a_line() {
        let every: Vec<u8> = (0..=255).collect();
        let mut line = String::new();
        escape(&mut line, &every);
        let printable = |c: char| c == ' ' || c.is_ascii_graphic();
        assert!(line.chars().all(printable), "{line:?}");
        assert!(!line.contains('"'), "{line}");
        assert!(line.starts_with("\\x00\\x01"), "{line}");
        assert!(line.contains(" !\\x22#"), "{line}");
        assert!(line.contains("[\\x5C]"), "{line}");
        assert!(line.ends_with("\\xFE\\xFF"), "{line}");
    }

    #[test]
    fn time_is_in_common_log_format() {
        let time = humantime::parse_rfc3339("2026-11-05T18:28:35Z").unwrap();
        let mut line = String::new();
        let second = Duration::from_secs(1);
        for time in [
            time,
            time + second / 2,
            time + second,
            time,
            SystemTime::UNIX_EPOCH - second,
        ] {
            common_time(&mut line, time);
            line.push('\n');
        }
        let wanted = "05/Nov/2026:18:28:35 +0000\n05/Nov/2026:18:28:35 +0000\n05/Nov/2026:18:28:36 +0000\n\
                      05/Nov/2026:18:28:35 +0000\n01/Jan/1970:00:00:00 +0000\n";
        assert_eq!(line, wanted);
    }
}
