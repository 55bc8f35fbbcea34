"""What a person should know of an installation besides that it was done."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from servicetsunami.cli.installing.clients import client_of
from servicetsunami.cli.installing.entry import held_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servicetsunami.cli.installing.work import ClientResult
    from servicetsunami.runtime import LoadedSettings

_PASSING = {"archive-v0", "builds-v0"}
"""Folders in uv's cache from which `uvx` runs programs; cleaning the cache empties them."""


def notes_on(result: ClientResult, loaded: LoadedSettings, url: str | None) -> Iterator[str]:
    """Yield what to do next, what was not written down, and what may not last."""
    if result.status in ("installed", "updated"):
        yield f"To use it, {client_of(result.client).again}."
    if url is not None:
        return
    secrets = held_back(loaded)
    if secrets:
        yield (
            f"Not written down, as they may hold secrets: {', '.join(secrets)}. Where the server needs them, put them "
            "into your own settings file, which only you can read."
        )
    if _PASSING & set(Path(sys.executable).parts):
        yield (
            "This Python lies in uv's cache, which may be cleaned: install servicetsunami with `uv tool install` first."
        )
    if result.scope == "project" and result.status != "printed":
        yield f"{result.file} names this machine's Python: do not share it with other machines."
