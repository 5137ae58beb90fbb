#!/usr/bin/env python3
"""Counts the sessions of external clients that resume: it has to be 100 of 100 in each case.

    ci/resumption.py [BACKEND...]    default: rustls openssl native-tls

`openssl s_client` and Go's net/http visit a process with two workers, a process that restarts between
their visits, and two processes with shared ticket keys, which change by the steps of docs/operations.md.
native-tls has no ticket keys, so only the first case applies. curl keeps no session after its end.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/corelane"
SESSIONS = 100
LIMIT = 60  # seconds for a reload
SETTINGS = b"\x04\0\0\0\0\0"  # type, flags and stream of the frame
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0" + SETTINGS


class Server:
    def __init__(self, backend, directory, name, keys=None, port=0):
        options = ["--ticket-keys", keys] if keys else []
        self.log = directory / f"log-{name}"
        self.process = subprocess.Popen(
            [COMMAND, "-v", "--tls", backend, "--listen", f"127.0.0.1:{port}", "--workers", "2", *options],
            stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True,
        )
        line = self.process.stdout.readline()
        self.port = re.search(r"https://127.0.0.1:(\d+)", line).group(1)

    def reload(self):
        done = "certificates reloaded"
        before = self.log.read_text().count(done)
        self.process.send_signal(signal.SIGHUP)
        ends = time.monotonic() + LIMIT
        while self.log.read_text().count(done) == before:
            if time.monotonic() > ends:
                sys.exit(f"ci/resumption.py: the server does not reload\n{self.log.read_text()}")
            time.sleep(0.01)

    def end(self):
        self.process.kill()
        self.process.wait()


class Openssl:
    """`openssl s_client`, which keeps its session in a file. Under TLS 1.2 it does not take a ticket that
    replaces another, so its session ends with the key of the first one."""

    name = "openssl s_client"

    def __init__(self, directory, version):
        self.version = version
        self.file = directory / "session"
        self.file.unlink(missing_ok=True)

    def visit(self, port):
        known = ["-sess_in", self.file] if self.file.exists() else []
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
             "-alpn", "h2", "-tls" + self.version.replace(".", "_"), "-sess_out", self.file, *known],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        client.stdin.write(PREFACE)
        client.stdin.flush()
        # Under TLS 1.3, the session comes after the handshake, and before SETTINGS.
        output = b""
        while SETTINGS not in output:
            more = os.read(client.stdout.fileno(), 65536)
            if not more:
                sys.exit(f"ci/resumption.py: s_client failed\n{output.decode(errors='replace')}")
            output += more
        client.communicate()
        return b"\nReused, " in output

    def end(self):
        pass


class Go:
    """Go's net/http."""

    name = "Go"

    def __init__(self, directory, version):
        program = directory / "http2_resume"
        if not program.exists():
            source = ROOT / "ci/clients/http2_resume.go"
            subprocess.run(["go", "build", "-o", program, source], check=True)
        self.process = subprocess.Popen(
            [program, version], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def visit(self, port):
        self.process.stdin.write(f"https://127.0.0.1:{port}/\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if answer[1:] != ["HTTP/2.0", "200"]:
            sys.exit(f"ci/resumption.py: Go: {answer}")
        return answer[0] == "true"

    def end(self):
        self.process.kill()
        self.process.wait()


def write(keys, digits):
    rest = "b0c25a86e0d2c79e1f92a9c6b3cc9d1a2f0a5f2b8b7c6d5e4f3021120394857"
    keys.write_text("".join(f"{digit}{rest}\n" for digit in digits))
    keys.chmod(0o600)


def two_workers(backend, directory, client):
    server = Server(backend, directory, "a")
    client.visit(server.port)
    resumed = sum(client.visit(server.port) for _ in range(SESSIONS))
    server.end()
    return resumed


def restarts(backend, directory, client):
    keys = directory / "keys"
    write(keys, "a")
    server = Server(backend, directory, "a", keys)
    client.visit(server.port)
    resumed = 0
    for _ in range(4):
        server.end()
        server = Server(backend, directory, "a", keys)
        resumed += sum(client.visit(server.port) for _ in range(SESSIONS // 4))
    server.end()
    return resumed


def rotation(backend, directory, client):
    keys = directory / "keys"
    write(keys, "a")
    hosts = [Server(backend, directory, name, keys) for name in "ab"]
    client.visit(hosts[0].port)
    # A step on one host, visits, the same step on the other one, visits.
    changes = [(digits, host) for digits in ("a0b", "ba", "b0c", "cb") for host in hosts]
    resumed = 0
    for i in range(SESSIONS):
        if i % 12 == 0 and changes:
            digits, host = changes.pop(0)
            write(keys, digits)
            host.reload()
        resumed += client.visit(hosts[i % 2].port)
    for host in hosts:
        host.end()
    return resumed


def main():
    if not COMMAND.exists():
        sys.exit("ci/resumption.py: cargo build -p corelane-cli --features native-tls,openssl first")
    clients = [Openssl, Go]
    if not shutil.which("go"):
        print("NOT TESTED: Go is missing (Debian: golang-go)")
        clients.remove(Go)
    lost = False
    for backend in sys.argv[1:] or ["rustls", "openssl", "native-tls"]:
        own_keys = backend == "native-tls"
        for case in [two_workers] if own_keys else [two_workers, restarts, rotation]:
            for version in ["1.2"] if own_keys else ["1.2", "1.3"]:
                for kind in clients:
                    if (case, version, kind) == (rotation, "1.2", Openssl):
                        continue
                    with tempfile.TemporaryDirectory() as directory:
                        client = kind(Path(directory), version)
                        resumed = case(backend, Path(directory), client)
                        client.end()
                    print(f"{backend}, {case.__name__}, TLS {version}, {kind.name}: "
                          f"{resumed} of {SESSIONS}", flush=True)
                    lost |= resumed != SESSIONS
    sys.exit(lost)


if __name__ == "__main__":
    main()
