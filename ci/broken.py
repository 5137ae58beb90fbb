#!/usr/bin/env python3
"""Checks that ci/alpn.py fails when a rule is broken: breaks the policy in a copy of the source, the
way some servers break it, and runs ci/alpn.py there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
COPY = TARGET / "ci/broken"
# With the flags of the tests: other flags would build the dependencies again.
FEATURES = ["--workspace", "--features", "native-tls,openssl"]
BUILD = ["cargo", "test", "--no-run", "--quiet", *FEATURES, "--test", "alpn"]
NOT_COPIED = shutil.ignore_patterns("target*", ".git", "corpus", "results")

# The silent fallback: the server accepts a client that does not offer h2, without a protocol.
RIGHT = "        let Some(offered) = offered else {\n"
WRONG = """        if !offered.is_some_and(|names| names.contains(&ProtocolName::H2)) {
            return Ok(Decision::Sniff);
        }
"""

# What ci/alpn.py must report. rustls and openssl themselves refuse what native-tls then falls back on.
NOTICED = [
    r"tests/alpn \| .* failed",
    r"SURPRISE: rustls \| .* corelane alpn, rustls \| .* none \| no ALPN",
    r"SURPRISE: openssl \| .* corelane alpn, openssl \| .* none \| no ALPN",
    r"SURPRISE: rustls \| .* curl \| .* none ",
    r"SURPRISE: native-tls \| .* corelane alpn, native-tls \| .* x-unknown \| no ALPN",
    r"SURPRISE: native-tls \| .* corelane alpn, openssl \| .* x-unknown \| no ALPN",
    r"SURPRISE: native-tls \| .* openssl s_client \| .* http/1.1 ",
    r"SURPRISE: native-tls \| .* corelane alpn \| .* exit status 1",
    r"DIFFERENT: reject \| corelane alpn, rustls \| .* http/1.1",
    r"DIFFERENT: reject \| corelane alpn, openssl \| .* http/1.1",
]


def change(file, before, after):
    text = file.read_text()
    if text.count(before) != 1:
        sys.exit(f"ci/broken.py: {file.relative_to(COPY)} does not hold {before.strip()!r} once")
    file.write_text(text.replace(before, after))


def main():
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(ROOT, COPY, ignore=NOT_COPIED)
    # The dependencies are built already. The version tells cargo the copy's crates from the others.
    (COPY / "target").symlink_to(TARGET)
    change(COPY / "Cargo.toml", 'version = "0.1.0"\n', 'version = "0.1.999"\n')
    change(COPY / "src/alpn.rs", RIGHT, WRONG + RIGHT)

    ended = subprocess.run(
        [COPY / "ci/alpn.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    # The copy's command has replaced the one in target/debug.
    subprocess.run(BUILD, cwd=ROOT, check=True)
    missing = [pattern for pattern in NOTICED if not re.search(pattern, ended.stdout)]
    if ended.returncode != 1 or missing:
        print(ended.stdout)
        sys.exit(f"ci/broken.py: ci/alpn.py ended with {ended.returncode} and did not report {missing}")
    print(ended.stdout.splitlines()[-1])
    print("ci/broken.py: ci/alpn.py fails where the policy is broken, as expected")


main()
