#!/usr/bin/env python3
"""Prints what ALPN negotiates, as one table: the matrix of tests/alpn, common clients and
`corelane alpn`.

    ci/alpn.py          with the clients that are installed
    ci/alpn.py --all    with all clients; a missing one is an error (`ci/setup clients` installs them)

Exits with 1 where an answer is not the expected one, or where the backends or the prober's clients
differ on the same offer.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
COMMAND = TARGET / "debug/corelane"
PYTHON = ROOT / "target/ci/venv/bin/python"
CLIENTS = ROOT / "ci/clients"
LIMIT = 60  # seconds for one client
LEAST_CASES = 500  # of the matrix and the prober alone; a run with fewer has lost some
# All backends, on the system's OpenSSL. The flags of all steps are the same, so that cargo builds
# each crate once.
FEATURES = ["--workspace", "--features", "native-tls,openssl"]

Row = namedtuple("Row", "server driver policy client tls offer answer verdict")

# The TLS versions of each backend. A new backend needs one line here.
VERSIONS = {"rustls": ("1.2", "1.3"), "native-tls": ("1.2",), "openssl": ("1.2", "1.3")}

PROBER = "corelane alpn"

# OpenSSL would read the system's certificates for each offer, though the prober trusts any.
NO_CERTIFICATES = {"SSL_CERT_FILE": os.devnull}


def run(*command, feed=""):
    """The output of a client, both streams. Its exit status does not matter."""
    result = subprocess.run(
        [str(word) for word in command],
        input=feed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
    )
    return result.stdout


def found(pattern, output):
    match = re.search(pattern, output)
    return match.group(1) if match else None


# Each client returns the protocol that it reports and, if it reports it, the TLS version. Each client
# words the alert for no common protocol differently; here it is always "alert 120".

NO_APPLICATION_PROTOCOL = re.compile(
    r"alert number 120|alert \[120\]|no[ _]application[ _]protocol", re.I
)


def answer(output, pattern, version=None):
    if NO_APPLICATION_PROTOCOL.search(output):
        return "alert 120", None
    return found(pattern, output) or "?", version and found(version, output)


def curl(host, port, offer):
    flag = {"h2,http/1.1": "--http2", "http/1.1": "--http1.1", "none": "--no-alpn"}[offer]
    wanted = "%{stderr}negotiated HTTP/%{http_version} %{response_code}"
    url = f"https://{host}:{port}/"
    output = run("curl", "-sSvk", flag, "--noproxy", "*", "-o", "/dev/null", "-w", wanted, url)
    return answer(output, r"negotiated (HTTP/2 200)", r"SSL connection using TLSv([\d.]+)")


def nghttp(host, port, offer):
    output = run("nghttp", "-nv", f"https://{host}:{port}/")
    return answer(output, r"The negotiated protocol: (\S+)[\s\S]*:status: 200")


def h2load(host, port, offer):
    output = run("h2load", "-n", 100, "-c", 4, "-m", 10, f"https://{host}:{port}/")
    protocol = r"Application protocol: (\S+)[\s\S]*100 succeeded"
    return answer(output, protocol, r"TLS Protocol: TLSv([\d.]+)")


def s_client(host, port, offer):
    alpn = [] if offer == "none" else ["-alpn", offer]
    output = run("openssl", "s_client", "-connect", f"{host}:{port}", *alpn)
    return answer(output, r"ALPN protocol: (\S+)", r"New, TLSv([\d.]+)")


def gnutls(host, port, offer):
    alpn = [] if offer == "none" else [word for name in offer.split(",") for word in ("--alpn", name)]
    output = run("gnutls-cli", "--insecure", "--port", port, *alpn, host)
    return answer(output, r"Application protocol: (\S+)", r"\(TLS([\d.]+)")


def httpx(host, port, offer):
    output = run(PYTHON, CLIENTS / "httpx_get.py", f"https://{host}:{port}/", offer)
    return answer(output, r"negotiated (\S+) \S+ 200", r"negotiated \S+ TLSv([\d.]+)")


def node(host, port, offer):
    output = run("node", CLIENTS / "http2_get.mjs", f"https://{host}:{port}/", offer)
    return answer(output, r"negotiated (\S+) \S+ 200", r"negotiated \S+ TLSv([\d.]+)")


def go(host, port, offer):
    output = run("go", "run", CLIENTS / "http2_get.go", f"https://{host}:{port}/", offer)
    return answer(output, r"negotiated (\S+) \S+ HTTP/2.0 200", r"negotiated \S+ TLSv([\d.]+)")


def java(host, port, offer):
    output = run("java", CLIENTS / "Http2Get.java", f"https://{host}:{port}/", offer)
    return answer(output, r"negotiated (\S+) \S+ 200", r"negotiated \S+ TLSv([\d.]+)")


def chromium(host, port, offer):
    """Reads the protocol from the default page. A screenshot of it stays in target/ci."""
    program = shutil.which("chromium") or "google-chrome"
    with tempfile.TemporaryDirectory() as profile:
        output = run(
            *[program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"],
            *["--no-first-run", "--disable-background-networking", "--disable-component-update"],
            *["--disable-sync", f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {host}"],
            *["--ignore-certificate-errors", f"--user-data-dir={profile}", "--window-size=640,320"],
            *[f"--screenshot={ROOT / 'target/ci/chromium.png'}", "--dump-dom"],
            f"https://{host}:{port}/",
        )
    return answer(output, r"<dt>alpn</dt><dd>([^<]+)", r"<dt>tls version</dt><dd>TLS ([\d.]+)")


# Name, function, possible offers, and what the client reports when the server chose h2.
EXTERNAL = [
    ("curl", curl, ["h2,http/1.1", "http/1.1", "none"], "HTTP/2 200"),
    ("nghttp", nghttp, ["h2,h2-16,h2-14"], "h2"),
    ("h2load", h2load, ["h2,h2-16,h2-14"], "h2"),
    ("openssl s_client", s_client, ["h2", "http/1.1,h2", "http/1.1", "none"], "h2"),
    ("gnutls-cli", gnutls, ["h2", "http/1.1,h2", "http/1.1", "none"], "h2"),
    ("httpx", httpx, ["h2", "http/1.1"], "h2"),
    ("node http2", node, ["h2", "http/1.1,h2", "http/1.1", "none"], "h2"),
    ("Go net/http", go, ["h2,http/1.1", "http/1.1", "none"], "h2"),
    ("Java HttpClient", java, ["h2,http/1.1", "none"], "HTTP_2"),
    ("Chromium", chromium, ["h2,http/1.1"], "h2"),
]

# The programs of a client, where their name is not that of the client.
PROGRAMS = {
    "openssl s_client": ["openssl"],
    "node http2": ["node"],
    "Go net/http": ["go"],
    "Java HttpClient": ["java"],
    "Chromium": ["chromium", "google-chrome"],
}


def installed(name):
    if name == "httpx":
        return "yes" in run(PYTHON, "-c", "import h2, httpx; print('yes')")
    return any(shutil.which(program) for program in PROGRAMS.get(name, [name]))


def in_process():
    """The matrix of tests/alpn, which judges each case itself. Cargo builds the command with it,
    because the command has a test of that name too."""
    command = ["cargo", "test", "--quiet", *FEATURES, "--test", "alpn"]
    command += ["--", "--nocapture", "alpn_matrix"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    cases = [line.split("ALPN | ", 1)[1] for line in result.stdout.splitlines() if "ALPN | " in line]
    for case in cases:
        yield Row(*(cell.strip() for cell in case.split(" | ")))
    if result.returncode != 0 or not cases:
        print(result.stdout, file=sys.stderr)
        yield Row("-", "-", "-", "tests/alpn", "-", "-", "failed", "SURPRISE")


@contextmanager
def serving(backend, driver, *flags):
    """Runs the command as a server. Yields its port, or None where io_uring is not available."""
    server = subprocess.Popen(
        [COMMAND, "--tls", backend, "--driver", driver, *flags]
        + ["--listen", "127.0.0.1:0", "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        port = None
        greeting = ""
        while port is None:
            line = server.stdout.readline()
            greeting += line
            port = found(r"https://127\.0\.0\.1:(\d+)", line)
            if not line:
                break
        if port is None and driver == "io-uring" and "io_uring cannot be used" in greeting:
            print(f"ci/alpn.py: NOT TESTED on io_uring: {greeting.strip()}", file=sys.stderr)
        elif port is None:
            sys.exit(f"ci/alpn.py: the command did not start: {greeting}")
        yield port
        if port and server.poll() is not None:
            sys.exit(f"ci/alpn.py: the server ended with {server.returncode}")
    finally:
        server.terminate()
        server.wait(LIMIT)


def external(clients):
    """External clients and the command's prober, against each backend."""
    for backend, versions in VERSIONS.items():
        for driver in ("io-uring", "epoll"):
            with serving(backend, driver) as port:
                if port is None:
                    continue
                for name, client, offers, served in clients:
                    for offer in offers:
                        got, version = client("127.0.0.1", port, offer)
                        wanted = served if "h2" in offer.split(",") else "alert 120"
                        best = got == "alert 120" or version in (None, versions[-1])
                        verdict = "ok" if got == wanted and best else "SURPRISE"
                        tls = version or "-"
                        yield Row(backend, driver, "reject", name, tls, offer, got, verdict)
                yield from probed(backend, driver, "reject", port)
        with serving(backend, "epoll", "--alpn-missing", "allow") as port:
            yield from probed(backend, "epoll", "allow", port)
            # The prober must report that the policy is another one than expected.
            report, status = alpn(port, "reject", "table")
            if status != 1 or "none=alert:120 does not hold" not in report:
                sys.exit(f"ci/alpn.py: {backend}: another policy is not noticed:\n{report}")


# The rules that must hold, by policy.
REFUSED = ["http/1.1=alert:120", "x-unknown=alert:120"]
# rustls has neither version.
OLD = ["h2 (TLS 1.0)=alert:70", "h2 (TLS 1.1)=alert:70"]
RULES = {
    "reject": ["h2", "h2,http/1.1=h2", "http/1.1,h2=h2", *REFUSED, *OLD, "none=alert:120"],
    "allow": ["h2", *REFUSED, "none=h2"],
}


def alpn(port, policy, form):
    """The report of `corelane alpn` in one format, and its exit status."""
    rules = [word for rule in RULES[policy] for word in ("--expect", rule)]
    result = subprocess.run(
        [COMMAND, "alpn", f"localhost:{port}", "--connect", "127.0.0.1", "--insecure"]
        + [*rules, "--format", form],
        env={**os.environ, **NO_CERTIFICATES},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    return result.stdout, result.returncode


def probed(backend, driver, policy, port):
    """The rows of `corelane alpn`. Parsers of other projects read its formats."""
    counts = {}
    for form in ("json", "junit", "tap"):
        report, status = alpn(port, policy, form)
        if status != 0:
            got = f"exit status {status}"
            yield Row(backend, driver, policy, PROBER, "-", f"--format {form}", got, "SURPRISE")
        counts[form] = run(PYTHON, CLIENTS / "read_report.py", form, feed=report)
        if form == "tap" and shutil.which("prove"):
            proved = run("prove", "--exec", "cat", "/dev/stdin", feed=report)
            if ("Result: PASS" in proved) != (status == 0):
                sys.exit(f"ci/alpn.py: {backend}: prove cannot read TAP:\n{proved}")
        if form == "json":
            rows = json.loads(report)["rows"]
    if len(set(counts.values())) > 1 or ('"failed"' in counts["json"]) != (status != 0):
        sys.exit(f"ci/alpn.py: {backend}: the formats differ, or are not read: {counts}")
    for row in rows:
        offer, outcome = row["offer"], row["outcome"]
        tls = outcome.get("tls_version") or "-"
        got = outcome["kind"]
        if got == "unsupported":
            continue
        if got == "alert":
            got = f"alert {outcome['number']}"
        elif got == "negotiated":
            served = outcome["http2"] and outcome["http2"]["status"] == 200
            got = f"{outcome['alpn_protocol'] or 'no ALPN'}{'' if served else ', not served'}"
        if offer["tls_version"] and offer["tls_version"][4:] not in VERSIONS[backend]:
            wanted = ["alert 70"]
        elif offer["malformed"]:
            wanted = ["alert 47", "alert 50", "alert 120"]
        elif offer["protocols"]:
            wanted = ["h2" if "h2" in offer["protocols"] else "alert 120"]
        else:
            wanted = ["no ALPN" if policy == "allow" else "alert 120"]
        verdict = "ok" if got in wanted and row["verdict"]["kind"] == "conforms" else "SURPRISE"
        client = f"{PROBER}, {row['client']}"
        yield Row(backend, driver, policy, client, tls[4:] or "-", offer["text"], got, verdict)


def differences(rows):
    """Offers that the backends answer differently. A TLS version that a backend lacks does not count:
    features.md lists it."""
    answers = {}
    for row in rows:
        if row.answer != "alert 70" and not (row.tls == "1.3" and "1.3" not in VERSIONS[row.server]):
            named = row.client in {name for name, *_ in EXTERNAL} or row.client.startswith(PROBER)
            tls = "any" if named else row.tls
            key = (row.policy, row.client, tls, row.offer)
            answers.setdefault(key, {}).setdefault(row.answer, set()).add((row.server, row.driver))
    return {key: by for key, by in answers.items() if len(by) > 1}


def differences_of_clients(rows):
    """Offers that a server answers differently to two of the prober's TLS clients. The raw client makes
    other offers."""
    answers = {}
    for row in rows:
        if row.client.startswith(f"{PROBER}, ") and not row.offer.startswith("malformed"):
            key = (row.server, row.driver, row.policy, row.offer)
            answers.setdefault(key, {}).setdefault((row.answer, row.tls), set()).add(row.client)
    return {key: by for key, by in answers.items() if len(by) > 1}


def main():
    os.environ.pop("SSLKEYLOGFILE", None)
    missing = [name for name, *_ in EXTERNAL if not installed(name)]
    if missing and "--all" in sys.argv[1:]:
        sys.exit(f"ci/alpn.py: not installed: {', '.join(missing)}; `ci/setup clients` installs them")
    clients = [client for client in EXTERNAL if client[0] not in missing]
    rows = [*in_process(), *external(clients)]
    head = Row("server", "driver", "no ALPN", "client", "TLS", "offer", "answer", "")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    surprises = [row for row in rows if row.verdict != "ok"]
    differing = {**differences(rows), **differences_of_clients(rows)}
    for row in surprises:
        print(f"SURPRISE: {' | '.join(row)}", file=sys.stderr)
    for key, by in differing.items():
        print(f"DIFFERENT: {' | '.join(key)}: {by}", file=sys.stderr)
    print(f"\n{len(rows)} cases, {len(surprises)} surprises, {len(differing)} differences")
    if missing:
        print(f"NOT TESTED, not installed: {', '.join(missing)}")
    if len(rows) < LEAST_CASES:
        print(f"ci/alpn.py: fewer than {LEAST_CASES} cases: some did not run", file=sys.stderr)
    sys.exit(bool(surprises or differing or len(rows) < LEAST_CASES))


main()
