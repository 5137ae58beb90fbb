//! A report as people read it.

use std::fmt;

use super::{Http2, Outcome, Report, Verdict, alerts};

/// `h2, TLS 1.3, TLS_AES_128_GCM_SHA256, GET 200`, `alert 120 no_application_protocol`, `closed`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negotiated {
                alpn_protocol,
                tls_version,
                cipher_suite,
                http2,
            } => {
                match alpn_protocol {
                    Some(name) => write!(f, "{name}")?,
                    None => f.write_str("no ALPN")?,
                }
                if let Some(version) = tls_version {
                    write!(f, ", {version}")?;
                }
                if let Some(suite) = cipher_suite {
                    write!(f, ", {suite}")?;
                }
                match (http2, alpn_protocol) {
                    (Some(Http2::Served(status)), Some(_)) => write!(f, ", GET {status}"),
                    (Some(Http2::Served(status)), None) => {
                        write!(f, ", HTTP/2 all the same: GET {status}")
                    }
                    (Some(Http2::NotServed(what)), Some(_)) => {
                        write!(f, ", HTTP/2 NOT SERVED: {what}")
                    }
                    (Some(Http2::Spoken(why)), Some(_)) => {
                        write!(f, ", HTTP/2 spoken, GET not answered: {why}")
                    }
                    (Some(Http2::Spoken(why)), None) => {
                        write!(f, ", HTTP/2 all the same, GET not answered: {why}")
                    }
                    // Nobody said that there would be HTTP/2.
                    (Some(Http2::NotServed(_)), None) | (None, _) => Ok(()),
                }
            }
            Self::Alert(description) => write!(f, "alert {}", alerts::Shown(*description)),
            Self::Encrypted => f.write_str("encrypted, perhaps an alert"),
            Self::Closed => f.write_str("closed"),
            Self::NotTls(what) => write!(f, "no TLS: {what}"),
            Self::Incompatible(why) => write!(f, "incompatible: {why}"),
            Self::Invalid(what) => write!(f, "invalid: {what}"),
            Self::Untrusted(why) => write!(f, "untrusted: {why}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Unsupported(why) => write!(f, "not offered: {why}"),
        }
    }
}

/// `conforms`, `VIOLATES: ` and the rule, `not judged`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conforms => f.write_str("conforms"),
            Self::Violates(rule) => write!(f, "VIOLATES: {rule}"),
            Self::NotJudged => f.write_str("not judged"),
        }
    }
}

/// The table, one line for each row behind two of heading; below it the rules that were broken,
/// each once, and the [note](Report::note) if there is one.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut broken: Vec<&str> = Vec::new();
        for row in &self.rows {
            if let Verdict::Violates(rule) = &row.verdict
                && !broken.contains(&&**rule)
            {
                broken.push(rule);
            }
        }
        let shown = |verdict: &Verdict| match verdict {
            Verdict::Violates(rule) => {
                let index = broken.iter().position(|other| other == rule);
                format!("VIOLATES [{}]", index.unwrap_or_default() + 1)
            }
            other => other.to_string(),
        };
        let heading = ["client", "offer", "answer", "time", "verdict"].map(str::to_owned);
        let mut lines = vec![heading];
        for row in &self.rows {
            lines.push([
                row.client.to_string(),
                row.offer.to_string(),
                row.outcome.to_string(),
                format!("{:.1} ms", row.time.as_secs_f64() * 1000.0),
                shown(&row.verdict),
            ]);
        }
        let mut widths = [0; 4];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let [client, offer, answer, time] = widths;
        writeln!(f, "{} as {}", self.addr, self.server_name)?;
        for [a, b, c, d, e] in &lines {
            writeln!(f, "{a:client$}  {b:offer$}  {c:answer$}  {d:>time$}  {e}")?;
        }
        for (index, rule) in broken.iter().enumerate() {
            writeln!(f, "[{}] {rule}", index + 1)?;
        }
        match self.note() {
            Some(note) => writeln!(f, "{note}"),
            None => Ok(()),
        }
    }
}
