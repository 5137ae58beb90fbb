//! Options of limits: every limit of the library, with its default.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use clap::Args;
use corelane::{
    Builder, Http2Config, Limits,
    config::{MAX_CONNECTIONS, MAX_HANDSHAKES, SHUTDOWN_DEADLINE},
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Open connections per worker; one more is closed.
    #[arg(long, value_name = "N", default_value_t = count(MAX_CONNECTIONS))]
    max_connections: NonZeroUsize,

    /// Handshakes in progress per worker; one more ends the oldest.
    #[arg(long, value_name = "N", default_value_t = count(MAX_HANDSHAKES))]
    max_handshakes: NonZeroUsize,

    /// How long the handshakes of TLS and HTTP/2 may take together; then the connection is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(limits().handshake))]
    handshake_timeout: NonZeroU64,

    /// How long a connection may be open without a request; then the server sends GOAWAY.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(limits().idle))]
    idle_timeout: NonZeroU64,

    /// How long the head of a request of HTTP/1.x may take from its first byte; then the response is
    /// 408.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(limits().head))]
    head_timeout: NonZeroU64,

    /// How long a client may receive a response more slowly than --min-rate; then the request is
    /// reset (CANCEL) or the connection closed.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(limits().write))]
    write_timeout: NonZeroU64,

    /// How long a client may send a request's body more slowly than --min-rate while the handler
    /// waits for it; then the response is 408.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(limits().body))]
    body_timeout: NonZeroU64,

    /// The least rate at which clients have to receive or send, bytes per second, on average over
    /// --write-timeout and --body-timeout; with 0 any byte counts as progress.
    #[arg(long, value_name = "BYTES", default_value_t = limits().min_rate)]
    min_rate: u32,

    /// Send PING to clients that have been silent for this long while a request is open. [default:
    /// never, TCP keep-alive is on]
    #[arg(long, value_name = "SECONDS")]
    keep_alive: Option<NonZeroU64>,

    /// How long a client may take to answer that PING; then the connection is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(limits().keep_alive_timeout))]
    keep_alive_timeout: NonZeroU64,

    /// Open requests per connection; one more is refused (REFUSED_STREAM).
    #[arg(long, value_name = "N", default_value_t = http2().max_concurrent_streams)]
    max_streams: u32,

    /// Largest header list of a request, bytes; the response to a larger one is 431.
    #[arg(long, value_name = "BYTES", default_value_t = http2().max_header_list_size)]
    max_header_list: u32,

    /// Largest body of a request, bytes; the response to a larger one is 413. [default: any size]
    #[arg(long, value_name = "BYTES")]
    max_request_body: Option<u64>,

    /// Largest frame that clients may send, bytes; a larger one ends the connection
    /// (FRAME_SIZE_ERROR).
    #[arg(long, value_name = "BYTES", default_value_t = http2().max_frame_size)]
    max_frame: u32,

    /// How much of one request's body a client may send before the handler reads it, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = http2().initial_stream_window_size)]
    stream_window: u32,

    /// How much of all bodies of a connection a client may send before they are read, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = http2().initial_connection_window_size)]
    connection_window: u32,

    /// How much of its responses a connection buffers, bytes; then response bodies wait.
    #[arg(long, value_name = "BYTES", default_value_t = http2().max_send_buffer_size)]
    max_send_buffer: usize,

    /// Frames that a client may send within 10 s beyond those that its requests need. After 1,000 it
    /// is slowed down; at the limit the connection is closed (ENHANCE_YOUR_CALM).
    #[arg(long, value_name = "N", default_value_t = http2().max_extra_frames)]
    max_extra_frames: u32,

    /// Requests that a client may cancel within 10 s beyond those that were answered; then the
    /// connection is closed (ENHANCE_YOUR_CALM).
    #[arg(long, value_name = "N", default_value_t = http2().max_early_resets)]
    max_early_resets: u32,

    /// How long requests in flight may take after SIGINT or SIGTERM; then they are dropped.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(SHUTDOWN_DEADLINE))]
    shutdown_timeout: NonZeroU64,
}

impl LimitArgs {
    pub(crate) fn set(&self, builder: Builder) -> Builder {
        builder
            .max_connections(self.max_connections.get())
            .max_handshakes(self.max_handshakes.get())
            .limits(self.limits())
            .http2(self.http2())
    }

    pub(crate) fn shutdown_deadline(&self) -> Duration {
        duration(self.shutdown_timeout)
    }

    fn limits(&self) -> Limits {
        Limits::default()
            .handshake(duration(self.handshake_timeout))
            .idle(duration(self.idle_timeout))
            .head(duration(self.head_timeout))
            .write(duration(self.write_timeout))
            .body(duration(self.body_timeout))
            .min_rate(self.min_rate)
            .keep_alive_interval(self.keep_alive.map(duration))
            .keep_alive_timeout(duration(self.keep_alive_timeout))
    }

    fn http2(&self) -> Http2Config {
        Http2Config::default()
            .max_concurrent_streams(self.max_streams)
            .max_header_list_size(self.max_header_list)
            .max_request_body_size(self.max_request_body)
            .max_frame_size(self.max_frame)
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .max_send_buffer_size(self.max_send_buffer)
            .max_extra_frames(self.max_extra_frames)
            .max_early_resets(self.max_early_resets)
    }
}

fn limits() -> Limits {
    Limits::default()
}

fn http2() -> Http2Config {
    Http2Config::default()
}

/// Names the flag in a message of the library that begins with the name of its field, as in
/// `max_frame_size is 1` or `groups: x448 is listed twice`, or with a CPU.
pub(crate) fn name_flag(message: String) -> String {
    const FIELDS: [(&str, &str); 17] = [
        ("handshake", "--handshake-timeout"),
        ("idle", "--idle-timeout"),
        ("head", "--head-timeout"),
        ("write", "--write-timeout"),
        ("body", "--body-timeout"),
        ("min_rate", "--min-rate"),
        ("keep_alive_interval", "--keep-alive"),
        ("keep_alive_timeout", "--keep-alive-timeout"),
        ("initial_stream_window_size", "--stream-window"),
        ("initial_connection_window_size", "--connection-window"),
        ("max_frame_size", "--max-frame"),
        ("max_concurrent_streams", "--max-streams"),
        ("max_header_list_size", "--max-header-list"),
        ("max_request_body_size", "--max-request-body"),
        ("max_extra_frames", "--max-extra-frames"),
        ("max_early_resets", "--max-early-resets"),
        ("max_send_buffer_size", "--max-send-buffer"),
    ];
    let text = message.trim_start_matches("Http2Config::");
    let text = text.trim_start_matches("Limits::");
    let named = FIELDS.iter().find_map(|(field, flag)| {
        let rest = text.strip_prefix(field)?;
        rest.starts_with(" is ").then(|| format!("{flag}{rest}"))
    });
    const BEGINNINGS: [(&str, &str); 3] = [
        ("CPU ", "--cpus: CPU "),
        ("cipher_suites: ", "--ciphers: "),
        ("groups: ", "--groups: "),
    ];
    named.unwrap_or_else(|| {
        let named = BEGINNINGS.iter().find_map(|(beginning, flag)| {
            let rest = message.strip_prefix(beginning)?;
            Some(format!("{flag}{rest}"))
        });
        named.unwrap_or(message)
    })
}

/// The library's defaults are not 0.
fn count(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN)
}

/// The library's defaults are whole seconds.
fn seconds(limit: Duration) -> NonZeroU64 {
    NonZeroU64::new(limit.as_secs()).unwrap_or(NonZeroU64::MIN)
}

fn duration(seconds: NonZeroU64) -> Duration {
    Duration::from_secs(seconds.get())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args;

    fn parse(flags: &[(&str, &str)]) -> LimitArgs {
        let flags = flags.iter().flat_map(|(flag, value)| [*flag, *value]);
        let args = args::Args::try_parse_from(["corelane"].into_iter().chain(flags));
        args.expect("accepted").limits
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let args = parse(&[]);
        let debug = |what: &dyn std::fmt::Debug| format!("{what:?}");
        assert_eq!(debug(&args.limits()), debug(&Limits::default()));
        assert_eq!(debug(&args.http2()), debug(&Http2Config::default()));
        assert_eq!(args.max_connections.get(), MAX_CONNECTIONS);
        assert_eq!(args.max_handshakes.get(), MAX_HANDSHAKES);
        assert_eq!(args.shutdown_deadline(), SHUTDOWN_DEADLINE);
    }

    /// Each flag has a different value, so that the test detects mixed-up flags.
    #[test]
    fn every_flag_sets_its_limit() {
        let args = parse(&[
            ("--max-connections", "1"),
            ("--max-handshakes", "2"),
            ("--handshake-timeout", "3"),
            ("--idle-timeout", "4"),
            ("--write-timeout", "5"),
            ("--body-timeout", "6"),
            ("--min-rate", "7"),
            ("--keep-alive", "8"),
            ("--keep-alive-timeout", "9"),
            ("--max-streams", "10"),
            ("--max-header-list", "11"),
            ("--max-request-body", "12"),
            ("--max-frame", "13"),
            ("--stream-window", "14"),
            ("--connection-window", "15"),
            ("--max-send-buffer", "16"),
            ("--max-extra-frames", "17"),
            ("--max-early-resets", "18"),
            ("--shutdown-timeout", "19"),
            ("--head-timeout", "20"),
        ]);
        let (limits, http2) = (args.limits(), args.http2());
        assert_eq!(args.max_connections.get(), 1);
        assert_eq!(args.max_handshakes.get(), 2);
        assert_eq!(limits.handshake.as_secs(), 3);
        assert_eq!(limits.idle.as_secs(), 4);
        assert_eq!(limits.head.as_secs(), 20);
        assert_eq!(limits.write.as_secs(), 5);
        assert_eq!(limits.body.as_secs(), 6);
        assert_eq!(limits.min_rate, 7);
        assert_eq!(limits.keep_alive_interval, Some(Duration::from_secs(8)));
        assert_eq!(limits.keep_alive_timeout.as_secs(), 9);
        assert_eq!(http2.max_concurrent_streams, 10);
        assert_eq!(http2.max_header_list_size, 11);
        assert_eq!(http2.max_request_body_size, Some(12));
        assert_eq!(http2.max_frame_size, 13);
        assert_eq!(http2.initial_stream_window_size, 14);
        assert_eq!(http2.initial_connection_window_size, 15);
        assert_eq!(http2.max_send_buffer_size, 16);
        assert_eq!(http2.max_extra_frames, 17);
        assert_eq!(http2.max_early_resets, 18);
        assert_eq!(args.shutdown_deadline().as_secs(), 19);
    }

    #[test]
    fn messages_name_the_flag() {
        let message = "Http2Config::max_frame_size is 1, it must be from 16384 to 16777215";
        let named = name_flag(message.into());
        assert_eq!(named, "--max-frame is 1, it must be from 16384 to 16777215");
        let named = name_flag("CPU 9 is not there".into());
        assert_eq!(named, "--cpus: CPU 9 is not there");
        let named = name_flag("cipher_suites: none is of TLS 1.3".into());
        assert_eq!(named, "--ciphers: none is of TLS 1.3");
        let named = name_flag("groups: x448 is listed twice".into());
        assert_eq!(named, "--groups: x448 is listed twice");
        assert_eq!(name_flag("no address".into()), "no address");
    }

    #[test]
    fn every_limit_of_a_message_has_a_flag() {
        let command = args::Args::command();
        let flags: Vec<_> = command
            .get_arguments()
            .filter_map(|it| it.get_long())
            .collect();
        for limit in corelane::reference::LIMITS.into_iter().flatten() {
            if !["Limits", "Http2Config"].contains(&limit.owner) {
                continue;
            }
            let named = name_flag(format!("{}::{} is 1", limit.owner, limit.name));
            let flag = named
                .strip_prefix("--")
                .and_then(|it| it.strip_suffix(" is 1"));
            assert!(flag.is_some_and(|it| flags.contains(&it)), "{named}");
        }
    }

    /// 1 for `1`, 16384 for `16 KiB`, 10 for `10 s`.
    fn number(text: &str) -> Option<u64> {
        let text = text.replace(',', "");
        let mut words = text.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        Some(match words.next() {
            Some("KiB") => number << 10,
            Some("MiB") => number << 20,
            _ => number,
        })
    }

    #[test]
    fn the_documentation_lists_every_flag_and_its_default() {
        let table = include_str!("../../docs/limits.md");
        let mut documented: Vec<_> = table
            .lines()
            .filter_map(|line| {
                let cells: Vec<_> = line.split('|').map(str::trim).collect();
                let flag = cells.get(2)?.strip_prefix("`--")?.strip_suffix('`')?;
                Some((flag.to_owned(), number(cells[3])))
            })
            .collect();
        let command = args::Args::command();
        let flags = command.get_arguments();
        let flags = flags.filter(|arg| arg.get_help_heading() == Some("Limits"));
        let mut flags: Vec<_> = flags
            .map(|arg| {
                let default = arg.get_default_values().first();
                let default = default.and_then(|default| number(default.to_str()?));
                (arg.get_long().unwrap_or_default().to_owned(), default)
            })
            .collect();
        documented.sort();
        flags.sort();
        assert_eq!(documented, flags);
    }
}
