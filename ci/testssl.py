#!/usr/bin/env python3
"""Runs testssl.sh on the command's server, backend by backend.

    ci/testssl.py [BACKEND...]    default: rustls openssl native-tls

Not part of ci/test and ci/full: it takes minutes, and its findings change with its version. Exits
with 1 on a finding of MEDIUM or worse that is not explained below; docs/security.md has the same
explanations. The server accepts clients without ALPN here, because most of testssl.sh's have none.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1800  # seconds for one backend
SEVERE = ("MEDIUM", "HIGH", "CRITICAL")

# Findings that are expected here, by the start of their id.
SELF_SIGNED = "the command's certificate is self-signed, made in memory for localhost"
ORDER = "the server follows the client's order: all its suites are AEAD with forward secrecy"
CBC = "native-tls' acceptor lists CBC suites last, and has no way to leave them out"
EXPLAINED = {
    "cert_chain_of_trust": SELF_SIGNED,
    "cert_revocation": SELF_SIGNED,
    "DNS_CAArecord": "localhost has none",
    "security_headers": "HTTP/1.1 gets 505 in plain text; the fields of responses are the application's",
}
EXPLAINED_OF = {
    "rustls": {"cipher_order": ORDER},
    "openssl": {"cipher_order": ORDER},
    "native-tls": {"LUCKY13": CBC, "cipherlist_AVERAGE": CBC},
}


def scan(program, backend, directory):
    server = subprocess.Popen(
        [ROOT / "target/debug/corelane", "--tls", backend, "--listen", "127.0.0.1:0",
         "--workers", "2", "--alpn-missing", "allow"],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        port = re.search(r"https://127.0.0.1:(\d+)", server.stdout.readline()).group(1)
        report = Path(directory) / f"{backend}.json"
        ran = subprocess.run(
            [program, "--quiet", "--color", "0", "--warnings", "batch", "--ip", "one",
             "--jsonfile", report, f"localhost:{port}"],
            capture_output=True, text=True, timeout=LIMIT,
        )
        alive = server.poll() is None
    finally:
        server.kill()
        server.wait()
    if not alive:
        sys.exit(f"ci/testssl.py: the server stopped during the scan\n{ran.stdout}")
    findings = json.loads(report.read_text())
    if len(findings) < 50:
        sys.exit(f"ci/testssl.py: {len(findings)} findings only\n{ran.stdout}\n{ran.stderr}")
    return findings


def main():
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        sys.exit("ci/testssl.py: testssl.sh is missing (Debian: apt-get install testssl.sh)")
    subprocess.run(
        ["cargo", "build", "--quiet", "-p", "corelane-cli", "--features", "native-tls,openssl"],
        cwd=ROOT, check=True,
    )
    failed = False
    for backend in sys.argv[1:] or ["rustls", "openssl", "native-tls"]:
        with tempfile.TemporaryDirectory() as directory:
            findings = scan(program, backend, directory)
        explained = EXPLAINED | EXPLAINED_OF[backend]
        grade = [f["finding"] for f in findings if f["id"] in ("overall_grade", "grade")]
        print(f"== {backend}: {len(findings)} findings, grade {grade[0] if grade else 'not given'}")
        for finding in findings:
            if finding["severity"] not in SEVERE + ("LOW", "WARN"):
                continue
            why = next((why for id, why in explained.items() if finding["id"].startswith(id)), None)
            mark = why or "-"
            if finding["severity"] in SEVERE and not why:
                failed, mark = True, "NOT EXPLAINED"
            print(f"{finding['severity']:8} {finding['id']}: {finding['finding']}  [{mark}]")
    sys.exit(failed)


if __name__ == "__main__":
    main()
