//! The metrics made of the counters, for feature `metrics` and docs/metrics.md.

use super::worker::{HELP, WorkerCounters};

/// A metric of a worker, as feature `metrics` publishes it and docs/metrics.md lists it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
    /// Whether it has the label `backend` beside `worker`.
    pub by_backend: bool,
    /// The label that tells the values apart; empty if there is one value.
    pub label: &'static str,
    /// Each value of the label, and the counter behind it.
    pub values: Values,
}

type Values = &'static [(&'static str, fn(&WorkerCounters) -> u64)];

#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Gauge,
    Counter,
    /// A counter of bytes.
    Bytes,
}

const fn metric(
    name: &'static str,
    kind: MetricKind,
    help: &'static str,
    values: Values,
) -> Metric {
    Metric {
        name,
        kind,
        help,
        by_backend: false,
        label: "",
        values,
    }
}

impl Metric {
    const fn by(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    const fn by_backend(mut self) -> Self {
        self.by_backend = true;
        self
    }
}

/// The metrics of each worker, in the order of docs/metrics.md.
#[doc(hidden)]
pub const METRICS: &[Metric] = {
    use self::MetricKind::{Bytes, Counter, Gauge};
    &[
        metric(
            "corelane_connections_open",
            Gauge,
            "Connections that are open.",
            &[("", WorkerCounters::connections_open)],
        ),
        metric(
            "corelane_connections_accepted_total",
            Counter,
            HELP.connections_accepted,
            &[("", |c| c.connections_accepted)],
        ),
        metric(
            "corelane_connections_refused_total",
            Counter,
            HELP.connections_refused,
            &[("", |c| c.connections_refused)],
        ),
        metric(
            "corelane_connections_closed_total",
            Counter,
            HELP.connections_closed,
            &[("", |c| c.connections_closed)],
        ),
        metric(
            "corelane_connections_failed_total",
            Counter,
            HELP.connections_failed,
            &[("", |c| c.connections_failed)],
        ),
        metric(
            "corelane_connections_truncated_total",
            Counter,
            HELP.connections_truncated,
            &[("", |c| c.connections_truncated)],
        ),
        metric(
            "corelane_connection_panics_total",
            Counter,
            HELP.connection_panics,
            &[("", |c| c.connection_panics)],
        ),
        metric(
            "corelane_accept_errors_total",
            Counter,
            HELP.accept_errors,
            &[("", |c| c.accept_errors)],
        ),
        metric(
            "corelane_keep_alive_timeouts_total",
            Counter,
            HELP.keep_alive_timeouts,
            &[("", |c| c.keep_alive_timeouts)],
        ),
        metric(
            "corelane_connections_held_back_total",
            Counter,
            HELP.connections_held_back,
            &[("", |c| c.connections_held_back)],
        ),
        metric(
            "corelane_floods_total",
            Counter,
            "Connections ended with ENHANCE_YOUR_CALM, by cause; other: a limit of the implementation of HTTP/2.",
            &[
                ("frames", |c| c.frame_floods),
                ("resets", |c| c.reset_floods),
                ("other", |c| rest(c.floods, &[c.frame_floods, c.reset_floods])),
            ],
        )
        .by("kind"),
        metric(
            "corelane_received_bytes_total",
            Bytes,
            HELP.bytes_received,
            &[("", |c| c.bytes_received)],
        ),
        metric(
            "corelane_sent_bytes_total",
            Bytes,
            HELP.bytes_sent,
            &[("", |c| c.bytes_sent)],
        ),
        metric(
            "corelane_handshakes_completed_total",
            Counter,
            "Handshakes completed, by TLS version; none: without TLS, or the backend does not report it.",
            &[
                ("1.2", |c| c.handshakes_tls_1_2),
                ("1.3", |c| c.handshakes_tls_1_3),
                ("none", |c| {
                    rest(
                        c.handshakes_completed,
                        &[c.handshakes_tls_1_2, c.handshakes_tls_1_3],
                    )
                }),
            ],
        )
        .by("version")
        .by_backend(),
        metric(
            "corelane_key_exchanges_total",
            Counter,
            "Handshakes completed, by key exchange group; none: no key exchange, or the backend does not report it.",
            &[
                ("x25519mlkem768", |c| c.key_exchanges_x25519mlkem768),
                ("x25519", |c| c.key_exchanges_x25519),
                ("secp256r1", |c| c.key_exchanges_secp256r1),
                ("secp384r1", |c| c.key_exchanges_secp384r1),
                ("other", |c| c.key_exchanges_other),
                ("none", |c| {
                    let groups = [
                        c.key_exchanges_x25519mlkem768,
                        c.key_exchanges_x25519,
                        c.key_exchanges_secp256r1,
                        c.key_exchanges_secp384r1,
                        c.key_exchanges_other,
                    ];
                    rest(c.handshakes_completed, &groups)
                }),
            ],
        )
        .by("group")
        .by_backend(),
        metric(
            "corelane_handshakes_failed_total",
            Counter,
            "Handshakes that failed, by reason; alpn: no common protocol; closed: before the first byte.",
            &[
                ("alpn", |c| c.alpn_refused),
                ("alpn_disagreement", |c| c.alpn_disagreements),
                ("timeout", |c| c.handshakes_timed_out),
                ("plain_http", |c| c.plain_http_refused),
                ("closed", |c| c.handshakes_not_begun),
                ("not_tls", |c| c.not_tls_refused),
                ("client_certificate", |c| c.client_certificates_refused),
                ("proxy_header", |c| c.proxy_headers_refused),
                ("other", |c| {
                    let reasons = [
                        c.handshakes_not_begun,
                        c.not_tls_refused,
                        c.client_certificates_refused,
                        c.alpn_refused,
                        c.alpn_disagreements,
                        c.handshakes_timed_out,
                        c.plain_http_refused,
                        c.proxy_headers_refused,
                    ];
                    rest(c.handshakes_failed, &reasons)
                }),
            ],
        )
        .by("reason")
        .by_backend(),
        metric(
            "corelane_handshakes_displaced_total",
            Counter,
            HELP.handshakes_displaced,
            &[("", |c| c.handshakes_displaced)],
        )
        .by_backend(),
        metric(
            "corelane_sessions_resumed_total",
            Counter,
            HELP.sessions_resumed,
            &[("", |c| c.sessions_resumed)],
        )
        .by_backend(),
        metric(
            "corelane_requests_in_flight",
            Gauge,
            "Requests that have begun and not ended.",
            &[("", WorkerCounters::requests_in_flight)],
        ),
        metric(
            "corelane_requests_total",
            Counter,
            "Requests given to the service, by version of HTTP.",
            &[
                ("1.1", |c| c.requests_http1),
                ("2", |c| rest(c.requests, &[c.requests_http1])),
            ],
        )
        .by("version"),
        metric(
            "corelane_requests_malformed_total",
            Counter,
            HELP.requests_malformed,
            &[("", |c| c.requests_malformed)],
        ),
        metric(
            "corelane_request_heads_timed_out_total",
            Counter,
            HELP.heads_timed_out,
            &[("", |c| c.heads_timed_out)],
        ),
        metric(
            "corelane_requests_ended_total",
            Counter,
            "Requests that have ended, by outcome; abandoned: by the client; stalled: it granted no window.",
            &[
                ("answered", |c| c.requests_answered),
                ("abandoned", |c| c.requests_abandoned),
                ("error", |c| c.handler_errors),
                ("panic", |c| c.handler_panics),
                ("stalled", |c| c.streams_stalled),
            ],
        )
        .by("outcome"),
        metric(
            "corelane_responses_total",
            Counter,
            "Responses whose head was sent, by class of their status.",
            &[
                ("2xx", |c| c.responses_2xx),
                ("3xx", |c| c.responses_3xx),
                ("4xx", |c| c.responses_4xx),
                ("5xx", |c| c.responses_5xx),
                ("other", |c| c.responses_other),
            ],
        )
        .by("class"),
        metric(
            "corelane_upgrades_open",
            Gauge,
            "Upgraded streams that are open.",
            &[("", WorkerCounters::upgrades_open)],
        ),
        metric(
            "corelane_upgrades_total",
            Counter,
            HELP.upgrades,
            &[("", |c| c.upgrades)],
        ),
        metric(
            "corelane_upgrades_ended_total",
            Counter,
            HELP.upgrades_ended,
            &[("", |c| c.upgrades_ended)],
        ),
        metric(
            "corelane_request_bodies_too_large_total",
            Counter,
            HELP.request_bodies_too_large,
            &[("", |c| c.request_bodies_too_large)],
        ),
        metric(
            "corelane_request_bodies_timed_out_total",
            Counter,
            HELP.bodies_timed_out,
            &[("", |c| c.bodies_timed_out)],
        ),
    ]
};

/// The part of a whole that none of its parts counts. It is never too large: a worker counts the
/// part before the whole, and `read` reads the whole before its parts.
fn rest(whole: u64, parts: &[u64]) -> u64 {
    parts
        .iter()
        .fold(whole, |rest, part| rest.saturating_sub(*part))
}

#[cfg(test)]
mod tests {
    use super::{super::worker::FIELDS, *};

    #[test]
    fn every_counter_is_part_of_a_metric() {
        let published = |counters: &WorkerCounters| -> Vec<u64> {
            let values = METRICS.iter().flat_map(|metric| metric.values);
            values.map(|(_, value)| value(counters)).collect()
        };
        let none = published(&WorkerCounters::default());
        for (name, field) in FIELDS {
            let mut counters = WorkerCounters::default();
            *field(&mut counters) = 1;
            let counted = published(&counters);
            let more = none
                .iter()
                .zip(&counted)
                .any(|(none, counted)| counted > none);
            assert!(more, "no metric shows {name}");
        }
    }

    #[test]
    fn help_texts_are_one_sentence() {
        for metric in METRICS {
            let help = metric.help;
            assert!(help.ends_with('.'), "{}: {help:?}", metric.name);
            assert_eq!(metric.values.len() > 1, !metric.label.is_empty());
        }
    }
}
