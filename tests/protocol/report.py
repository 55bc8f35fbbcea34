"""Write `reports/protocol.md`: what the official suite, the Inspector and Claude Code say of the server.

`PYTHONPATH=tests/core/rigs python tests/protocol/report.py` takes two minutes; it ends with 1 if anything failed.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from http_lab import serving
from protocol_claude import CONNECTED, Claude, ask_for_people, shop
from protocol_inspector import ERAS, TRANSPORTS, Target, target
from protocol_node import HERE, node
from protocol_suite import SETS, Outcome, outcomes, required_scenarios

from servicetsunami.mcp.catalog import MOST_TOKENS, MOST_TOOLS, build_catalog, listed_tokens
from servicetsunami.mcp.wire import wire_json
from servicetsunami.plugins import discover

PAGE = HERE.parents[1] / "reports" / "protocol.md"
CALLS = {"list_connections": ({}, 400), "query_sql": ({"sql": "select 1 as one"}, 80)}
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
COMMAND = "PYTHONPATH=tests/core/rigs python tests/protocol/report.py"
Table = Iterator[Sequence[Any]]


class Report:
    """Collects what is found, as Markdown, and whether all of it is good."""

    def __init__(self) -> None:
        self._parts: list[str] = ["# What MCP's own tools say of the server", f"Written by `{COMMAND}`; do not edit."]
        self.good = True

    def say(self, text: str) -> None:
        """Add a paragraph, a heading or an item of a list."""
        if text.startswith("* ") and self._parts[-1].startswith("* "):
            text = f"{self._parts.pop()}\n{text}"
        self._parts.append(text)

    def tabulate(self, rows: Table) -> None:
        """Add a table; the first row is its head."""
        head, *body = [f"| {' | '.join(map(str, row))} |" for row in rows]
        rule = "|" + " --- |" * (head.count("|") - 1)
        self._parts.append("\n".join([head, rule, *body]))

    def expect(self, truth: bool) -> str:
        """Note whether something is as it must be."""
        self.good = self.good and truth
        return "yes" if truth else "**no**"

    def text(self) -> str:
        """Return the page."""
        return "\n\n".join(self._parts) + "\n"


def versions() -> str:
    """Name what took part."""
    python = [f"{name} {version(name)}" for name in ("servicetsunami", "mcp", "mcp-types", "uvicorn")]
    run = subprocess.run([str(node()), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    locked = [
        f"{name} {exact}"
        for package in ("node", "claude")
        for name, exact in json.loads((HERE / package / "package.json").read_text())["dependencies"].items()
    ]
    return ", ".join([f"Python {platform.python_version()}", *python, f"Node {run}", *locked]) + "."


def conformance(report: Report, found: Mapping[str, Outcome]) -> Table:
    """Tell what the suite found."""
    yield "suite", "scenarios passed", "checks passed", "failed", "warned", "not applicable", "exit code"
    for name, outcome in found.items():
        required = required_scenarios(name) if name in ("2025-11-25", "2026-07-28") else tuple(outcome.checks)
        total, passed = outcome.total, outcome.passed(required)
        ran = [scenario for scenario in required if outcome.checks[scenario].keys() - {"SKIPPED", "INFO"}]
        report.expect(not outcome.bad and outcome.exit_code == 0 and list(passed) == ran)
        scenarios = f"{len(passed)}/{len(ran)}"
        counts = [total[status] for status in ("SUCCESS", "FAILURE", "WARNING", "SKIPPED")]
        yield f"`{' '.join(SETS[name])}`", scenarios, *counts, outcome.exit_code


def inspections(report: Report, folder: Path) -> Iterator[tuple[str, str, Target]]:
    """Give each server to inspect, in each era."""
    for transport in TRANSPORTS:
        with target(transport, folder / transport) as server:
            for era in ERAS:
                done = server.inspect(era, "--method", "tools/list", "--strict")
                clean = done.returncode == 0 and "tool " not in done.stderr
                report.say(f"* `tools/list --strict` over {transport}, {era}: clean: {report.expect(clean)}")
                yield transport, era, server


def loads(report: Report, folder: Path) -> Table:
    """Tell how fast calls are answered."""
    yield "transport", "era", "tool", "calls", "failed", "calls a second", "p50 ms", "p90 ms", "p99 ms"
    for transport, era, server in inspections(report, folder):
        for tool, (arguments, times) in CALLS.items():
            told = server.load(era, tool, arguments, times)
            failed = told["errors"] + told["toolErrors"]
            report.expect(failed == 0)
            times_ms = [f"{told['latencyMs'][name]:.1f}" for name in ("p50", "p90", "p99")]
            yield transport, era, f"`{tool}`", told["requests"], failed, f"{told['throughput']:.0f}", *times_ms


def claude_code(report: Report, folder: Path) -> Table:
    """Tell how Claude Code gets on with the server."""
    yield "what", "outcome", "as it must be"
    over_stdio, over_http = Claude(folder / "stdio"), Claude(folder / "http")
    for claude in (over_stdio, over_http):
        claude.home.mkdir(parents=True)
    over_stdio.add_stdio()
    status = over_stdio.status()
    yield "`claude mcp get`, stdio", status, report.expect(status == CONNECTED)
    with serving(folder / "server") as server:
        over_http.add_http(f"{server.origin}/mcp")
        status = over_http.status()
        yield "`claude mcp get`, HTTP", status, report.expect(status == CONNECTED)
    with shop() as login:
        model, _ = ask_for_people(over_stdio, login)
    outcomes = [str(told.get("status", told.get("rows"))) for told in model.results if isinstance(told, dict)]
    good = outcomes == ["success", "succeeded", "[['Ada'], ['Grace']]"]
    yield "a conversation connects, syncs, queries", ", ".join(outcomes), report.expect(good)


def tools(report: Report) -> Table:
    """Tell what is listed, and what each tool claims of itself."""
    plugins = discover()
    catalog = build_catalog(plugins.connectors, plugins.sinks["lakehouse"])
    many = {**plugins.connectors, **{f"dummy{number}": plugins.connectors["postgres"] for number in range(10)}}
    crowded = build_catalog(many, plugins.sinks["lakehouse"])
    for one, installed in ((catalog, "as installed here"), (crowded, "with ten more connectors, like PostgreSQL's")):
        count, tokens = len(one.listed), listed_tokens(one)
        within = report.expect(count <= MOST_TOOLS and tokens <= MOST_TOKENS)
        report.say(f"* {installed}: {count} of {MOST_TOOLS} tools, {tokens:,} of {MOST_TOKENS:,} tokens: {within}")
    yield "tool", *(f"`{hint}`" for hint in HINTS), "title", "output schema"
    for spec in catalog.listed:
        wired = wire_json(spec)
        hints = [str(wired["annotations"].get(hint, "**missing**")).lower() for hint in HINTS]
        report.expect(set(hints) <= {"true", "false"} and "outputSchema" in wired)
        yield f"`{spec.name}`", *hints, wired["title"], "yes" if "outputSchema" in wired else "**no**"


def main() -> int:
    """Ask everything and write the page."""
    report = Report()
    report.say(versions())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        report.say("## The conformance suite, against `tsunami serve --conformance`")
        report.tabulate(conformance(report, outcomes(folder / "suite")))
        report.say(
            "Not applicable: an extension that the server does not have (skills), and what the suite itself leaves out."
        )
        report.say("## The Inspector's command line, against `tsunami serve`; four calls at a time")
        report.tabulate(loads(report, folder / "inspector"))
        report.say("## Claude Code, offline, in a home of its own")
        report.tabulate(claude_code(report, folder / "claude"))
    report.say("## Tools")
    report.tabulate(tools(report))
    PAGE.write_text(report.text(), encoding="utf-8")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
