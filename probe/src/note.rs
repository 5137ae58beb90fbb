//! The remark on a server as a whole.

use corelane::ProtocolName;

use super::{
    alerts::{self, NamedAlert},
    client::Client,
    outcome::Outcome,
    registry,
    report::{Report, Row},
};

impl Report {
    /// A remark on the server as a whole, if any.
    pub fn note(&self) -> Option<String> {
        if let Some(what) = self.not_tls() {
            return Some(format!(
                "This port does not speak TLS (it answered `{what}`): is it the right one? \
                 STARTTLS is not supported."
            ));
        }
        if !self.is_reachable() {
            return Some("The server does not answer.".into());
        }
        if self.is_stalled() {
            return Some("The server stopped answering: no more offers were made.".into());
        }
        let clients = self.without_handshake();
        if !clients.is_empty() {
            return Some(self.why_no_handshake(&clients));
        }
        self.about_alpn()
    }

    /// What the server knows of ALPN, if that is not `h2`.
    fn about_alpn(&self) -> Option<String> {
        let offered = || {
            let made = self.rows.iter();
            made.filter(|row| !row.offer.protocols().is_empty() && row.offer.version().is_none())
        };
        let mut chosen = self.rows.iter().filter_map(Row::chosen);
        if chosen.clone().any(|name| *name == ProtocolName::H2) {
            return None;
        }
        if let Some(name) = chosen.next() {
            let mut h2 = offered().filter(|row| row.offer.protocols() == [ProtocolName::H2]);
            return h2.any(lacks_the_offered).then(|| {
                format!(
                    "The server knows ALPN, but not h2: it chose {name}, where that was offered."
                )
            });
        }
        let all = |is: fn(&Outcome) -> bool| {
            offered().next().is_some() && offered().all(|row| is(&row.outcome))
        };
        if all(|it| *it == Outcome::Alert(alerts::NO_APPLICATION_PROTOCOL)) {
            return Some(
                "The server knows ALPN, but none of the protocols that were offered.".into(),
            );
        }
        if !offered().any(|row| matches!(row.outcome, Outcome::Negotiated { .. })) {
            return None;
        }
        let others = offered().any(|row| {
            registry::is_of_others(&row.offer) && matches!(row.outcome, Outcome::Negotiated { .. })
        });
        Some(match others {
            true => {
                "The server ignores ALPN: it chose none of the registered protocols. RFC 7301 allows \
                 that, but HTTP/2 cannot be negotiated."
            }
            false => {
                "The server chose none of the protocols that were offered: it ignores ALPN, or knows \
                 others only. HTTP/2 cannot be negotiated."
            }
        }
        .into())
    }

    fn why_no_handshake(&self, clients: &[Client]) -> String {
        let theirs = |row: &&Row| clients.contains(&row.client);
        let mut outcomes = self.rows.iter().filter(theirs).map(|row| &row.outcome);
        let all = |alert| outcomes.clone().all(|it| *it == Outcome::Alert(alert));
        if all(alerts::NO_APPLICATION_PROTOCOL) {
            return "The server accepted no offer: is `h2` or `http/1.1` configured?".into();
        }
        if all(alerts::UNRECOGNIZED_NAME) {
            let name = &self.server_name;
            return format!(
                "The server does not know the name {name}: give another (--servername)."
            );
        }
        if let Some(alert) = self.client_certificate_alert {
            return format!(
                "The server requires a client certificate (alert {}): give one that it accepts \
                 (--client-cert and --client-key).",
                NamedAlert(alert)
            );
        }
        let names: Vec<_> = clients.iter().map(ToString::to_string).collect();
        let names = names.join(" and ");
        if let Some(why) = outcomes.find_map(Outcome::client_limit) {
            return format!("{names} cannot complete a handshake with this server: {why}.");
        }
        format!("{names} completed no handshake, so the answers say little about ALPN.")
    }
}

/// Whether the server showed that it knows none of the protocols: by the alert, or without it, as a
/// server must not.
fn lacks_the_offered(row: &Row) -> bool {
    match &row.outcome {
        Outcome::Alert(alert) => *alert == alerts::NO_APPLICATION_PROTOCOL,
        Outcome::Negotiated { alpn_protocol, .. } => alpn_protocol.is_none(),
        _ => false,
    }
}
