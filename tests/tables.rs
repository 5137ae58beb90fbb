//! The tables of limits and metrics in docs/ are generated from their declarations in src/config/ and
//! src/counters/.
//!
//! `UPDATE_DOCS=1 cargo test --test tables` writes them.

use std::{fmt::Write, fs, path::Path};

use corelane::reference::{DefaultValue, LIMITS, Limit, METRICS, Metric, MetricKind};

/// The flag of the command that sets a limit. cli/src/limits.rs tests that these are all of its flags
/// and that their defaults are those of the table.
const FLAGS: &[(&str, &str)] = &[
    ("max_connections", "--max-connections"),
    ("max_handshakes", "--max-handshakes"),
    ("SHUTDOWN_DEADLINE", "--shutdown-timeout"),
    ("handshake", "--handshake-timeout"),
    ("idle", "--idle-timeout"),
    ("head", "--head-timeout"),
    ("write", "--write-timeout"),
    ("body", "--body-timeout"),
    ("min_rate", "--min-rate"),
    ("keep_alive_interval", "--keep-alive"),
    ("keep_alive_timeout", "--keep-alive-timeout"),
    ("max_concurrent_streams", "--max-streams"),
    ("max_header_list_size", "--max-header-list"),
    ("max_request_body_size", "--max-request-body"),
    ("max_frame_size", "--max-frame"),
    ("initial_stream_window_size", "--stream-window"),
    ("initial_connection_window_size", "--connection-window"),
    ("max_send_buffer_size", "--max-send-buffer"),
    ("max_extra_frames", "--max-extra-frames"),
    ("max_early_resets", "--max-early-resets"),
];

#[test]
fn limits_table_matches_the_declarations() {
    let mut table = String::from(
        "| limit | flag | default | why | what the peer sees |\n|---|---|---|---|---|\n",
    );
    for limit in LIMITS.into_iter().flatten() {
        row(
            &mut table,
            [
                &setting(limit),
                &flag(limit),
                &default(limit),
                limit.why,
                limit.peer,
            ],
        );
    }
    check("docs/limits.md", "limits", &table);
}

#[test]
fn metrics_table_matches_the_declarations() {
    let mut table =
        String::from("| metric | kind | labels | what it counts |\n|---|---|---|---|\n");
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter | MetricKind::Bytes => "counter",
        };
        row(
            &mut table,
            [
                &format!("`{}`", metric.name),
                kind,
                &labels(metric),
                &[metric.help, &values(metric)].concat(),
            ],
        );
    }
    check("docs/metrics.md", "metrics", &table);
}

fn row<const N: usize>(table: &mut String, cells: [&str; N]) {
    let cells = cells.map(|cell| match cell {
        "" => String::from(" "),
        cell => format!(" {cell} "),
    });
    writeln!(table, "|{}|", cells.join("|")).expect("memory");
}

fn setting(limit: &Limit) -> String {
    let separator = if limit.owner.is_empty() { "" } else { "::" };
    let name = format!("`{}{separator}{}`", limit.owner, limit.name);
    match limit.unit {
        "" | "bytes" | "bytes/s" => name,
        scope => format!("{name}, {scope}"),
    }
}

fn flag(limit: &Limit) -> String {
    let flag = FLAGS.iter().find(|(name, _)| *name == limit.name);
    flag.map(|(_, flag)| format!("`{flag}`"))
        .unwrap_or_default()
}

fn default(limit: &Limit) -> String {
    match (limit.default)() {
        DefaultValue::None => "none".into(),
        DefaultValue::Time(time) => format!("{} s", time.as_secs_f64()),
        DefaultValue::Number(bytes) if limit.unit == "bytes" => size(bytes),
        DefaultValue::Number(rate) if limit.unit == "bytes/s" => format!("{rate} bytes/s"),
        DefaultValue::Number(number) => thousands(number),
    }
}

fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        bytes if bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
        bytes if bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
        bytes => format!("{} bytes", thousands(bytes)),
    }
}

/// 16384 as 16,384.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8(groups.join(&b',')).expect("digits")
}

fn labels(metric: &Metric) -> String {
    let mut labels = vec![String::from("`worker`")];
    if metric.by_backend {
        labels.push("`backend`".into());
    }
    if !metric.label.is_empty() {
        labels.push(format!("`{}`", metric.label));
    }
    labels.join(", ")
}

fn values(metric: &Metric) -> String {
    if metric.label.is_empty() {
        return String::new();
    }
    let values: Vec<_> = metric.values.iter().map(|(value, _)| *value).collect();
    format!(" Values of `{}`: {}.", metric.label, values.join(", "))
}

/// Compares the text between the two markers of `name` with the table, or replaces it.
fn check(document: &str, name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(&path).expect("a document");
    let begin = format!("<!-- {name}: generated by tests/tables.rs -->\n");
    let end = format!("<!-- end of {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect("a marker at the begin");
    let (found, after) = rest.split_once(&end).expect("a marker at the end");
    if found == table {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, [before, &begin, table, &end, after].concat()).expect("written");
        return;
    }
    panic!(
        "the table in {document} is out of date; to write it: \
         UPDATE_DOCS=1 cargo test --test tables\n\n{table}"
    );
}

#[test]
fn numbers_have_their_units() {
    assert_eq!(thousands(1), "1");
    assert_eq!(thousands(16_384), "16,384");
    assert_eq!(thousands(1_048_576), "1,048,576");
    assert_eq!(size(16_384), "16 KiB");
    assert_eq!(size(1_048_576), "1 MiB");
    assert_eq!(size(1_000), "1,000 bytes");
}
