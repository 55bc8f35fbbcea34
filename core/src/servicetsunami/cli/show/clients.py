"""Showing what was done to a client's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.cli.installing.clients import client_of

if TYPE_CHECKING:
    from servicetsunami.cli.installing.work import ClientResult
    from servicetsunami.cli.screen import Screen

_SAYINGS = {
    "installed": "Installed as '{name}' in {title}: {file}",
    "updated": "Updated '{name}' in {title}: {file}",
    "unchanged": "Already installed as '{name}' in {title}: {file}",
    "removed": "Removed '{name}' from {title}: {file}",
    "planned": "Would change '{name}' in {title}: {file}",
}


def show_client(screen: Screen, result: ClientResult) -> None:
    """Say what was done; a snippet stands alone on standard output, ready for a pipe."""
    if result.snippet is not None:
        screen.line(result.snippet)
    else:
        title = client_of(result.client).title
        screen.line(_SAYINGS[result.status].format(name=result.name, title=title, file=result.file))
    if result.status == "planned":
        for line in result.changes:
            screen.line(line, {"+": "green", "-": "red"}.get(line[:1], ""))
    if result.backup:
        screen.talk(f"The file as it was: {result.backup}")
    for note in result.notes:
        screen.talk(note)
