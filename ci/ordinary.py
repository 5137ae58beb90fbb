#!/usr/bin/env python3
"""Checks that the default limits of the command do not break ordinary clients.

    ci/ordinary.py            1 GiB up and down a slow link, 100,000 requests, and so on: some minutes
    ci/ordinary.py --short    the same with less: under a minute

curl, h2load, Chromium and gRPC on every backend, some of them slow on purpose. What they got is
compared with what they asked for, by number, length or SHA-256. Exits with 1 where something differs,
or where the server has counted a refusal of any kind.
"""

import functools
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
COMMAND = TARGET / "debug/corelane"
GRPC_ECHO = TARGET / "debug/examples/grpc_echo"
PYTHON = ROOT / "target/ci/venv/bin/python"
CLIENTS = ROOT / "ci/clients"
BACKENDS = ["rustls", "openssl", "native-tls", "none"]
SHORT = "--short" in sys.argv
LIMIT = 600  # seconds for one client
KIB, MIB = 1024, 1024 * 1024

# Counters of refused requests, and of peers that the server treated as hostile.
REFUSALS = [
    "connections_refused",
    "handshakes_failed",
    "alpn_refused",
    "alpn_disagreements",
    "handshakes_timed_out",
    "handshakes_displaced",
    "plain_http_refused",
    "handler_panics",
    "handler_errors",
    "streams_stalled",
    "request_bodies_too_large",
    "keep_alive_timeouts",
    "bodies_timed_out",
    "floods",
    "connections_held_back",
    "frame_floods",
    "reset_floods",
    "connection_panics",
    "accept_errors",
]

# How the log describes a connection that the client ended. Chromium drops one of two connections that
# it has opened; curl leaves WINDOW_UPDATE unread when the response ends before the upload.
LEFT_BY_PEER = [
    "ByPeer",
    "Broken pipe",
    "Connection reset by peer",
    "connection reset",
    "without close_notify",
]


class Failed(Exception):
    pass


def full(number, short):
    return short if SHORT else number


# Servers.


class Server:
    """A server process that runs until the end of the block."""

    def __init__(self, words, name, directory, link=()):
        self.name = name
        self.link = link
        self.log = tempfile.TemporaryFile("w+", dir=directory)
        self.child = subprocess.Popen(
            [*map(str, words)],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1"},
        )

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not (match := re.search(r"listening on \D*127\.0\.0\.1:(\d+)", self.text())):
            if self.child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"ci/ordinary.py: {self.name} did not start:\n{self.text()}")
            time.sleep(0.05)
        self.port = match[1]
        return self

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        """Stops the server and returns the sums of its workers' counters."""
        self.child.stdin.close()
        if str(GRPC_ECHO) not in self.child.args:
            self.child.terminate()
        if status := self.child.wait(60):
            raise Failed(f"the server ended with {status}:\n{self.text()}")
        counters = {}
        for worker in re.findall(r"WorkerCounters \{ (.*) \}", self.text()):
            # Without the durations, which are no numbers.
            for name, count in re.findall(r"(\w+): (\d+)(?=,| })", worker):
                counters[name] = counters.get(name, 0) + int(count)
        return counters

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.log.close()


# Limits the loopback of a network namespace; packets of both directions share the rate.
SLOW_LINK = """
ip link set lo mtu 1500 up && tc qdisc add dev lo root tbf rate {rate} burst 64k latency 100ms &&
exec "$0" "$@"
"""


def slow_link(rate):
    """The command that starts a process on such a link. Needs root and a kernel with tbf."""
    link = ["unshare", "--net", "sh", "-c", SLOW_LINK.format(rate=rate)]
    tried = subprocess.run([*link, "true"], stderr=subprocess.PIPE, text=True)
    if tried.returncode != 0:
        print(f"ci/ordinary.py: NOT TESTED on a slow link: {tried.stderr.strip()}", file=sys.stderr)
        return None
    return link


# Clients. Each takes the server and the backend; it raises Failed or returns a description.


def run(server, *words):
    if server.link:
        words = ["nsenter", f"--net=/proc/{server.child.pid}/ns/net", *words]
    result = subprocess.run(
        [*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT
    )
    if result.returncode != 0:
        raise Failed(f"exit status {result.returncode}:\n{result.stdout[-500:]}")
    return result.stdout


def url(server, backend, path):
    return f"{'http' if backend == 'none' else 'https'}://127.0.0.1:{server.port}{path}"


def curl(backend):
    version = "--http2-prior-knowledge" if backend == "none" else "--http2"
    return ["curl", "-sSk", version, "--noproxy", "*"]


LINE = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\n"
BLOCK = LINE * 16 * KIB


def blocks(size):
    """The body of /bytes/SIZE."""
    for offset in range(0, size, len(BLOCK)):
        yield BLOCK[: size - offset]


def digest(size):
    sha256 = hashlib.sha256()
    for block in blocks(size):
        sha256.update(block)
    return sha256.hexdigest()


def same(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {str(got)[:500]}, not {str(wanted)[:500]}")


def one_by_one(count, *flags):
    def client(server, backend):
        wanted = "%{http_version} %{response_code} %{num_connects}\\n"
        addresses = url(server, backend, f"/?[1-{count}]")
        # Each response overwrites the file of the one before.
        with tempfile.NamedTemporaryFile() as page:
            said = run(server, *curl(backend), *flags, "-o", page.name, "-w", wanted, addresses)
        same("curl", said.split("\n"), ["2 200 1"] + ["2 200 0"] * (count - 1) + [""])
        return f"{count} requests on one connection"

    return client


def download(size, *flags):
    def client(server, backend):
        words = [*curl(backend), *flags, url(server, backend, f"/bytes/{size}")]
        return piped(server, words, None, lambda got, length, _: (
            same("length", length, size),
            same("SHA-256", got, digest(size)),
            f"{shown(size)} down",
        )[-1])

    return client


def upload(size, *flags):
    def client(server, backend):
        words = [*curl(backend), *flags, "-T", "-", url(server, backend, "/drain")]
        return piped(server, words, size, lambda _, __, answer: (
            same("the answer", answer, f"{size} {digest(size)}\n".encode()),
            f"{shown(size)} up",
        )[-1])

    return client


def unread(size, times):
    """Uploads to a path that does not exist: its handler does not read the body."""

    def client(server, backend):
        with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as page:
            file.writelines(blocks(size))
            file.flush()
            words = [*curl(backend), "--data-binary", f"@{file.name}", "-o", page.name]
            for _ in range(times):
                said = run(server, *words, "-w", "%{response_code}", url(server, backend, "/nowhere"))
                same("curl", said, "404")
        return f"{times} times {shown(size)} to a path without a handler"

    return client


def piped(server, words, size, judge):
    """Feeds a client and reads its output, without keeping either in memory."""
    if server.link:
        words = ["nsenter", f"--net=/proc/{server.child.pid}/ns/net", *words]
    child = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )

    def feed():
        try:
            for block in blocks(size or 0):
                view = memoryview(block)
                while view:
                    view = view[child.stdin.write(view) :]
        except BrokenPipeError:
            pass  # the client has ended, and says why
        child.stdin.close()

    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    sha256, length, last = hashlib.sha256(), 0, b""
    while block := child.stdout.read(MIB):
        sha256.update(block)
        length += len(block)
        last = block
    said = child.stderr.read().decode(errors="replace")
    feeding.join()
    if status := child.wait(LIMIT):
        raise Failed(f"exit status {status} after {length} bytes: {said}")
    return judge(sha256.hexdigest(), length, last)


def shown(size):
    for unit, name in (1024 * MIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} bytes"


def h2load(requests, connections, streams, path="/", *flags):
    def client(server, backend):
        words = ["-n", requests, "-c", connections, "-m", streams, *flags]
        said = run(server, "h2load", *words, url(server, backend, path))
        wanted = f"{requests} succeeded, 0 failed, 0 errored, 0 timeout"
        if wanted not in said or f"status codes: {requests} 2xx" not in said:
            raise Failed(f"not {wanted!r}:\n{said}")
        return f"{requests} requests, {streams} at once on each of {connections} connections"

    return client


def grpc(certificate):
    def client(server, backend):
        trusted = "-" if backend == "none" else certificate
        words = [f"127.0.0.1:{server.port}", trusted, full(100_000, 10_000), full(45, 15)]
        said = run(server, PYTHON, CLIENTS / "grpc_calls.py", *words)
        return "; ".join(said.splitlines())

    return client


def grpc_go(directory):
    def client(server, backend):
        trusted = "-" if backend == "none" else directory / "cert.pem"
        words = [f"127.0.0.1:{server.port}", trusted, full(100_000, 10_000)]
        said = run(server, directory / "grpc_calls", *words)
        return "; ".join(said.splitlines())

    return client


def build_grpc_go(directory):
    """Builds the client with Debian's packages of Go, without the network."""
    build = ["go", "build", "-o", directory / "grpc_calls", CLIENTS / "grpc_calls.go"]
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    subprocess.run(build, env=env, check=True)


PAGE = """
const load = i => i % 2
    ? fetch(`/bytes/${1000 * i + 1000}`).then(answer => answer.arrayBuffer())
    : new Promise((done, failed) => {
        const script = document.createElement('script');
        script.onload = done;
        script.onerror = () => failed(new Error(script.src));
        script.src = `/bytes/${1000 * i + 1000}`;
        document.head.append(script);
    });
Promise.all([...Array(200).keys()].map(load)).then(() => performance.getEntriesByType('resource').filter(
    entry => entry.name.includes('/bytes/')
).map(
    entry => [entry.nextHopProtocol, entry.encodedBodySize]
).sort((a, b) => a[1] - b[1]))
"""

# A page that the user leaves while it loads.
LEFT = """
for (let i = 0; i < 100; i++) {
    const abort = new AbortController();
    fetch(`/bytes/10000000?${i}`, {signal: abort.signal}).catch(() => {});
    setTimeout(() => abort.abort(), i % 10);
}
new Promise(done => setTimeout(done, 100)).then(() => fetch('/')).then(answer => answer.status)
"""


def chromium(server, backend):
    wanted = [["h2", 1000 * i] for i in range(1, 201)]
    with Browser() as page:
        page.open(url(server, backend, "/"))
        for _ in range(3):
            same("what a page has loaded", page.evaluate(PAGE), wanted)
            same("once 100 requests were taken back", page.evaluate(LEFT), 200)
            page.open(url(server, backend, "/"))
    return "3 pages of 200 scripts and fetches, 300 requests taken back"


class Browser:
    """Chromium, driven by the DevTools protocol on a pipe, each message ends with a zero byte."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        program = shutil.which("chromium") or "google-chrome"
        theirs_in, self.requests = os.pipe()
        self.answers, theirs_out = os.pipe()
        self.child = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', program]
            + ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
            + ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
            + ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
            + ["--ignore-certificate-errors", f"--user-data-dir={self.profile.name}"]
            + ["--remote-debugging-pipe", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.unread = b""
        self.count = 0
        self.session = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        self.ask("Page.enable")

    def __enter__(self):
        return self

    def message(self):
        while b"\0" not in self.unread:
            if not select.select([self.answers], [], [], 60)[0]:
                raise Failed("Chromium says nothing")
            piece = os.read(self.answers, MIB)
            if not piece:
                raise Failed("Chromium has ended")
            self.unread += piece
        first, self.unread = self.unread.split(b"\0", 1)
        return json.loads(first)

    def ask(self, method, **params):
        self.count += 1
        request = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.requests, json.dumps(request).encode() + b"\0")
        while (answer := self.message()).get("id") != self.count:
            pass
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, address):
        opened = self.ask("Page.navigate", url=address)
        if "errorText" in opened:
            raise Failed(f"{address}: {opened['errorText']}")
        while self.message().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, script):
        result = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise Failed(f"in Chromium: {result['exceptionDetails']}")
        return result["result"]["value"]

    def __exit__(self, *_):
        self.session = {}
        try:
            self.ask("Browser.close")
            self.child.wait(30)
        except (Failed, OSError, subprocess.TimeoutExpired):
            self.child.kill()
            self.child.wait()
        os.close(self.requests)
        os.close(self.answers)
        self.profile.cleanup()


# Clients that mostly wait run beside those that keep the machine busy.
def waiting(backend):
    rate = full("8M", "1M")
    if backend != "none":
        yield "curl, with pauses", one_by_one(full(4, 3), "--rate", full("4/m", "12/m"))
    yield "curl --limit-rate", upload(full(1024, 8) * MIB, "--limit-rate", rate)
    yield "curl --limit-rate", download(full(1024, 8) * MIB, "--limit-rate", rate)
    # As slow as a modem, for longer than Limits::body. At 1 KiB/s curl would send 64 KiB at once and
    # then nothing for 64 s; the server answers that with 408.
    yield "curl, very slow", upload(full(512, 32) * KIB, "--limit-rate", "4k")


def busy(backend, directory):
    file = directory / "upload"
    file.write_bytes(BLOCK[: 256 * KIB])
    if backend == "none":
        # With prior knowledge curl 7.88 never reuses a connection, with nghttpd neither.
        yield "h2load", h2load(full(10_000, 500), 1, 1)
    else:
        yield "curl", one_by_one(full(10_000, 500))
    yield "curl", download(full(1024, 128) * MIB)
    yield "curl", upload(full(1024, 128) * MIB)
    yield "curl, not read", unread(100, full(100, 20))
    yield "curl, not read", unread(64 * MIB, full(10, 2))
    yield "h2load", h2load(full(100_000, 10_000), 1, 100)
    yield "h2load", h2load(full(100_000, 10_000), 10, 100)
    yield "h2load, downloads", h2load(full(2_000, 200), 4, 10, "/bytes/1000000")
    yield "h2load, uploads", h2load(full(2_000, 200), 4, 10, "/drain", "-d", file)
    if backend != "none":  # it requires TLS
        yield "Chromium", chromium


def on_slow_link(backend):
    yield "curl, slow link", upload(full(1024, 8) * MIB)
    yield "curl, slow link", download(full(256, 4) * MIB)
    if backend != "none":
        yield "curl, slow link", one_by_one(full(1_000, 100))
    yield "h2load, slow link", h2load(full(1_000, 100), 4, 10, "/bytes/10000")


class Run:
    """Collects results and failures from all threads."""

    def __init__(self):
        self.begun = time.monotonic()
        self.done = []
        self.failures = []
        self.threads = []

    def note(self, backend, name, work):
        begun = time.monotonic()
        try:
            said = work()
        except Exception as error:  # any error: the other clients continue
            said = f"FAILED: {error}"
            self.failures.append(f"{backend}, {name}: {error}")
        seconds = time.monotonic() - begun
        self.done.append(name)
        print(f"{backend:10}  {name:20}  {seconds:5.1f} s  {said}", flush=True)

    def clients(self, server, backend, clients):
        for name, client in clients:
            self.note(backend, name, functools.partial(client, server, backend))

    def meanwhile(self, *args):
        thread = threading.Thread(target=self.clients, args=args)
        thread.start()
        self.threads.append(thread)

    def judge(self, server, backend, least):
        """Stops a server and checks its counters."""

        def counted():
            counters = server.stop()
            refused = {name: counters[name] for name in REFUSALS if counters[name]}
            ends = re.findall(r" why=(.*)", server.text())
            ends = [why for why in ends if not any(left in why for left in LEFT_BY_PEER)]
            if refused or ends:
                raise Failed(f"{refused}, {ends}:\n{server.text()}")
            if counters["requests"] < least:
                raise Failed(f"{counters['requests']} requests, not {least}")
            made, canceled = counters["requests"], counters["requests_abandoned"]
            return f"{made} requests, {canceled} canceled, nothing refused"

        self.note(backend, server.name, counted)


def credentials(directory):
    """A self-signed certificate for localhost, for clients that verify certificates."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return cert, key


def serve(run, backend, directory, link):
    """All clients on one backend."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    files = [] if backend == "none" else [cert, key]
    given = [] if backend == "none" else ["--cert", cert, "--key", key]
    command = [COMMAND, "--tls", backend, "--listen", "127.0.0.1:0", "-vv", *given]
    with ExitStack() as stack:

        def start(name, words, link=()):
            server = Server([*link, *words], name, directory, link)
            return stack.enter_context(server)

        fast = start("command", command)
        calls = start("grpc_echo", [GRPC_ECHO, backend, *files])
        servers = [(fast, full(200_000, 20_000)), (calls, full(10_000, 1_000))]
        for client in waiting(backend):
            run.meanwhile(fast, backend, [client])
        both = [("gRPC in Go", grpc_go(directory)), ("gRPC in Python", grpc(cert))]
        run.meanwhile(calls, backend, both)
        if link:
            slow = start("command on slow link", command, link)
            servers.append((slow, full(1_000, 100)))
            run.meanwhile(slow, backend, on_slow_link(backend))
        run.clients(fast, backend, busy(backend, directory))
        yield
        for server, least in servers:
            run.judge(server, backend, least)


def main():
    for name in ("SSLKEYLOGFILE", "http_proxy", "https_proxy", "grpc_proxy"):
        os.environ.pop(name, None)
    # With the packages and features of the tests: others would build the dependencies again.
    build = ["cargo", "build", "--quiet", "--workspace", "--features", "native-tls,openssl"]
    subprocess.run([*build, "--example", "grpc_echo", "--bin", "corelane"], cwd=ROOT, check=True)
    run = Run()
    with tempfile.TemporaryDirectory(prefix="corelane-ordinary-") as directory:
        directory = Path(directory)
        credentials(directory)
        build_grpc_go(directory)
        link = slow_link(full("64mbit", "16mbit"))
        # One backend after the other, except for the clients that only wait.
        serving = [serve(run, backend, directory, link) for backend in BACKENDS]
        for backend in serving:
            next(backend)
        for thread in run.threads:
            thread.join()
        for backend in serving:
            next(backend, None)
    for failure in run.failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    seconds = time.monotonic() - run.begun
    print(f"\n{len(run.done)} done, {len(run.failures)} failed, in {seconds:.0f} s")
    sys.exit(bool(run.failures))


if __name__ == "__main__":
    main()
