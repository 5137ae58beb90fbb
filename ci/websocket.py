#!/usr/bin/env python3
"""Opens WebSockets by common clients, browsers and proxies, on each backend and both versions of HTTP.

    ci/websocket.py [BACKEND...]    default: rustls openssl native-tls none

The server is an application on axum (ci/clients/websocket_echo.rs), once by itself and once behind the
command's `--upstream`; browsers also use one in Python, which compresses. Each client has text and 1 MiB
echoed, and a close. Exits with 1 where an answer is not the expected one. `ci/setup websocket` installs the
clients.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import ordinary

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
COMMAND = TARGET / "debug/corelane"
ECHO = TARGET / "debug/examples/websocket_echo"
PYTHON = ROOT / "target/ci/venv/bin/python"
CLIENTS = ROOT / "ci/clients"
LIMIT = 60  # seconds for one client

# Debian keeps servers where users do not look.
os.environ["PATH"] += ":/usr/sbin"

ECHOED = "echoed, clean 4000 done"
HTTP1 = f"HTTP/1.1, {ECHOED}"
HTTP2 = f"HTTP/2.0, {ECHOED}"

# The server is asked by extended CONNECT (RFC 8441). haproxy repeats the client's spelling of the protocol,
# and omits the reason; axum and autobahn are strict about these.
HAPROXY = """
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend in
    bind 127.0.0.1:{own}
    default_backend corelane
backend corelane
    http-request set-header upgrade websocket
    http-response set-status 101 reason "Switching Protocols" if {{ status 101 }}
    server one 127.0.0.1:{port} ws h2 {tls}
"""

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ }}
http {{
    access_log off; client_body_temp_path {dir}/uploads; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/a; uwsgi_temp_path {dir}/b; scgi_temp_path {dir}/c;
    server {{
        listen 127.0.0.1:{own};
        location / {{
            proxy_pass {scheme}://127.0.0.1:{port}; proxy_http_version 1.1;
            proxy_set_header upgrade $http_upgrade; proxy_set_header connection upgrade;
        }}
    }}
}}
"""


def build():
    # With the packages and features of the tests: others would build the dependencies again.
    command = ["cargo", "build", "--quiet", "--workspace", "--features", "native-tls,openssl"]
    what = ["--example", "websocket_echo", "--bin", "corelane"]
    subprocess.run([*command, *what], cwd=ROOT, check=True)


class Place:
    """The servers of one backend, and a folder for the files of proxies."""

    def __init__(self, backend, folder, port, plain):
        self.folder = folder
        self.port = port
        self.plain = plain
        self.tls = backend != "none"

    def url(self, scheme, path):
        return f"{scheme}{'s' if self.tls else ''}://127.0.0.1:{self.port}{path}"


def run(*command):
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    result = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
        env=environment,
    )
    return result.stdout.strip() if result.returncode == 0 else f"failed: {result.stdout.strip()}"


def program(*command, scheme="ws"):
    return lambda place: run(*command, place.url(scheme, "/version"))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def proxy(name, place):
    """A proxy in front of the server, which listens without TLS: haproxy speaks HTTP/2 to the server."""
    own = free_port()
    text, command, tls = {
        "haproxy": (HAPROXY, ["haproxy", "-q", "-f"], "ssl verify none alpn h2" if place.tls else "proto h2"),
        "nginx": (NGINX, ["nginx", "-e", "stderr", "-c"], ""),
    }[name]
    config = place.folder / f"{name}.conf"
    scheme = "https" if place.tls else "http"
    config.write_text(text.format(dir=place.folder, port=place.port, own=own, scheme=scheme, tls=tls))
    log = place.folder / f"{name}.log"
    with log.open("w") as errors:
        child = subprocess.Popen([*command, str(config)], stderr=errors)
    try:
        ends = time.monotonic() + LIMIT
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", own), 1):
                break
            if child.poll() is not None or time.monotonic() > ends:
                raise ordinary.Failed(f"{name} does not listen: {log.read_text().strip()}")
            time.sleep(0.01)
        yield own
    finally:
        child.kill()
        child.wait()


def proxied(name):
    def ask(place):
        with proxy(name, place) as own:
            return run(PYTHON, CLIENTS / "websocket_client.py", f"ws://127.0.0.1:{own}/version")

    return ask


class Firefox:
    """Firefox, driven by its Marionette protocol: each message is JSON with its length before it."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        profile = Path(self.profile.name)
        (profile / "user.js").write_text('user_pref("marionette.port", 0);\n')
        program = shutil.which("firefox-esr") or "firefox"
        self.child = subprocess.Popen(
            [program, "--headless", "--no-remote", "--marionette", "--profile", profile],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = profile / "MarionetteActivePort"
        ends = time.monotonic() + LIMIT
        while not port.exists() or not port.read_text():
            if self.child.poll() is not None or time.monotonic() > ends:
                raise ordinary.Failed("Firefox does not start")
            time.sleep(0.05)
        self.socket = socket.create_connection(("127.0.0.1", int(port.read_text())), LIMIT)
        self.stream = self.socket.makefile("rb")
        self.message()
        self.count = 0
        self.ask("WebDriver:NewSession", acceptInsecureCerts=True)
        self.ask("WebDriver:SetTimeouts", script=LIMIT * 1000)

    def __enter__(self):
        return self

    def message(self):
        length = b""
        while (byte := self.stream.read(1)) != b":":
            if not byte:
                raise ordinary.Failed("Firefox has ended")
            length += byte
        return json.loads(self.stream.read(int(length)))

    def ask(self, method, **params):
        self.count += 1
        request = json.dumps([0, self.count, method, params])
        self.socket.sendall(f"{len(request)}:{request}".encode())
        _, _, error, result = self.message()
        if error:
            raise ordinary.Failed(f"{method}: {error['error']}")
        return result

    def open(self, address):
        self.ask("WebDriver:Navigate", url=address)

    def evaluate(self, script):
        work = f"(async () => eval({json.dumps(script)}))()"
        script = f"const done = arguments[0]; {work}.then(done, error => done(String(error)));"
        return self.ask("WebDriver:ExecuteAsyncScript", script=script, args=[])["value"]

    def __exit__(self, *_):
        try:
            self.ask("Marionette:Quit")
            self.child.wait(30)
        except (ordinary.Failed, OSError, subprocess.TimeoutExpired):
            self.child.kill()
            self.child.wait()
        self.socket.close()
        self.profile.cleanup()


def browsed(browser, other_page):
    """A WebSocket of a page of the server. Before it, of a page of another server: then Chromium has no
    connection of HTTP/2 that it could use."""
    script = (CLIENTS / "websocket.js").read_text()

    def ask(place):
        said = []
        pages = [place.url("http", "/")]
        if other_page and place.tls:
            pages.insert(0, f"http://127.0.0.1:{place.plain}/")
        for page in pages:
            browser.open(page)
            url = json.dumps(place.url("ws", "/version"))
            said.append(browser.evaluate(f"{script}\nwebsocketEchoes({url})"))
        return "; ".join(said)

    return ask


def clients(chromium, firefox, tls):
    """Name, function, and the expected answer."""
    node = ["node", "--experimental-websocket", CLIENTS / "websocket_node.mjs"]
    go = HTTP1.replace(" 4000 done", "")
    return [
        ("Python websockets", program(PYTHON, CLIENTS / "websocket_client.py"), HTTP1),
        ("Node WebSocket", program(*node), HTTP1),
        ("Node http2", program("node", CLIENTS / "websocket_http2.mjs", scheme="http"), HTTP2),
        ("Go x/net", program("go", "run", CLIENTS / "websocket_client.go"), go),
        ("nginx before it", proxied("nginx"), HTTP1),
        ("haproxy before it", proxied("haproxy"), HTTP2),
        ("Chromium", browsed(chromium, True), f"{HTTP1}; {HTTP2}" if tls else HTTP1),
        ("Firefox", browsed(firefox, False), HTTP2 if tls else HTTP1),
    ]


class Run:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.surprises = 0

    def note(self, backend, name, expected, work):
        try:
            got = work()
        except Exception as error:  # any error: the other clients continue
            got = f"{type(error).__name__}: {error}"
        self.surprises += got != expected
        verdict = "ok" if got == expected else f"SURPRISE: {got!r}, not {expected!r}"
        print(f"{backend:10} | {name:35} | {verdict}", flush=True)

    def backend(self, backend, plain, browsers):
        tls = backend != "none"
        files = [self.folder / name for name in ("cert.pem", "key.pem")] if tls else []
        log = self.folder / f"{backend}.log"
        given = ["--cert", files[0], "--key", files[1]] if tls else []
        upstream = f"http://127.0.0.1:{plain}"
        command = [COMMAND, "--tls", backend, "--listen", "127.0.0.1:0", "--workers", "1", *given]
        command += ["--upstream", upstream, "--access-log", log, "--access-log-format", "json"]
        with (
            ordinary.Server([ECHO, backend, *files], "websocket_echo", self.folder) as echo,
            ordinary.Server(command, "command", self.folder) as forwarding,
        ):
            expected = clients(*browsers, tls)
            place = Place(backend, self.folder, echo.port, plain)
            for name, client, answer in expected:
                self.note(backend, name, answer, lambda client=client: client(place))
            # The application behind the command sees HTTP/1.1, the log what the client had.
            place = Place(backend, self.folder, forwarding.port, plain)
            for name, client, answer in expected:
                answer = answer.replace("HTTP/2.0", "HTTP/1.1")
                self.note(backend, f"{name}, --upstream", answer, lambda client=client: client(place))
            for server in (echo, forwarding):
                server.child.stdin.close()
            forwarding.child.terminate()
            self.note(backend, "end of the servers", [0, 0], lambda: self.ended(echo, forwarding))
            versions = re.findall(r"HTTP/\S+(?=,)", "".join(answer + "," for _, _, answer in expected))
            self.note(backend, "access log", Counter(versions), lambda: logged(log))

    def compressed(self, browsers):
        """An upstream of Python, which compresses as the browsers wish: the proxy passes extensions."""
        server = [PYTHON, CLIENTS / "websocket_server.py"]
        command = [COMMAND, "--listen", "127.0.0.1:0", "--workers", "1"]
        with ordinary.Server(server, "websocket_server", self.folder) as upstream:
            command += ["--upstream", f"http://127.0.0.1:{upstream.port}"]
            with ordinary.Server(command, "command", self.folder) as forwarding:
                place = Place("rustls", self.folder, forwarding.port, None)
                for name, browser in zip(["Chromium", "Firefox"], browsers, strict=True):
                    ask = browsed(browser, False)
                    answer = f"{HTTP1}, permessage-deflate"
                    self.note("rustls", f"{name}, --upstream websockets", answer, lambda ask=ask: ask(place))

    def ended(self, *servers):
        return [server.child.wait(LIMIT) for server in servers]


def logged(log):
    """The versions of the requests that were upgraded."""
    lines = map(json.loads, log.read_text().splitlines())
    upgraded = {"HTTP/1.1": 101, "HTTP/2.0": 200}
    lines = (line for line in lines if line["path"] == "/version")
    return Counter(line["protocol"] for line in lines if line["status"] == upgraded[line["protocol"]])


def main():
    build()
    with tempfile.TemporaryDirectory(prefix="corelane-websocket-") as folder:
        run = Run(folder)
        ordinary.credentials(run.folder)
        with (
            ordinary.Server([ECHO, "none"], "websocket_echo", folder) as plain,
            ordinary.Browser() as chromium,
            Firefox() as firefox,
        ):
            for backend in sys.argv[1:] or ordinary.BACKENDS:
                run.backend(backend, plain.port, (chromium, firefox))
            run.compressed((chromium, firefox))
    print(f"{run.surprises} surprises")
    sys.exit(run.surprises > 0)


if __name__ == "__main__":
    main()
