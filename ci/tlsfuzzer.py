#!/usr/bin/env python3
"""Runs scripts of tlsfuzzer on the command's server, backend by backend.

    ci/tlsfuzzer.py CHECKOUT [BACKEND...]    default: rustls openssl native-tls
    ci/tlsfuzzer.py CHECKOUT BACKEND --only SCRIPT...

CHECKOUT is a directory with the repository tlsfuzzer. Not part of ci/test and ci/full: it takes minutes.
Each script has conversations, of which it chooses some by chance. Exits with 1 if one fails that
ci/tlsfuzzer.toml does not explain.

The scripts speak HTTP/1.0 and have no ALPN: the server accepts such clients here, and answers them 505.
Most of those for TLS 1.2 offer suites with CBC, which rustls and the openssl backend do not have. They run
with AES-128-GCM in place of AES-128-CBC, unless they are about CBC or RSA key exchange: those run on
native-tls and openssl, under a lax policy of the system.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/corelane"
PYTHON = ROOT / "target/ci/venv/bin/python"
LIMIT = 240  # seconds for one script
JOBS = 2

# Runs a script, with other suites if they are given. An answer counts as missing after 2 s: the 0.1 s of
# tlsfuzzer are too short on a loaded machine.
RUN = """
import importlib, sys
from tlslite.constants import CipherSuite
sys.path.insert(0, sys.argv[1])
from tlsfuzzer.expect import ExpectNoMessage
ExpectNoMessage.__init__.__defaults__ = (2.0,)
if sys.argv[2] == "aead":
    for size, hash in ((128, "SHA256"), (256, "SHA384")):
        gcm = getattr(CipherSuite, f"TLS_ECDHE_RSA_WITH_AES_{size}_GCM_{hash}")
        setattr(CipherSuite, f"TLS_ECDHE_RSA_WITH_AES_{size}_CBC_SHA", gcm)
name = "test_" + sys.argv[3].replace("-", "_")
sys.argv[:4] = [name]
importlib.import_module("tlsfuzzer._apps." + name).main()
"""

LAX = """openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
CipherString = DEFAULT:@SECLEVEL=0
MinProtocol = TLSv1.2
"""


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def certificates(directory):
    """The server's certificate, and clients of an authority, one for each kind of key."""
    files = {name: str(directory / name) for name in ("server", "authority")}
    leaf = "basicConstraints=critical,CA:FALSE"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "60", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,DNS:localhost4", "-addext", leaf,
            "-keyout", files["server"] + ".key", "-out", files["server"] + ".crt")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "60", "-subj", "/CN=clients",
            "-keyout", files["authority"] + ".key", "-out", files["authority"] + ".crt")
    extensions = directory / "extensions"
    extensions.write_text(f"{leaf}\nkeyUsage=digitalSignature\n")
    for kind, algorithm in {
        "rsa": ["rsa:2048"],
        "pss": ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "ed25519": ["ed25519"],
        "ed448": ["ed448"],
    }.items():
        files[kind] = str(directory / kind)
        openssl("req", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={kind}",
                "-keyout", files[kind] + ".key", "-out", files[kind] + ".csr")
        openssl("x509", "-req", "-in", files[kind] + ".csr", "-CA", files["authority"] + ".crt",
                "-CAkey", files["authority"] + ".key", "-CAcreateserial", "-days", "60",
                "-extfile", str(extensions), "-out", files[kind] + ".crt")
    return files


class Server:
    def __init__(self, backend, files, *options, policy=None):
        environment = {**os.environ, **({"OPENSSL_CONF": policy} if policy else {})}
        self.process = subprocess.Popen(
            [COMMAND, "--tls", backend, "--listen", "127.0.0.1:0",
             "--workers", "2", "--alpn-missing", "allow",
             "--cert", files["server"] + ".crt", "--key", files["server"] + ".key", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )
        line = self.process.stdout.readline()
        self.port = re.search(r"https://127.0.0.1:(\d+)", line).group(1)

    def end(self):
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        return alive


def failures(output):
    """The conversations that failed, each with the last error."""
    found = {}
    for part in re.split(r"\n(?=[^\n]+ \.\.\.\n)", "\n" + output.split("\nTest end")[0]):
        name, separator, text = part.lstrip("\n").partition(" ...\n")
        if separator and not re.search(r"^OK", text, re.M):
            errors = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception)\b:? *(.*)", text, re.M)
            found[name] = errors[-1] if errors else text.strip()[-100:]
    return found


def run(checkout, script, port, files):
    arguments = ["-h", "127.0.0.1", "-p", port]
    for argument in script.get("arguments", []):
        arguments.append(argument.format(**files))
    suites = "cbc" if script.get("suites") == "cbc" else "aead"
    try:
        ran = subprocess.run(
            [PYTHON, "-c", RUN, checkout, suites, script["name"], *arguments],
            cwd=checkout, capture_output=True, text=True, timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return {"*": f"not over after {LIMIT} s"}, 0
    passed = re.findall(r"^PASS: *(\d+)", ran.stdout, re.M)
    failed = failures(ran.stdout)
    if not passed or (ran.returncode != 0 and not failed):
        failed["*"] = (ran.stdout + ran.stderr)[-300:].replace("\n", " ")
    return failed, int(passed[-1]) if passed else 0


def explanation(script, backend, conversation):
    for expected in script.get("expected", []):
        of_backend = backend in expected.get("backends", [backend])
        if of_backend and re.fullmatch(expected["conversations"], conversation):
            return expected["why"]
    return None


def is_for(script, backend):
    if script["name"].startswith("tls13") and backend == "native-tls":
        return False
    if script.get("server") == "clients" and backend == "native-tls":
        return False
    return script.get("suites") != "cbc" or backend != "rustls"


def check(checkout, backend, scripts, files, policy):
    servers = {"plain": Server(backend, files)}
    if backend != "rustls":
        servers["cbc"] = Server(backend, files, policy=policy)
    if backend != "native-tls":
        servers["clients"] = Server(backend, files, "--client-ca", files["authority"] + ".crt")

    def judge(script):
        which = "cbc" if script.get("suites") == "cbc" else script.get("server", "plain")
        return script, *run(checkout, script, servers[which].port, files)

    unexplained, conversations, explained = [], 0, 0
    scripts = [script for script in scripts if is_for(script, backend)]
    with ThreadPoolExecutor(JOBS) as pool:
        for script, failed, passed in pool.map(judge, scripts):
            conversations += passed + len(failed)
            for conversation, error in failed.items():
                if explanation(script, backend, conversation):
                    explained += 1
                else:
                    unexplained.append(script["name"])
                    print(f"FAILED {backend} {script['name']}: {conversation}: {error}", flush=True)
    for name, server in servers.items():
        if not server.end():
            unexplained.append(name)
            print(f"FAILED {backend}: the server for {name} stopped")
    print(f"{backend}: {len(scripts)} scripts, {conversations} conversations, {explained} of them "
          f"explained, {len(unexplained)} failed", flush=True)
    return not unexplained


def main():
    arguments, _, only = " ".join(sys.argv[1:]).partition(" --only ")
    checkout, *backends = arguments.split() or sys.exit(__doc__)
    checkout = str(Path(checkout).resolve())
    scripts = tomllib.loads((ROOT / "ci/tlsfuzzer.toml").read_text())["script"]
    if only:
        scripts = [script for script in scripts if script["name"] in only.split()]
    if not COMMAND.exists():
        sys.exit("ci/tlsfuzzer.py: cargo build -p corelane-cli --features native-tls,openssl first")
    with tempfile.TemporaryDirectory() as directory:
        files = certificates(Path(directory))
        policy = Path(directory) / "lax.cnf"
        policy.write_text(LAX)
        kept = [check(checkout, backend, scripts, files, str(policy))
                for backend in backends or ["rustls", "openssl", "native-tls"]]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
