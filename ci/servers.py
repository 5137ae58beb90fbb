#!/usr/bin/env python3
"""Prints how common servers answer ALPN, as `corelane alpn` and `openssl s_client` see it.

    ci/servers.py              one table
    ci/servers.py --markdown   the same for docs/alpn.md

Starts each server of Debian's packages on loopback, with HTTP/2 on and off. Exits with 1 where the
command's report and `openssl s_client` differ on the same offer, where a server answers differently
from SERVERS below, or where one hangs. Stops every server and removes its files.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
COMMAND = TARGET / "debug/corelane"
PYTHON = ROOT / "target/ci/venv/bin/python"
READER = ROOT / "ci/clients/read_report.py"
LIMIT = 60  # seconds for a server to start, for one client and for a server to end

# Each offer and the flags that make `openssl s_client` send it.
OFFERS = {
    "h2": ["-alpn", "h2"],
    "h2,http/1.1": ["-alpn", "h2,http/1.1"],
    "http/1.1,h2": ["-alpn", "http/1.1,h2"],
    "http/1.1": ["-alpn", "http/1.1"],
    "x-unknown": ["-alpn", "x-unknown"],
    "none": [],
    r"\x1a\x1a,h2": ["-alpn", "\x1a\x1a,h2"],
    "h2 (TLS 1.2)": ["-alpn", "h2", "-tls1_2"],
    "h2 (TLS 1.3)": ["-alpn", "h2", "-tls1_3"],
}

NGINX = """
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    ssl_certificate {dir}/cert.pem;
    ssl_certificate_key {dir}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{port} ssl%s;
        location / {{ return 200 "ok"; }}
    }}
}}
"""

H2O = """
listen:
  host: 127.0.0.1
  port: {port}
  ssl:
    certificate-file: {dir}/cert.pem
    key-file: {dir}/key.pem
num-threads: 1
hosts:
  default:
    paths:
      /:
        file.dir: {dir}/www
"""

HAPROXY = """
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend tls
    bind 127.0.0.1:{port} ssl crt {dir}/both.pem%s
    http-request return status 200 content-type text/plain string ok
"""

# Terminates TLS and passes the bytes to a server that speaks HTTP/1.1 only.
HAPROXY_TCP = """
defaults
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend tls
    mode tcp
    bind 127.0.0.1:{port} ssl crt {dir}/both.pem alpn h2,http/1.1
    default_backend plain
backend plain
    mode tcp
    server plain unix@{dir}/plain.sock
frontend plain
    mode http
    option disable-h2-upgrade
    bind unix@{dir}/plain.sock
    http-request return status 200 content-type text/plain string ok
"""

APACHE = """
ServerRoot {dir}
ServerName localhost
PidFile {dir}/apache2.pid
ErrorLog {dir}/apache2.log
Mutex file:{dir} default
DefaultRuntimeDir {dir}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
User www-data
Group www-data
Listen 127.0.0.1:{port}
Protocols %s
SSLEngine on
SSLCertificateFile {dir}/cert.pem
SSLCertificateKeyFile {dir}/key.pem
DocumentRoot {dir}/www
"""

S_SERVER = ["openssl", "s_server", "-quiet", "-www", "-accept", "127.0.0.1:{port}"]
S_SERVER += ["-cert", "{dir}/cert.pem", "-key", "{dir}/key.pem"]

# The configuration, the command and how to ask for the version; the rules for `corelane alpn`, its exit
# status, and its time limit in seconds for a server that never answers HTTP/2.
Server = namedtuple("Server", "name setting config command version rules status patience")
PATIENCE = "5"


def nginx(setting, listen, rules):
    command = ["nginx", "-e", "{dir}/nginx.log", "-p", "{dir}", "-c", "{config}"]
    return Server("nginx", setting, NGINX % listen, command, ["nginx", "-v"], rules, 0, PATIENCE)


def haproxy(setting, config, rules, status=0):
    command = ["haproxy", "-db", "-q", "-f", "{config}"]
    return Server("haproxy", setting, config, command, ["haproxy", "-v"], rules, status, PATIENCE)


def apache(setting, protocols, rules):
    command = ["apache2", "-DFOREGROUND", "-f", "{config}"]
    return Server("apache2", setting, APACHE % protocols, command, ["apache2", "-v"], rules, 0, PATIENCE)


def s_server(setting, rules, status):
    command = [*S_SERVER, *setting.split()]
    return Server("openssl s_server", setting, "", command, ["openssl", "version"], rules, status, "1")


SERVERS = [
    nginx("h2 on", " http2", ["h2", "http/1.1", "none=none", "x-unknown=alert:120"]),
    nginx("h2 off", "", ["http/1.1", "none=none", "h2=alert:120"]),
    # HTTP/2 cannot be turned off.
    Server("h2o", "h2 on", H2O, ["h2o", "-c", "{config}"], ["h2o", "-v"], ["h2"], 0, PATIENCE),
    haproxy("h2 on", HAPROXY % " alpn h2,http/1.1", ["h2", "http/1.1", "none=none"]),
    haproxy("h2 off", HAPROXY % " alpn http/1.1", ["http/1.1", "none=none"]),
    haproxy("no ALPN", HAPROXY % "", ["none=none"]),
    # Chooses h2 and speaks HTTP/1.1: the most common fault.
    haproxy("TCP to HTTP/1.1", HAPROXY_TCP, ["h2"], 1),
    apache("h2 on", "h2 http/1.1", ["h2", "http/1.1", "none=none"]),
    apache("h2 off", "http/1.1", ["http/1.1", "none=none"]),
    # The same fault, and the server does not answer the HTTP/2 preface.
    s_server("-alpn h2", ["h2"], 1),
    s_server("-alpn http/1.1", ["http/1.1", "h2=alert:120", "none=none"], 0),
]


def s_client(port, flags):
    """What `openssl s_client` reports: the protocol, none, the alert, closed or invalid; and the TLS
    version."""
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *flags],
        input="",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
    )
    if alert := re.search(r"alert number (\d+)", result.stdout):
        return f"alert {alert[1]}", None
    if result.returncode != 0:
        return "closed" if "unexpected eof" in result.stdout else "invalid", None
    protocol = re.search(r"^ALPN protocol: (.+)$", result.stdout, re.M)
    if protocol and protocol[1] not in "".join(flags[1:2]).split(","):
        return "invalid", None  # as newer versions say of a protocol that was not offered
    version = re.search(r"New, (TLSv[\d.]+), Cipher is", result.stdout)
    return protocol[1] if protocol else "none", version[1].replace("v", " ")


def alpn(server, port):
    """The rows of `corelane alpn`."""
    rules = [word for rule in server.rules for word in ("--expect", rule)]
    result = subprocess.run(
        [COMMAND, "alpn", f"localhost:{port}", "--connect", "127.0.0.1", "--insecure"]
        + [*rules, "--timeout", server.patience, "--format", "json"],
        # It trusts any certificate; OpenSSL would read those of the system for each offer.
        env={**os.environ, "SSL_CERT_FILE": os.devnull},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    report = json.loads(result.stdout)
    if result.returncode != server.status:
        broken = [broken["reason"] for rule in report["expectations"] for broken in rule["broken"]]
        sys.exit(
            f"ci/servers.py: {server.name}, {server.setting}: ended with {result.returncode} "
            f"where {server.status} was due: {broken}"
        )
    read = [PYTHON, READER, "json"]
    subprocess.run(read, input=result.stdout, text=True, check=True, stdout=subprocess.DEVNULL)
    return [row for row in report["rows"] if row["outcome"]["kind"] != "unsupported"]


def as_s_client(row):
    """A row as `s_client` would report it."""
    outcome = row["outcome"]
    if outcome["kind"] == "negotiated":
        return outcome["alpn_protocol"] or "none", outcome["tls_version"]
    if outcome["kind"] == "alert":
        return f"alert {outcome['number']}", None
    return outcome["kind"], None


def cell(row):
    """A row for the table."""
    http2 = row["outcome"].get("http2")
    answer = as_s_client(row)[0]
    if answer == "none":  # HTTP/2 is tried, but the server did not promise it
        return "no ALPN, yet HTTP/2" if http2 and http2["served"] else "no ALPN"
    return answer if not http2 or http2["served"] else f"{answer}, not served"


def differences(server, rows, port):
    """Rows that `s_client` does not confirm."""
    said = {offer: s_client(port, flags) for offer, flags in OFFERS.items()}
    missing = set(said) - {row["offer"]["text"] for row in rows}
    if missing:
        yield f"{server.name}, {server.setting}: not offered: {', '.join(missing)}"
    for row in rows:
        offer, got = row["offer"]["text"], as_s_client(row)
        if row["outcome"]["kind"] == "timed-out":
            yield f"{server.name}, {server.setting}: {offer}: no answer to {row['client']}"
        elif row["offer"]["malformed"] is None and said.get(offer, got) != got:
            by = f"{row['client']} got {got}, openssl s_client {said[offer]}"
            yield f"{server.name}, {server.setting}: {offer}: {by}"


def version_of(server):
    output = subprocess.run(
        server.version, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout
    return re.search(r"\d+\.\d+\.\d+", output)[0]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Running:
    """A server that accepts connections until the end of the block."""

    def __init__(self, server, directory):
        self.port = free_port()
        config = directory / f"{server.name}-{server.setting}.conf".replace(" ", "-").replace("/", "-")
        config.write_text(server.config.format(dir=directory, port=self.port))
        places = {"dir": directory, "port": self.port, "config": config}
        self.log = open(directory / "output", "w+")
        self.child = subprocess.Popen(
            [word.format(**places) for word in server.command],
            stdin=subprocess.PIPE,  # openssl s_server ends when its input does
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self):
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self.port
            except OSError:
                pass
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                self.log.seek(0)
                sys.exit(f"ci/servers.py: {self.child.args[0]} did not start:\n{self.log.read()}")
            time.sleep(0.05)

    def __exit__(self, *_):
        self.child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(LIMIT / 6)
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)  # its child processes too
        self.child.wait()
        self.child.stdin.close()


def credentials(directory):
    """A self-signed certificate for localhost, in the form that each server needs."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True,
        capture_output=True,
    )
    both = (directory / "cert.pem").read_text() + (directory / "key.pem").read_text()
    (directory / "both.pem").write_text(both)
    (directory / "www").mkdir()
    (directory / "www/index.html").write_text("ok\n")


def line(server, rows):
    """The answers to all clients, by offer."""
    answers = {}
    for row in rows:
        answers.setdefault(row["offer"]["text"], []).append(cell(row))
    cells = {offer: " / ".join(dict.fromkeys(got)) for offer, got in answers.items()}
    return {"server": f"{server.name} {version_of(server)}", "setting": server.setting, **cells}


def show(lines, markdown):
    """Prints the lines as one table: a column for each offer, one for all malformed offers."""
    heads = {head: head for head in lines[0] if not head.startswith("malformed")}
    for row in [heads, *lines]:
        bad = [row[head] for head in row if head.startswith("malformed")]
        row["malformed"] = ", ".join(dict.fromkeys(bad)) or "malformed"
    if markdown:  # the text states the columns that equal h2's
        for head in [*OFFERS][1:]:
            if all(row[head] == row["h2"] for row in lines):
                del heads[head]
    widths = {head: max(len(row[head]) for row in [heads, *lines]) for head in heads}
    if markdown:
        print("|", " | ".join(f"`{it}`" if it in OFFERS else it for it in heads), "|")
        print("|", " | ".join("---" for _ in heads), "|")
        for row in lines:
            print("|", " | ".join(row[head] for head in heads), "|")
    else:
        for row in [heads, *lines]:
            print("  ".join(row[head].ljust(widths[head]) for head in heads).rstrip())


def main():
    os.environ["PATH"] += ":/usr/sbin"  # where Debian keeps servers
    os.environ.pop("SSLKEYLOGFILE", None)
    # With the flags of the tests: other flags would build the dependencies again.
    command = ["cargo", "test", "--no-run", "--quiet", "--workspace", "--features", "native-tls,openssl"]
    subprocess.run([*command, "--test", "alpn"], cwd=ROOT, check=True)
    directory = Path(tempfile.mkdtemp(prefix="corelane-servers-"))
    directory.chmod(0o755)  # some servers give up root before they read their files
    lines, differing, count = [], [], 0
    try:
        credentials(directory)
        for server in SERVERS:
            with Running(server, directory) as port:
                rows = alpn(server, port)
                differing += differences(server, rows, port)
                lines.append(line(server, rows))
                count += len(rows)
    finally:
        shutil.rmtree(directory)
    show(lines, "--markdown" in sys.argv)
    for difference in differing:
        print(f"DIFFERENT: {difference}", file=sys.stderr)
    sys.stdout.flush()
    print(f"\n{len(lines)} servers, {count} rows, {len(differing)} differences", file=sys.stderr)
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
