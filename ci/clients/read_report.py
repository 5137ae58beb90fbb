"""Reads a report of `corelane alpn` with other projects' parsers: read_report.py json|junit|tap < REPORT.

Prints how many cases passed, failed and were skipped; fails where the format is not kept.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import junitparser
import tap.line
import tap.parser

SCHEMA = Path(__file__).resolve().parents[2] / "probe/schema/alpn-report.json"


def from_json(text):
    """Yields a case for each rule and each row, as the other formats have them."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    report = json.loads(text)
    jsonschema.validate(report, schema, cls=jsonschema.Draft202012Validator)
    for rule in report["expectations"]:
        yield "passed" if rule["holds"] else "failed"
    for row in report["rows"]:
        kind, verdict = row["outcome"]["kind"], row["verdict"]["kind"]
        if verdict == "conforms":
            yield "passed"
        elif verdict == "violates" or kind == "untrusted":
            # Where rules are given, only they decide.
            yield "skipped" if report["expectations"] else "failed"
        else:
            yield "failed" if kind in ("timed-out", "unreachable", "not-tls") else "skipped"
    for _ in report["without_handshake"] if not report["expectations"] else []:
        yield "failed"


def from_junit(text):
    suites = junitparser.JUnitXml.fromstring(text.encode())
    for suite in suites:
        for case in suite:
            if not (case.name and case.classname):
                sys.exit("a case without a name")
            yield "skipped" if case.is_skipped else "passed" if case.is_passed else "failed"


def from_tap(text):
    planned, seen = None, 0
    for line in tap.parser.Parser().parse_text(text):
        if isinstance(line, tap.line.Plan):
            planned = line.expected_tests
        elif isinstance(line, tap.line.Result):
            seen += 1
            if line.number != seen:
                sys.exit(f"case {line.number} where {seen} was due")
            if not line.description.startswith("- expect") and not line.yaml_block["answer"]:
                sys.exit(f"no answer: {line}")
            yield "skipped" if line.skip or line.todo else "passed" if line.ok else "failed"
        elif isinstance(line, tap.line.Unknown):
            sys.exit(f"not understood: {line}")
    if planned != seen:
        sys.exit(f"{seen} cases where {planned} were planned")


READERS = {"json": from_json, "junit": from_junit, "tap": from_tap}
print(json.dumps(Counter(READERS[sys.argv[1]](sys.stdin.read())), sort_keys=True))
