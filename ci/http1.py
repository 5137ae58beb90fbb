#!/usr/bin/env python3
"""Asks the command for pages over HTTP/1.1, by common clients and proxies, on each TLS backend.

    ci/http1.py [BACKEND...]    default: rustls openssl native-tls none

Each client reads a page on a kept connection and has a body echoed, unless it can do one of them only.
Exits with 1 where an answer is not the expected one. `ci/setup clients servers` installs the clients.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/corelane"
PYTHON = ROOT / "target/ci/venv/bin/python"
CLIENTS = ROOT / "ci/clients"
LIMIT = 60  # seconds for one client
BODY = 1_000_000  # bytes that are echoed
REQUESTS = 200

# Debian keeps servers where users do not look.
os.environ["PATH"] += ":/usr/sbin"

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ }}
http {{
    access_log off; client_body_temp_path {dir}/uploads; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/a; uwsgi_temp_path {dir}/b; scgi_temp_path {dir}/c;
    client_max_body_size 8m;
    upstream corelane {{ server 127.0.0.1:{port}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{own};
        location / {{ proxy_pass {scheme}://corelane; }}
        location /kept/ {{
            proxy_pass {scheme}://corelane/; proxy_http_version 1.1; proxy_set_header connection "";
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 10s
    timeout client 10s
    timeout server 10s
frontend in
    bind 127.0.0.1:{own}
    default_backend corelane
backend corelane
    server one 127.0.0.1:{port} {tls}
"""


def run(*command):
    """The output of a client, both streams, and its exit status."""
    result = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
    )
    return result.stdout, result.returncode


class Place:
    """A server, and a folder for the files of its clients."""

    def __init__(self, backend, folder):
        self.folder = Path(folder)
        self.body = self.folder / "body"
        self.body.write_bytes(b"0123456789" * (BODY // 10))
        self.scheme = "http" if backend == "none" else "https"
        self.server = subprocess.Popen(
            [COMMAND, "--tls", backend, "--http1", "on", "--listen", "127.0.0.1:0", "--workers", "1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = re.search(r"://127\.0\.0\.1:(\d+)", self.server.stdout.readline()).group(1)
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def end(self):
        self.server.terminate()
        return self.server.wait(LIMIT)


def curl(*flags):
    def ask(place):
        echoed = place.folder / "echoed"
        page = place.folder / "page"
        common = ["curl", "-sSk", "--noproxy", "*", *flags, "-w", "%{http_version} %{http_code} "]
        # Two pages by one command use one connection.
        pages = [word for _ in range(2) for word in ("-o", page, f"{place.url}/")]
        got, _ = run(*common, "-w", "%{http_version} %{http_code} %{num_connects} ", *pages)
        echo, _ = run(*common, "-o", echoed, "--data-binary", f"@{place.body}", f"{place.url}/echo")
        same = echoed.read_bytes() == place.body.read_bytes()
        return f"{got}{echo}{'same' if same else 'another body'}"

    return ask


def wget(place):
    common = ["wget", "-q", "--no-check-certificate", "--no-proxy", "-O"]
    page, status = run(*common, "-", f"{place.url}/")
    echoed = place.folder / "echoed"
    run(*common, echoed, f"--post-file={place.body}", f"{place.url}/echo")
    same = echoed.read_bytes() == place.body.read_bytes()
    return f"{status} {'page' if 'worker' in page else page} {'same' if same else 'another body'}"


def program(*command):
    def ask(place):
        output, status = run(*command, place.url, place.body)
        return output.strip() if status == 0 else f"failed {status}: {output.strip()}"

    return ask


def ab(place):
    output, _ = run("ab", "-q", "-k", "-n", REQUESTS, "-c", 4, f"{place.url}/")
    kept = re.search(r"Keep-Alive requests:\s+(\d+)", output)
    complete = re.search(r"Complete requests:\s+(\d+)", output)
    failed = re.search(r"Failed requests:\s+(\d+)", output)
    return " ".join(found.group(1) if found else "?" for found in (complete, failed, kept))


def wrk(place):
    output, _ = run("wrk", "-t", 1, "-c", 4, "-d", "1s", f"{place.url}/")
    answered = re.search(r"(\d+) requests in", output)
    wrong = "Non-2xx" in output or "Socket errors" in output
    return "answered" if answered and int(answered.group(1)) > 0 and not wrong else output


def proxied(name, text, command, paths):
    """What curl gets through a proxy in front."""

    def ask(place):
        own = free_port()
        config = place.folder / f"{name}.conf"
        tls = "" if place.scheme == "http" else "ssl verify none alpn http/1.1"
        values = {"dir": place.folder, "port": place.port, "own": own, "scheme": place.scheme, "tls": tls}
        config.write_text(text.format(**values))
        proxy = subprocess.Popen([*command, str(config)], stderr=subprocess.PIPE, text=True)
        try:
            wait_for(own, proxy)
            answers = []
            for path in paths:
                url = f"http://127.0.0.1:{own}{path}"
                with urllib.request.urlopen(url, timeout=LIMIT) as page:
                    answers.append(str(page.status))
                with urllib.request.urlopen(f"{url}echo", place.body.read_bytes(), LIMIT) as echo:
                    same = echo.read() == place.body.read_bytes()
                    answers.append("same" if same else "another body")
            return " ".join(answers)
        finally:
            proxy.terminate()
            proxy.wait(LIMIT)

    return ask


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(port, process):
    ends = time.monotonic() + LIMIT
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RuntimeError(process.stderr.read())
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError("the proxy does not listen")


PAGES = "three pages on one connection, the same body"
NGINX_COMMAND = ["nginx", "-e", "stderr", "-c"]

# Name, function, and the expected answer.
EXPECTED = [
    ("curl --http1.1", curl("--http1.1"), "1.1 200 1 1.1 200 0 1.1 200 same"),
    ("curl --http1.0", curl("--http1.0"), "1 200 1 1 200 1 1 200 same"),
    ("curl --http1.1 --no-alpn", curl("--http1.1", "--no-alpn"), "1.1 200 1 1.1 200 0 1.1 200 same"),
    ("wget", wget, "0 page same"),
    ("requests", program(PYTHON, CLIENTS / "http1_calls.py"), PAGES),
    ("urllib3", program(PYTHON, CLIENTS / "http1_urllib3.py"), PAGES),
    ("node https", program("node", CLIENTS / "http1_calls.mjs"), PAGES),
    ("Go net/http", program("go", "run", CLIENTS / "http1_calls.go"), PAGES),
    ("Java HttpClient", program("java", CLIENTS / "Http1Calls.java"), PAGES),
    ("ab -k", ab, f"{REQUESTS} 0 {REQUESTS}"),
    ("wrk", wrk, "answered"),
    ("nginx before it", proxied("nginx", NGINX, NGINX_COMMAND, ["/", "/kept/"]), "200 same 200 same"),
    ("haproxy before it", proxied("haproxy", HAPROXY, ["haproxy", "-q", "-f"], ["/"]), "200 same"),
]


def main():
    surprises = 0
    for backend in sys.argv[1:] or ["rustls", "openssl", "native-tls", "none"]:
        for name, client, expected in EXPECTED:
            with tempfile.TemporaryDirectory() as folder:
                place = Place(backend, folder)
                try:
                    got = client(place)
                except Exception as error:
                    got = f"{type(error).__name__}: {error}"
                status = place.end()
                ok = got == expected and status == 0
                surprises += not ok
                verdict = "ok" if ok else f"SURPRISE: {got!r}, exit status {status}"
                print(f"{backend:10} | {name:24} | {verdict}")
    print(f"{surprises} surprises")
    sys.exit(surprises > 0)


main()
