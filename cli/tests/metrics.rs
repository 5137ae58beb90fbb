//! The admin port with its metrics, and the live status page.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{Request, Response, StatusCode, header::ACCEPT};
use serde_json::Value;
use support::{
    Corelane, DEADLINE,
    admin::{admin, ask_admin, ask_host, metrics, sum},
    http2::with_client,
    refusal,
};

const QUIET: [&str; 5] = ["--tls", "none", "--listen", "127.0.0.1:0", "--workers=1"];
const CERTIFICATES: &str = "corelane_certificate_not_after_seconds";
const RESPONSES: &str = "corelane_ocsp_response_next_update_seconds";
const LISTS: &str = "corelane_revocation_list_next_update_seconds";
const DOCUMENT: &str = include_str!("../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../deploy/grafana-dashboard.json");

/// A server without TLS and its admin port.
fn with_admin() -> (Corelane, SocketAddr) {
    let server = Corelane::start(&[&QUIET[..], &["--admin", "0"]].concat());
    let addr = admin(&server);
    assert!(addr.ip().is_loopback(), "{addr}");
    (server, addr)
}

async fn get(requests: &SendRequest<Bytes>, path: &str, accept: &str) -> Response<RecvStream> {
    let mut requests = requests.clone().ready().await.expect("ready");
    let request = Request::get(format!("http://localhost{path}")).header(ACCEPT, accept);
    let request = request.body(()).expect("a request");
    let (response, _) = requests.send_request(request, true).expect("sent");
    response.await.expect("a response")
}

async fn text(response: Response<RecvStream>) -> String {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        let flow = body.flow_control();
        flow.release_capacity(data.len()).expect("released");
        text.extend_from_slice(&data);
    }
    String::from_utf8(text).expect("text")
}

/// The kind and the labels of each metric in the table of the documentation.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = DOCUMENT.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        let labels = cells[3]
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        Some((name.to_owned(), (cells[2].to_owned(), labels.collect())))
    });
    rows.collect()
}

/// The histogram of a series.
fn histogram(name: &str) -> Option<&str> {
    let mut suffixes = ["_bucket", "_sum", "_count"].iter();
    suffixes.find_map(|suffix| name.strip_suffix(suffix))
}

/// The same in a response.
fn exposed(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("name and kind");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
            found.entry(name.to_owned()).or_default().0 = kind.to_owned();
        } else if let Some((name, labels)) = line.split_once('{') {
            let labels = labels.split_once('}').expect("closed").0;
            let labels = labels.split("\",").map(|label| label.split('=').next());
            let labels = labels.map(|label| label.expect("a name").to_owned());
            let name = histogram(name).unwrap_or(name);
            found.entry(name.to_owned()).or_default().1.extend(labels);
        }
    }
    found
}

#[test]
fn metrics_match_the_documentation_and_count() {
    let (server, admin) = with_admin();
    with_client(server.addr(), |requests| async move {
        for path in ["/bytes/100000", "/", "/nowhere"] {
            text(get(&requests, path, "*/*").await).await;
        }
        let events = get(&requests, "/events", "*/*").await;
        let started = Instant::now();
        let mut text = metrics(admin);
        // A worker may count a response a little after the client has received it.
        while sum(&text, "corelane_requests_ended_total", "answered") < 3.0 {
            assert!(started.elapsed() < DEADLINE, "{text}");
            tokio::task::yield_now().await;
            text = metrics(admin);
        }
        let mut without_tls = documented();
        for name in [CERTIFICATES, RESPONSES, LISTS] {
            without_tls.remove(name).expect("documented");
        }
        assert_eq!(exposed(&text), without_tls);
        for (name, label, value) in [
            ("corelane_requests_total", "worker=\"0\",version=\"2\"", 4.0),
            ("corelane_requests_ended_total", "", 3.0),
            ("corelane_requests_in_flight", "", 1.0),
            ("corelane_connections_open", "", 1.0),
            (
                "corelane_handshakes_completed_total",
                "version=\"none\"",
                1.0,
            ),
            ("corelane_handshakes_completed_total", "", 1.0),
            ("corelane_handshakes_failed_total", "", 0.0),
            ("corelane_worker_info", "worker=\"0\"", 1.0),
            ("corelane_build_info", "backend=\"none\"", 1.0),
        ] {
            assert_eq!(sum(&text, name, label), value, "{name} {label}\n{text}");
        }
        for (class, count) in [("2xx", 3.0), ("3xx", 0.0), ("4xx", 1.0), ("5xx", 0.0)] {
            let class = format!("class=\"{class}\"");
            let responses = sum(&text, "corelane_responses_total", &class);
            assert_eq!(responses, count, "{class}\n{text}");
        }
        let cpu = sum(&text, "process_cpu_seconds_total", "");
        assert!(cpu > 0.0 && cpu.fract() != 0.0, "{cpu}");
        let durations = "corelane_request_duration_seconds";
        assert_eq!(sum(&text, &format!("{durations}_count"), ""), 3.0);
        let buckets = format!("{durations}_bucket");
        assert_eq!(sum(&text, &buckets, "le=\"+Inf\""), 3.0);
        let seconds = sum(&text, &format!("{durations}_sum"), "");
        assert!(seconds > 0.0, "{seconds}");
        let sent = sum(&text, "corelane_sent_bytes_total", "");
        assert!((100_000.0..150_000.0).contains(&sent), "{sent}");
        assert!(sum(&text, "process_resident_memory_bytes", "") > 1e6);
        drop(events);
    });
}

#[cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]
#[test]
fn certificate_expiry_is_a_metric() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.to_str().expect("UTF-8").to_owned()
    };
    let cert = write("cert.pem", made.cert.pem());
    let key = write("key.pem", made.signing_key.serialize_pem());
    let files = ["--cert", &cert, "--key", &key];
    let rest = ["--listen", "127.0.0.1:0", "--workers=1", "--admin", "0"];
    let server = Corelane::start(&[&files[..], &rest].concat());
    let text = metrics(admin(&server));
    assert_eq!(exposed(&text)[CERTIFICATES], documented()[CERTIFICATES]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let left = sum(&text, CERTIFICATES, &cert) - now.expect("after 1970").as_secs_f64();
    assert!(left > 300.0 * 86_400.0, "{left}");
}

#[test]
fn the_dashboard_uses_existing_metrics() {
    fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    match value {
                        Value::String(text) if key == "expr" || key == "query" => found.push(text),
                        value => expressions(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
            _ => {}
        }
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let documented = documented();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    let mut asked_for = BTreeSet::new();
    for expression in found {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names =
            words.filter(|word| word.starts_with("corelane_") || word.starts_with("process_"));
        for series in names {
            let name = histogram(series).unwrap_or(series);
            let (kind, _) = documented
                .get(name)
                .unwrap_or_else(|| panic!("{expression}: there is no {name}"));
            let counts = expression.contains(&format!("rate({series}{{"));
            assert_eq!(counts, kind != "gauge", "{expression}");
            asked_for.insert(name);
        }
    }
    // Every metric of corelane is on the dashboard.
    let own = documented
        .keys()
        .filter(|name| name.starts_with("corelane_"));
    let own: BTreeSet<_> = own.map(String::as_str).collect();
    let missing: Vec<_> = own.difference(&asked_for).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

#[test]
fn admin_port_answers_by_address_localhost_and_allowed_names_only() {
    let admin_port = ["--admin", "0", "--admin-host", "metrics.example"];
    let server = Corelane::start(&[&QUIET[..], &admin_port].concat());
    let addr = admin(&server);
    for (host, status) in [
        (addr.to_string(), 200),
        (format!("localhost:{}", addr.port()), 200),
        (format!("Metrics.example:{}", addr.port()), 200),
        (format!("rebound.example:{}", addr.port()), 421),
    ] {
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert_eq!(ask_host(addr, &host, path).0, status, "{host}{path}");
        }
    }
}

#[test]
fn idle_admin_clients_do_not_block_others() {
    let (_server, admin) = with_admin();
    let mut idle: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(admin).expect("connects"))
        .collect();
    assert_eq!(ask_admin(admin, "/healthz"), (200, "ok\n".into()));
    // The server closed the oldest one first.
    idle[0].set_read_timeout(Some(DEADLINE)).expect("set");
    let ended = idle[0].read(&mut [0]);
    let reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(ended.as_ref().is_ok_and(|n| *n == 0) || ended.as_ref().is_err_and(reset));
    assert_eq!(ask_admin(admin, "/nowhere").0, 404);
}

#[test]
fn readiness_and_events_end_before_the_server() {
    let (mut server, admin) = with_admin();
    assert_eq!(ask_admin(admin, "/readyz"), (200, "ready\n".into()));
    let signal = || server.signal("-TERM");
    with_client(server.addr(), |requests| async move {
        let mut events = get(&requests, "/events", "*/*").await.into_body();
        assert!(events.data().await.expect("an event").is_ok());
        // In flight until the test ends its body.
        let mut sender = requests.clone().ready().await.expect("ready");
        let request = Request::post("http://localhost/drain").body(());
        let (response, mut upload) = sender
            .send_request(request.expect("a request"), false)
            .expect("sent");
        upload.send_data("a beginning".into(), false).expect("sent");
        text(get(&requests, "/", "*/*").await).await;
        signal();
        while let Some(event) = events.data().await {
            event.expect("the stream of events ends without an error");
        }
        assert_eq!(ask_admin(admin, "/readyz"), (503, "draining\n".into()));
        assert_eq!(ask_admin(admin, "/healthz").0, 200);
        upload.send_data(Bytes::new(), true).expect("sent");
        assert_eq!(response.await.expect("a response").status(), StatusCode::OK);
    });
    assert!(server.wait().success());
}

/// Reads a stream of events one at a time.
struct Events(RecvStream, String);

impl Events {
    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let json = event.strip_prefix("data: ").expect("an event");
                let json = serde_json::from_str(json).expect("JSON");
                self.1 = rest.to_owned();
                return json;
            }
            let data = self.0.data().await.expect("more events").expect("data");
            let flow = self.0.flow_control();
            flow.release_capacity(data.len()).expect("released");
            self.1 += std::str::from_utf8(&data).expect("text");
        }
    }
}

#[test]
fn browsers_get_a_live_page_and_other_clients_plain_text() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let server = Corelane::start(&QUIET);
    with_client(server.addr(), |requests| async move {
        let plain = get(&requests, "/", "*/*").await;
        assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(text(plain).await.starts_with("protocol: HTTP/2\n"));

        let page = get(&requests, "/", browser).await;
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.headers()["vary"], "accept");
        let policy = page.headers()["content-security-policy"].to_str();
        let policy = policy.expect("text").to_owned();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = text(page).await;
        assert!(page.contains("<dt>backend</dt><dd>none</dd>"), "{page}");
        let nothing_is_left_to_fill_in = !page.contains(['{', '}']);
        assert!(nothing_is_left_to_fill_in, "{page}");
        // Nothing inline that the policy forbids, and nothing from other origins.
        for forbidden in ["style=", "onload=", "<style", "http:", "https:"] {
            assert!(!page.contains(forbidden), "{forbidden}: {page}");
        }
        for part in page
            .split(['"'])
            .filter(|part| part.starts_with("/status."))
        {
            assert_eq!(get(&requests, part, "*/*").await.status(), StatusCode::OK);
        }

        let mut events = Events(
            get(&requests, "/events", "*/*").await.into_body(),
            String::new(),
        );
        let first = events.next().await;
        let requests_before = first["workers"][0]["requests"].as_u64().expect("a number");
        // All viewers get the same events.
        let mut others = Events(
            get(&requests, "/events", "*/*").await.into_body(),
            String::new(),
        );
        let same = others.next().await;
        let mut seen = vec![first];
        while !seen.contains(&same) {
            assert!(seen.len() < 3, "{seen:?} is without {same}");
            seen.push(events.next().await);
        }
        for _ in 0..5 {
            text(get(&requests, "/bytes/1", "*/*").await).await;
        }
        // Five requests and the second stream.
        while events.next().await["workers"][0]["requests"].as_u64() != Some(requests_before + 6) {}
    });

    let server = Corelane::start(&[&QUIET[..], &["--no-status"]].concat());
    with_client(server.addr(), |requests| async move {
        let plain = get(&requests, "/", browser).await;
        assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
        let events = get(&requests, "/events", "*/*").await;
        assert_eq!(events.status(), StatusCode::NOT_FOUND);
    });
}

#[test]
fn a_port_that_cannot_be_opened_is_explained() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let occupied = occupied.local_addr().expect("bound").to_string();
    for (addr, advice) in [
        ("localhost:9090", "an address and a port"),
        (&occupied, "--admin"),
    ] {
        let args = [&QUIET[..], &["--admin", addr]].concat();
        let message = refusal(&args);
        assert!(message.contains(advice), "{addr}: {message}");
    }
}
