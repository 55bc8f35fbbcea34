"""The official conformance suite against `tsunami serve --conformance`, and what it found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol_node import environment, need, run
from protocol_servers import conformance_server

SETS = {
    "2025-11-25": ("--requirements", "2025-11-25"),
    "2026-07-28": ("--requirements", "2026-07-28"),
    "all": ("--suite", "all"),
}
"""What the suite is asked for: the scenarios that each revision of the protocol requires, and all of them."""
_SUITE_SECONDS = 180
_NO_EXPECTED_FAILURES = "server: []\nclient: []\n"
_STAMP_LENGTH = len("-2026-01-01T00-00-00-000Z")


@dataclass(frozen=True)
class Outcome:
    """What one run of the suite found."""

    exit_code: int
    output: str
    checks: Mapping[str, Counter[str]]
    """By scenario: how many checks had which status."""
    bad: tuple[str, ...]
    """The checks that failed or warned, with what the suite says of them."""

    @property
    def total(self) -> Counter[str]:
        """Count the checks of all scenarios."""
        return sum(self.checks.values(), Counter())

    def passed(self, scenarios: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the scenarios that ran, checked something and failed nothing."""
        found = {name: self.checks.get(name, Counter()) for name in scenarios}
        return tuple(name for name, checks in found.items() if checks["SUCCESS"] and not checks["FAILURE"])


def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run each set, against a server of its own and all at once: they mostly wait."""
    package = need("node") / "@modelcontextprotocol" / "conformance"
    with ThreadPoolExecutor() as pool:
        running = {name: pool.submit(_run, package, folder / name, asked) for name, asked in SETS.items()}
        return {name: outcome.result() for name, outcome in running.items()}


def required_scenarios(revision: str) -> tuple[str, ...]:
    """Return the scenarios that a server must pass, as the suite has frozen them for a revision."""
    requirements = need("node") / "@modelcontextprotocol" / "conformance" / "requirements" / f"{revision}.yaml"
    _, _, section = requirements.read_text(encoding="utf-8").partition("\nserver:\n")
    section, _, _ = section.partition("\nclient:\n")
    lines = [line.strip() for line in section.splitlines()]
    return tuple(line.removeprefix("- ") for line in lines if line.startswith("- "))


def _run(package: Path, folder: Path, asked: tuple[str, ...]) -> Outcome:
    folder.mkdir(parents=True)
    expected = folder / "expected-failures.yml"
    expected.write_text(_NO_EXPECTED_FAILURES, encoding="utf-8")
    more = ("--expected-failures", str(expected), "--output-dir", str(folder / "out"))
    with conformance_server(folder) as url:
        command = ("server", "--url", url, *asked, *more)
        done = run(package / "dist" / "index.js", *command, timeout=_SUITE_SECONDS, environment=environment(folder))
    found = {path.parent.name: _checks(path) for path in sorted((folder / "out").glob("**/checks.json"))}
    return Outcome(
        exit_code=done.returncode,
        output=done.stdout + done.stderr,
        checks={_scenario(name): Counter(check["status"] for check in checks) for name, checks in found.items()},
        bad=tuple(
            f"{_scenario(name)}: {check['id']}: {check.get('errorMessage')}"
            for name, checks in found.items()
            for check in checks
            if check["status"] in ("FAILURE", "WARNING")
        ),
    )


def _checks(path: Path) -> list[dict[str, Any]]:
    checks: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return checks


def _scenario(folder: str) -> str:
    return folder.removeprefix("server-")[:-_STAMP_LENGTH]
