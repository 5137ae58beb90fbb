//! What the workers have counted, for whichever recorder of the crate metrics is there.

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{
    counters::WorkerCounters,
    server::{Handle, Observer},
};

impl Handle {
    /// [`Observer::record_metrics`], for who holds the server.
    pub fn record_metrics(&self) {
        self.observer().record_metrics();
    }
}

impl Observer {
    /// Publishes what the workers have counted so far, with descriptions and units, to the recorder
    /// of the crate metrics: the global one, or that of `metrics::with_local_recorder`. Feature
    /// `metrics`.
    ///
    /// To be called whenever somebody looks, as before each answer to Prometheus, or every few
    /// seconds. The workers take no part in it: they count as they do without this feature, and
    /// between two calls nothing is published. Each value is one worker's, told by the label
    /// `worker`; docs/metrics.md in the repository has all names and labels.
    pub fn record_metrics(&self) {
        for status in self.workers() {
            let info = status.info;
            let worker = Label::new("worker", info.index.to_string());
            let cpu = info.cpu.map(|cpu| cpu.to_string()).unwrap_or_default();
            let about = [
                worker.clone(),
                Label::new("cpu", cpu),
                Label::new("driver", info.driver.to_string()),
            ];
            Publisher(&about).gauge(
                "corelane_worker_info",
                "Always 1: the labels name the worker's driver and its CPU, empty if not pinned.",
                1,
            );
            let backend = Label::from_static_parts("backend", self.backend());
            publish(
                &Publisher(std::slice::from_ref(&worker)),
                &Publisher(&[worker.clone(), backend]),
                status.counters,
            );
        }
    }
}

fn publish(worker: &Publisher<'_>, handshakes: &Publisher<'_>, counters: WorkerCounters) {
    // Without `..`: what is counted is published.
    let WorkerCounters {
        connections_accepted,
        connections_refused,
        connections_closed,
        handshakes_completed,
        handshakes_tls_1_2,
        handshakes_tls_1_3,
        handshakes_failed,
        alpn_refused,
        alpn_disagreements,
        handshakes_timed_out,
        handshakes_displaced,
        plain_http_refused,
        proxy_headers_refused,
        sessions_resumed,
        requests,
        requests_answered,
        requests_abandoned,
        handler_panics,
        handler_errors,
        streams_stalled,
        request_bodies_too_large,
        keep_alive_timeouts,
        bodies_timed_out,
        floods,
        connections_held_back,
        frame_floods,
        reset_floods,
        connections_failed,
        connections_truncated,
        connection_panics,
        accept_errors,
        bytes_received,
        bytes_sent,
    } = counters;

    worker.gauge(
        "corelane_connections_open",
        "Connections that are open.",
        counters.connections_open(),
    );
    worker.counter(
        "corelane_connections_accepted_total",
        "Connections accepted from the listeners.",
        connections_accepted,
    );
    worker.counter(
        "corelane_connections_refused_total",
        "Connections closed as soon as they were accepted, as there were too many; not among those accepted.",
        connections_refused,
    );
    worker.counter(
        "corelane_connections_closed_total",
        "Connections that have ended, for whatever reason.",
        connections_closed,
    );
    worker.counter(
        "corelane_connections_failed_total",
        "Connections that ended with an error behind the handshake.",
        connections_failed,
    );
    worker.counter(
        "corelane_connections_truncated_total",
        "Connections that the peer ended without close_notify; no failure by itself.",
        connections_truncated,
    );
    worker.counter(
        "corelane_connection_panics_total",
        "Connections whose task panicked: a bug.",
        connection_panics,
    );
    worker.counter(
        "corelane_accept_errors_total",
        "Failed calls of accept, for instance for want of file descriptors.",
        accept_errors,
    );
    worker.counter(
        "corelane_keep_alive_timeouts_total",
        "Connections that answered no PING in time.",
        keep_alive_timeouts,
    );
    worker.counters(
        "corelane_floods_total",
        "Connections ended with ENHANCE_YOUR_CALM, by what there was too much of (other: of what crate h2 judges itself).",
        "kind",
        &[
            ("frames", frame_floods),
            ("resets", reset_floods),
            ("other", rest(floods, &[frame_floods, reset_floods])),
        ],
    );
    worker.counter(
        "corelane_connections_held_back_total",
        "Connections that were read no faster than the limits on frames allow, for a while at least.",
        connections_held_back,
    );
    worker.counter_in(
        Unit::Bytes,
        "corelane_received_bytes_total",
        "Bytes received, as they were on the wire, except for those of handshakes that failed.",
        bytes_received,
    );
    worker.counter_in(
        Unit::Bytes,
        "corelane_sent_bytes_total",
        "Bytes sent, as they were on the wire, except for those of handshakes that failed.",
        bytes_sent,
    );

    handshakes.counters(
        "corelane_handshakes_completed_total",
        "Handshakes completed, by TLS version; without TLS: connections begun.",
        "version",
        &[
            ("1.2", handshakes_tls_1_2),
            ("1.3", handshakes_tls_1_3),
            (
                "none",
                rest(
                    handshakes_completed,
                    &[handshakes_tls_1_2, handshakes_tls_1_3],
                ),
            ),
        ],
    );
    let reasons = [
        ("alpn", alpn_refused),
        ("alpn_disagreement", alpn_disagreements),
        ("timeout", handshakes_timed_out),
        ("plain_http", plain_http_refused),
        ("proxy_header", proxy_headers_refused),
    ];
    let other = rest(handshakes_failed, &reasons.map(|(_, count)| count));
    handshakes.counters(
        "corelane_handshakes_failed_total",
        "Handshakes that failed, by reason; alpn: no common protocol, answered by the alert no_application_protocol.",
        "reason",
        &[&reasons[..], &[("other", other)]].concat(),
    );
    handshakes.counter(
        "corelane_handshakes_displaced_total",
        "Connections given up before their HTTP/2 preface for newer ones, as there were too many.",
        handshakes_displaced,
    );
    handshakes.counter(
        "corelane_sessions_resumed_total",
        "Handshakes completed that resumed an earlier session.",
        sessions_resumed,
    );

    let outcomes = [
        ("answered", requests_answered),
        ("abandoned", requests_abandoned),
        ("error", handler_errors),
        ("panic", handler_panics),
        ("stalled", streams_stalled),
    ];
    worker.gauge(
        "corelane_requests_in_flight",
        "Requests that have begun and not ended.",
        counters.requests_in_flight(),
    );
    worker.counter(
        "corelane_requests_total",
        "Requests given to the service.",
        requests,
    );
    worker.counters(
        "corelane_requests_ended_total",
        "Requests that have ended, by outcome; abandoned: by the client, stalled: for want of window.",
        "outcome",
        &outcomes,
    );
    worker.counter(
        "corelane_request_bodies_too_large_total",
        "Requests answered 413, or cut off, for the size of their bodies.",
        request_bodies_too_large,
    );
    worker.counter(
        "corelane_request_bodies_timed_out_total",
        "Requests answered 408, as their bodies did not come in, or too slowly.",
        bodies_timed_out,
    );
}

/// What is in the whole and in none of its parts. A worker counts the part before the whole, and
/// the whole was read before its parts: this is never too large.
fn rest(whole: u64, parts: &[u64]) -> u64 {
    parts
        .iter()
        .fold(whole, |rest, part| rest.saturating_sub(*part))
}

/// Metrics with these labels.
struct Publisher<'a>(&'a [Label]);

impl Publisher<'_> {
    fn counter(&self, name: &'static str, help: &'static str, value: u64) {
        self.counter_in(Unit::Count, name, help, value);
    }

    fn counter_in(&self, unit: Unit, name: &'static str, help: &'static str, value: u64) {
        describe_counter!(name, unit, help);
        counter!(name, self.0.to_vec()).absolute(value);
    }

    /// One counter with a value for each value of a label.
    fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: &[(&'static str, u64)],
    ) {
        for (value, count) in values {
            let mut labels = self.0.to_vec();
            labels.push(Label::from_static_parts(label, value));
            Publisher(&labels).counter(name, help, *count);
        }
    }

    fn gauge(&self, name: &'static str, help: &'static str, value: u64) {
        describe_gauge!(name, Unit::Count, help);
        // Exact up to 2^53, far more than there can be of anything.
        gauge!(name, self.0.to_vec()).set(value as f64);
    }
}
