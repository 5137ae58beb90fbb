//! The limits of the command line: every one that the library has, with its default.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use clap::Args;
use corelane::{Builder, Http2Config, Limits, MAX_CONNECTIONS, MAX_HANDSHAKES, SHUTDOWN_DEADLINE};

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Connections that each worker has open at once; one more is closed.
    #[arg(long, value_name = "N", default_value_t = MAX_CONNECTIONS)]
    max_connections: NonZeroUsize,

    /// Handshakes that each worker has under way at once; one more ends the oldest.
    #[arg(long, value_name = "N", default_value_t = MAX_HANDSHAKES)]
    max_handshakes: NonZeroUsize,

    /// How long a handshake may take, TLS and HTTP/2's together; then the connection is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(Limits::HANDSHAKE))]
    handshake_timeout: NonZeroU64,

    /// How long a connection may stand open without a request; then it is ended by GOAWAY.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(Limits::IDLE))]
    idle_timeout: NonZeroU64,

    /// How long a client may take less of a response than --min-rate; then the request is reset
    /// (CANCEL) or the connection closed.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(Limits::WRITE))]
    write_timeout: NonZeroU64,

    /// How long a client may send less of a request's body than --min-rate while the handler waits
    /// for it; then the request is answered 408.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(Limits::BODY))]
    body_timeout: NonZeroU64,

    /// The least that clients have to take or send, bytes per second, on average over
    /// --write-timeout and --body-timeout; 0: every byte will do.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::MIN_RATE)]
    min_rate: u32,

    /// Ask clients by PING that have been silent for so long while a request is open. [default:
    /// never, as TCP does]
    #[arg(long, value_name = "SECONDS")]
    keep_alive: Option<NonZeroU64>,

    /// How long a client may be silent after that PING; then the connection is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(Limits::KEEP_ALIVE_TIMEOUT))]
    keep_alive_timeout: NonZeroU64,

    /// Requests that a connection may have open at once; one more is refused (REFUSED_STREAM).
    #[arg(long, value_name = "N", default_value_t = http2().max_concurrent_streams)]
    max_streams: u32,

    /// Largest header list of a request, bytes; a larger one is answered 431.
    #[arg(long, value_name = "BYTES", default_value_t = http2().max_header_list_size)]
    max_header_list: u32,

    /// Largest body of a request, bytes; a larger one is answered 413. [default: any size]
    #[arg(long, value_name = "BYTES")]
    max_request_body: Option<u64>,

    /// Largest frame that clients may send, bytes; a larger one ends the connection
    /// (FRAME_SIZE_ERROR).
    #[arg(long, value_name = "BYTES", default_value_t = http2().max_frame_size)]
    max_frame: u32,

    /// What a client may send of one request's body before it is read, bytes; then it has to wait.
    #[arg(long, value_name = "BYTES", default_value_t = http2().initial_stream_window_size)]
    stream_window: u32,

    /// The same for all bodies of a connection together, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = http2().initial_connection_window_size)]
    connection_window: u32,

    /// What may wait to be sent on a connection, bytes; then responses are produced no further.
    #[arg(long, value_name = "BYTES", default_value_t = http2().max_send_buffer_size)]
    max_send_buffer: usize,

    /// Frames that a client may send within 10 s beyond those that its requests account for; behind
    /// 1,000 it is slowed down, then the connection is ended (ENHANCE_YOUR_CALM).
    #[arg(long, value_name = "N", default_value_t = http2().max_extra_frames)]
    max_extra_frames: u32,

    /// Requests that a client may take back within 10 s beyond those that were answered; then the
    /// connection is ended (ENHANCE_YOUR_CALM).
    #[arg(long, value_name = "N", default_value_t = http2().max_early_resets)]
    max_early_resets: u32,

    /// How long requests in flight may take after SIGINT or SIGTERM; then they are cut off.
    #[arg(long, value_name = "SECONDS", default_value_t = seconds(SHUTDOWN_DEADLINE))]
    shutdown_timeout: NonZeroU64,
}

impl LimitArgs {
    pub(crate) fn set(&self, builder: Builder) -> Builder {
        builder
            .max_connections(self.max_connections)
            .max_handshakes(self.max_handshakes)
            .limits(self.limits())
            .http2(self.http2())
    }

    pub(crate) fn shutdown_deadline(&self) -> Duration {
        duration(self.shutdown_timeout)
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.handshake = duration(self.handshake_timeout);
        limits.idle = duration(self.idle_timeout);
        limits.write = duration(self.write_timeout);
        limits.body = duration(self.body_timeout);
        limits.min_rate = self.min_rate;
        limits.keep_alive_interval = self.keep_alive.map(duration);
        limits.keep_alive_timeout = duration(self.keep_alive_timeout);
        limits
    }

    fn http2(&self) -> Http2Config {
        let mut http2 = http2();
        http2.max_concurrent_streams = self.max_streams;
        http2.max_header_list_size = self.max_header_list;
        http2.max_request_body_size = self.max_request_body;
        http2.max_frame_size = self.max_frame;
        http2.initial_stream_window_size = self.stream_window;
        http2.initial_connection_window_size = self.connection_window;
        http2.max_send_buffer_size = self.max_send_buffer;
        http2.max_extra_frames = self.max_extra_frames;
        http2.max_early_resets = self.max_early_resets;
        http2
    }
}

fn http2() -> Http2Config {
    Http2Config::default()
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
    fn without_flags_all_is_as_the_library_has_it() {
        let args = parse(&[]);
        let debug = |what: &dyn std::fmt::Debug| format!("{what:?}");
        assert_eq!(debug(&args.limits()), debug(&Limits::default()));
        assert_eq!(debug(&args.http2()), debug(&Http2Config::default()));
        assert_eq!(args.max_connections, MAX_CONNECTIONS);
        assert_eq!(args.max_handshakes, MAX_HANDSHAKES);
        assert_eq!(args.shutdown_deadline(), SHUTDOWN_DEADLINE);
    }

    /// Each with a value of its own, so that none can stand for another.
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
        ]);
        let (limits, http2) = (args.limits(), args.http2());
        assert_eq!(args.max_connections.get(), 1);
        assert_eq!(args.max_handshakes.get(), 2);
        assert_eq!(limits.handshake.as_secs(), 3);
        assert_eq!(limits.idle.as_secs(), 4);
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
    fn the_table_in_the_documentation_has_every_flag_and_its_default() {
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
