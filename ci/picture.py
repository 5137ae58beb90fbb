#!/usr/bin/env python3
"""Makes docs/alpn.svg, a picture of the output of `corelane alpn`. Run it when that output changes.

Needs `ci/setup servers` and rich (from PyPI). The server in the picture is one of ci/servers.py:
haproxy chooses h2 and passes the bytes to a server that speaks HTTP/1.1 only.
"""

import os
import pty
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import servers
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COLUMNS = 165
RULES = ["h2", "http/1.1"]


def in_a_terminal(command):
    """The output as a terminal gets it, with its colours."""
    terminal, inner = pty.openpty()
    child = subprocess.Popen(command, stdout=inner, stderr=inner)
    os.close(inner)
    output = b""
    while True:
        try:
            output += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    return output.decode().replace("\r\n", "\n") + f"$ echo $?\n{child.wait()}\n"


def main():
    os.environ["PATH"] += ":/usr/sbin"
    directory = Path(tempfile.mkdtemp(prefix="corelane-picture-"))
    try:
        servers.credentials(directory)
        server = next(it for it in servers.SERVERS if it.setting == "TCP to HTTP/1.1")
        with servers.Running(server, directory) as port:
            rules = [word for rule in RULES for word in ("--expect", rule)]
            words = ["alpn", f"localhost:{port}", "--insecure", "--client", "rustls"]
            words += ["--client", "raw", *rules]
            output = in_a_terminal([servers.COMMAND, *words])
    finally:
        shutil.rmtree(directory)
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))
    console.print(Text(f"$ corelane {' '.join(words)}"))
    console.print(Text.from_ansi(output), no_wrap=True, overflow="ellipsis")
    # Uses the viewer's fonts: the picture loads nothing.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S)
    picture = console.export_svg(
        title="corelane alpn", code_format=template.replace("Fira Code, ", ""), unique_id="alpn"
    )
    (servers.ROOT / "docs/alpn.svg").write_text("\n".join(x.rstrip() for x in picture.splitlines()))


main()
