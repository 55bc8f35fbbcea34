"""Showing what authors of connectors asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.show.words import counted

if TYPE_CHECKING:
    from servicetsunami.cli.authoring import MadeConnector
    from servicetsunami.cli.screen import Screen
    from servicetsunami.operations.certifying import Certificate

_STYLES = {"passed": "green", "failed": "bold red"}


def show_certificate(screen: Screen, result: Certificate) -> None:
    """Show a report card, a line a point."""
    screen.talk(f"{result.connector}, {result.distribution} {result.version}")
    for point in result.points:
        screen.line(f"{point.id:<4}{point.status:<8}{point.title}", _STYLES[point.status])
        if point.found:
            screen.line(f"            {point.found}")
    if result.tests is not None:
        contract = "with" if result.tests.contract else "without"
        counts = f"{result.tests.passed} passed, {result.tests.failed} failed, {result.tests.skipped} skipped"
        screen.line(f"tests {counts}, {contract} the contract", _STYLES["failed" if result.tests.failed else "passed"])
    if result.certified:
        screen.talk("Certified.", "bold green")
    elif result.tests is None:
        screen.talk("Not certified: give the folder of its tests with --tests.")
    else:
        screen.talk("Not certified.", "bold red")


def show_made(screen: Screen, result: MadeConnector) -> None:
    """Show where a new connector is, and what to do with it."""
    screen.line(result.folder)
    screen.talk(f"{counted(len(result.files), 'file')} written. Next:")
    screen.talk(f"  cd {result.folder}")
    screen.talk("  uv venv && uv pip install -e . pytest && .venv/bin/pytest")
