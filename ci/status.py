#!/usr/bin/env python3
"""Checks the live status page in Chromium: its numbers move, it keeps its content security policy, and
it reports when the server stops.

`ci/status.py --picture` makes docs/status.png instead; run it when the page has changed.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import ordinary

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
COMMAND = TARGET / "debug/corelane"
DEADLINE = 60  # seconds


class Browser(ordinary.Browser):
    """Keeps what the browser logs."""

    def __init__(self):
        super().__init__()
        self.complaints = []
        self.ask("Log.enable")
        self.ask("Runtime.enable")

    def message(self):
        message = super().message()
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(message["params"]))
        return message

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent")

    def wait_for(self, selector, wanted):
        begun = time.monotonic()
        while not wanted(text := self.text(selector)):
            if time.monotonic() - begun > DEADLINE:
                raise SystemExit(f"ci/status.py: {selector} is {text!r}; {self.complaints}")
            time.sleep(0.1)
        return text


def curl(url, *flags):
    command = ["curl", "--silent", "--insecure", "--noproxy", "*", "--output", "/dev/null"]
    return subprocess.run([*command, *flags, url], check=False)


def look(browser, url, server):
    browser.open(url)
    browser.wait_for("#live", lambda text: text == "live")
    cell = "#rows td:nth-child(4)"
    before = int(browser.text(cell).replace(",", ""))
    for _ in range(20):
        curl(url + "bytes/1000")
    after = browser.wait_for(cell, lambda text: int(text.replace(",", "")) >= before + 20)
    rate = browser.wait_for("[data-rate=requests]", lambda text: text not in ("", "–"))
    if browser.complaints:
        raise SystemExit(f"ci/status.py: the browser complains: {browser.complaints}")
    server.terminate()
    browser.wait_for("#live", lambda text: text.startswith("no connection"))
    if server.wait() != 0:
        raise SystemExit("ci/status.py: the server failed when it stopped")
    print(f"ci/status.py: requests went from {before} to {after}, {rate} a second; the page reports the stop")


def picture(browser, url):
    """A picture after a minute of load."""
    ended = threading.Event()

    def load():
        while not ended.is_set():
            for clients, rps in [(12, 40), (20, 70), (8, 55)]:
                h2load = ["h2load", f"--clients={clients}", "--max-concurrent-streams=8", f"--rps={rps}"]
                subprocess.run([*h2load, "--duration=6", url + "bytes/2000"], stdout=subprocess.DEVNULL)
            curl(url, "--no-alpn")
            # Five of its six connections resume the session of the first.
            s_client = ["openssl", "s_client", "-connect", url.split("/")[2], "-alpn", "h2", "-reconnect"]
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run([*s_client, "-tls1_2"], **quiet, check=False)

    background = threading.Thread(target=load)
    background.start()
    size = {"width": 940, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    browser.open(url)
    time.sleep(64)
    size["height"] = browser.evaluate("document.documentElement.scrollHeight")
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    time.sleep(1)
    png = browser.ask("Page.captureScreenshot", format="png")["data"]
    (ROOT / "docs/status.png").write_bytes(base64.b64decode(png))
    ended.set()
    background.join()


def main():
    # With the flags of the tests: other flags would build the dependencies again.
    build = ["cargo", "test", "--quiet", "--workspace", "--features", "native-tls,openssl"]
    subprocess.run([*build, "--test", "metrics", "--no-run"], cwd=ROOT, check=True)
    command = [COMMAND, "--listen", "127.0.0.1:0"]
    for_picture = "--picture" in sys.argv[1:]
    command += ["--workers", "4" if for_picture else "1", "--no-affinity"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[-1] + "/"
        with Browser() as browser:
            if for_picture:
                picture(browser, url)
            else:
                look(browser, url, server)
    finally:
        server.kill()
        server.wait()


main()
