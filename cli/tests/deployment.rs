//! The templates in deploy/: Kubernetes' objects fit together and to the command, and systemd accepts
//! the units.

#![cfg(any(
    feature = "aws-lc-rs",
    feature = "ring",
    feature = "native-tls",
    feature = "openssl"
))]

mod support;

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

use support::{certificates::certificate, yaml::yaml};

const KUBERNETES: &str = include_str!("../../deploy/kubernetes.yaml");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const SERVICE: &str = include_str!("../../deploy/corelane.service");
const SOCKET: &str = include_str!("../../deploy/corelane.socket");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The objects of deploy/kubernetes.yaml by their kinds.
struct Objects(BTreeMap<String, Value>);

impl Objects {
    fn read() -> Self {
        let objects = yaml(KUBERNETES).into_iter();
        let by_kind = objects.map(|object| (text(&object, "/kind").to_owned(), object));
        Self(by_kind.collect())
    }

    fn of(&self, kind: &str) -> &Value {
        self.0.get(kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    /// A value in the one container of the Deployment.
    fn container(&self, pointer: &str) -> &Value {
        at(
            self.of("Deployment"),
            &format!("/spec/template/spec/containers/0{pointer}"),
        )
    }

    /// The value of an argument `--name=value`.
    fn argument(&self, name: &str) -> &str {
        let arguments = self.container("/args").as_array().expect("a list");
        let mut arguments = arguments.iter().filter_map(Value::as_str);
        let value = arguments.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name}"))
    }

    fn number(&self, argument: &str) -> u64 {
        self.argument(argument).parse().expect("a number")
    }
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    let found = value.pointer(pointer);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().expect(pointer)
}

fn number(value: &Value, pointer: &str) -> u64 {
    at(value, pointer).as_u64().expect(pointer)
}

/// Bytes, from `1Gi` or `256Mi`.
fn bytes(quantity: &str) -> u64 {
    let unit =
        |unit: &str, shift: u32| Some(quantity.strip_suffix(unit)?.parse::<u64>().ok()? << shift);
    let bytes = unit("Gi", 30).or_else(|| unit("Mi", 20));
    bytes.unwrap_or_else(|| panic!("{quantity}"))
}

#[test]
fn kubernetes_objects_belong_together() {
    let objects = Objects::read();
    let labels = at(objects.of("Deployment"), "/spec/template/metadata/labels");
    let spec = at(objects.of("Deployment"), "/spec/template/spec");
    let selectors = [
        ("Deployment", "/spec/selector/matchLabels"),
        ("Service", "/spec/selector"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
    ];
    for (kind, pointer) in selectors {
        assert_eq!(at(objects.of(kind), pointer), labels, "{kind}");
    }
    let spread = at(
        spec,
        "/topologySpreadConstraints/0/labelSelector/matchLabels",
    );
    assert_eq!(spread, labels);
    let scaler = objects.of("HorizontalPodAutoscaler");
    let scaled = at(scaler, "/spec/scaleTargetRef/name");
    assert_eq!(scaled, at(objects.of("Deployment"), "/metadata/name"));
    // A fixed number would undo the autoscaler's at each `kubectl apply`.
    assert!(objects.of("Deployment").pointer("/spec/replicas").is_none());
    // One pod may be evicted while another serves.
    assert!(number(scaler, "/spec/minReplicas") >= 2);
    assert_eq!(
        number(objects.of("PodDisruptionBudget"), "/spec/maxUnavailable"),
        1
    );
    assert_eq!(at(spec, "/automountServiceAccountToken"), false);
    assert_eq!(
        text(objects.of("Service"), "/spec/externalTrafficPolicy"),
        "Local"
    );

    let ports = objects.container("/ports").as_array().expect("a list");
    let by_name = |name: &str| {
        let port = ports.iter().find(|port| text(port, "/name") == name);
        number(
            port.unwrap_or_else(|| panic!("no port {name}")),
            "/containerPort",
        )
    };
    let listens_on = |argument| {
        objects
            .argument(argument)
            .rsplit_once(':')
            .expect("a port")
            .1
    };
    assert_eq!(by_name("https").to_string(), listens_on("--listen"));
    assert_eq!(by_name("admin").to_string(), listens_on("--admin"));
    by_name(text(objects.of("Service"), "/spec/ports/0/targetPort"));
    let ingress = at(objects.of("NetworkPolicy"), "/spec/ingress")
        .as_array()
        .expect("a list");
    let open: Vec<_> = ingress
        .iter()
        .map(|rule| text(rule, "/ports/0/port"))
        .collect();
    assert_eq!(open, ["https", "admin"]);
    assert!(
        ingress[1].get("from").is_some(),
        "everyone can reach the admin port"
    );
}

#[test]
fn kubernetes_runs_the_image_of_this_version() {
    let objects = Objects::read();
    let image = objects.container("/image").as_str().expect("a name");
    assert_eq!(image, concat!("corelane:", env!("CARGO_PKG_VERSION")));
    assert!(
        DOCKERFILE.contains(&format!("-t {image} .")),
        "the Dockerfile builds another image"
    );
}

/// With the certificate of the mounted secret.
#[test]
fn kubernetes_arguments_are_those_of_the_command() {
    let objects = Objects::read();
    let dir = tempfile::tempdir().expect("a directory");
    let made = certificate("localhost");
    for (file, text) in [("tls.crt", made.pem), ("tls.key", made.key)] {
        fs::write(dir.path().join(file), text).expect("written");
    }
    let mount = objects.container("/volumeMounts/0/mountPath");
    let mount = format!("={}/", mount.as_str().expect("a path"));
    let here = format!("={}/", dir.path().display());
    let arguments = objects.container("/args").as_array().expect("a list");
    let arguments = arguments
        .iter()
        .map(|argument| argument.as_str().expect("a string").replace(&mount, &here));
    let mut command = support::command(&["check"]);
    let output = command.args(arguments).output().expect("the command runs");
    assert!(output.status.success(), "{output:?}");
    let workers = objects.number("--workers");
    let cpu = objects.container("/resources/limits/cpu");
    assert_eq!(cpu.as_str(), Some(workers.to_string().as_str()));
}

/// As docs/operations.md computes it.
#[test]
fn kubernetes_connections_fit_the_memory_limit() {
    let objects = Objects::read();
    let limit = objects
        .container("/resources/limits/memory")
        .as_str()
        .expect("a quantity");
    let idle = OPERATIONS
        .split("by the workers and by ")
        .nth(1)
        .expect("the computation");
    let idle: u64 = idle
        .split(' ')
        .next()
        .and_then(|it| it.parse().ok())
        .expect("KiB");
    let connections = objects.number("--workers") * objects.number("--max-connections");
    let share = connections * idle * 1024 * 100 / bytes(limit);
    assert!(
        (60..=70).contains(&share),
        "idle connections take {share} % of {limit}"
    );
    let requested = objects.container("/resources/requests/memory").as_str();
    assert_eq!(requested, Some(limit), "the node may not have the memory");
    // Further pods start before the existing ones refuse connections.
    let metrics = at(objects.of("HorizontalPodAutoscaler"), "/spec/metrics");
    let mut metrics = metrics.as_array().expect("a list").iter();
    let memory = metrics.find(|metric| text(metric, "/resource/name") == "memory");
    let target = number(
        memory.expect("memory"),
        "/resource/target/averageUtilization",
    );
    assert!(target < share, "{target} % of {share} %");
}

#[test]
fn kubernetes_removes_a_pod_before_it_stops_and_waits_for_its_end() {
    let objects = Objects::read();
    let readiness = objects.container("/readinessProbe");
    let removal = number(readiness, "/periodSeconds") * number(readiness, "/failureThreshold");
    let delay = objects.number("--shutdown-delay");
    assert!(
        delay > removal,
        "not ready after {removal} s, but stops after {delay} s"
    );
    let pre_stop = objects.container("/lifecycle/preStop/exec/command/1");
    let pre_stop: u64 = pre_stop
        .as_str()
        .and_then(|it| it.parse().ok())
        .expect("seconds");
    let drained = pre_stop + delay + objects.number("--shutdown-timeout");
    let grace = number(
        objects.of("Deployment"),
        "/spec/template/spec/terminationGracePeriodSeconds",
    );
    assert!(
        grace > drained,
        "killed after {grace} s, drained after {drained} s"
    );
}

#[test]
fn kubernetes_probes_do_not_flap() {
    let objects = Objects::read();
    for (probe, path, least) in [
        ("/readinessProbe", "/readyz", 4),
        ("/livenessProbe", "/healthz", 30),
    ] {
        let probe = objects.container(probe);
        assert_eq!(text(probe, "/httpGet/path"), path);
        assert_eq!(text(probe, "/httpGet/port"), "admin");
        let threshold = number(probe, "/failureThreshold");
        assert!(
            threshold >= 3 && threshold * number(probe, "/periodSeconds") >= least,
            "{probe}"
        );
        assert!(
            number(probe, "/timeoutSeconds") <= number(probe, "/periodSeconds"),
            "{probe}"
        );
    }
}

#[test]
fn the_unit_watches_the_server_and_dumps_no_core() {
    let setting = |name: &str| {
        let mut lines = SERVICE.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("the unit has no {name}"))
    };
    // A worker counts as stalled after a few seconds. A short stall must not end the process.
    assert!(setting("WatchdogSec").parse::<u64>().expect("seconds") >= 20);
    // The end by the watchdog is a failure.
    assert_eq!(setting("Restart"), "on-failure");
    assert_eq!(setting("LimitCORE"), "0");
    let stop: u64 = setting("TimeoutStopSec").parse().expect("seconds");
    assert!(stop > 30, "shorter than the default of --shutdown-timeout");
}

#[test]
fn systemd_accepts_the_units() {
    let dir = tempfile::tempdir().expect("a directory");
    let (service, socket) = (
        dir.path().join("corelane.service"),
        dir.path().join("corelane.socket"),
    );
    let installed = SERVICE.replace("/usr/local/bin/corelane", env!("CARGO_BIN_EXE_corelane"));
    fs::write(&service, installed).expect("written");
    fs::write(&socket, SOCKET).expect("written");
    let analyze = |arguments: &[&str], files: &[&std::path::Path]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).args(files).output()
    };
    let Ok(verified) = analyze(&["verify", "--man=no"], &[&service, &socket]) else {
        eprintln!("NOT TESTED: systemd-analyze is not installed");
        return;
    };
    // It only warns of keys that it does not know.
    assert!(
        verified.status.success() && verified.stderr.is_empty(),
        "{verified:?}"
    );
    let judged = analyze(&["security", "--offline=yes"], &[&service]).expect("it ran before");
    let judged = String::from_utf8_lossy(&judged.stdout);
    let exposure = judged
        .split("Overall exposure level for corelane.service: ")
        .nth(1);
    let exposure = exposure.and_then(|it| it.split(' ').next()?.parse::<f64>().ok());
    // "about 2 of 10" in docs/operations.md. Versions of systemd differ by a few tenths.
    assert!(
        exposure.is_some_and(|exposure| exposure < 2.5),
        "{exposure:?}: {judged}"
    );
}
