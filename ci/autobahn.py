#!/usr/bin/env python3
"""Runs the test suite of Autobahn, a client that breaks WebSocket's rules, on each backend.

    ci/autobahn.py [BACKEND...]               default: rustls openssl native-tls none
    ci/autobahn.py --upstream [BACKEND...]    the same through the command's proxy

The server is an application on axum (ci/clients/websocket_echo.rs), over HTTP/1.1 and, through haproxy,
over HTTP/2 (RFC 8441). Not part of ci/test and ci/full: it takes a minute for each backend, and the suite
needs Python 2.7 with its pip and headers: python2.7 on PATH, or what PYTHON2 names. It is installed below
target/ci. Exits with 1 where a case fails; the cases of compression are left out, which axum does not have.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import ordinary
import websocket

SUITE = websocket.ROOT / "target/ci/autobahn"
VERSION = "autobahntestsuite==25.10.1"
LIMIT = 1200  # seconds for all cases on one backend
CASES = 301
PASSED = ["OK", "NON-STRICT", "INFORMATIONAL"]

RUN = f"""
import site
site.addsitedir({str(SUITE)!r})
from autobahntestsuite.wstest import run
run()
"""


def install():
    """Returns the interpreter that has the suite."""
    python = os.environ.get("PYTHON2") or shutil.which("python2.7")
    if not python:
        sys.exit("ci/autobahn.py: there is no python2.7; name one by PYTHON2")
    if not (SUITE / "autobahntestsuite").exists():
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", SUITE, VERSION], check=True)
    return python


def judge(results):
    """The cases that failed, of one server."""
    outcomes = Counter(case["behavior"] for case in results.values())
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    failed = [
        name
        for name, case in results.items()
        if case["behavior"] not in PASSED or case["behaviorClose"] not in PASSED
    ]
    if len(results) != CASES:
        failed.append(f"{len(results)} cases, not {CASES}")
    return counts, failed


def run(python, backend, folder, behind_proxy):
    files = [] if backend == "none" else [folder / "cert.pem", folder / "key.pem"]
    application = ["none"] if behind_proxy else [backend, *files]
    with ExitStack() as stack:
        echo = ordinary.Server([websocket.ECHO, *application], "websocket_echo", folder)
        port = stack.enter_context(echo).port
        if behind_proxy:
            command = [websocket.COMMAND, "--tls", backend, "--listen", "127.0.0.1:0"]
            command += ["--upstream", f"http://127.0.0.1:{port}"]
            port = stack.enter_context(ordinary.Server(command, "command", folder)).port
        place = websocket.Place(backend, folder, port, None)
        own = stack.enter_context(websocket.proxy("haproxy", place))
        servers = {
            f"{backend}, HTTP/1.1": place.url("ws", "/echo"),
            f"{backend}, HTTP/2": f"ws://127.0.0.1:{own}/echo",
        }
        reports = folder / f"reports-{backend}"
        spec = folder / "spec.json"
        spec.write_text(
            json.dumps(
                {
                    "outdir": str(reports),
                    "servers": [{"agent": name, "url": url} for name, url in servers.items()],
                    "cases": ["*"],
                    "exclude-cases": ["12.*", "13.*"],
                    "exclude-agent-cases": {},
                }
            )
        )
        command = [python, "-c", RUN, "--mode", "fuzzingclient", "--spec", spec]
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            timeout=LIMIT,
        )
        if ran.returncode != 0:
            sys.exit(f"ci/autobahn.py: the suite ended with {ran.returncode}:\n{ran.stdout[-4000:]}")
        return json.loads((reports / "index.json").read_text())


def main():
    python = install()
    websocket.build()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="corelane-autobahn-") as folder:
        folder = Path(folder)
        ordinary.credentials(folder)
        backends = [word for word in sys.argv[1:] if word != "--upstream"]
        for backend in backends or ordinary.BACKENDS:
            for name, results in run(python, backend, folder, "--upstream" in sys.argv).items():
                counts, failed = judge(results)
                failures += len(failed)
                verdict = f"FAILED: {', '.join(failed)}" if failed else "passed"
                print(f"{name:22} | {counts} | {verdict}", flush=True)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
