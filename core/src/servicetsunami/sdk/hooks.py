"""How a distribution says what it provides.

In `pyproject.toml`:

    [project.entry-points."servicetsunami.v1"]
    github = "my_package"

and in `my_package/__init__.py`, which imports only the SDK:

    @hookimpl
    def connectors() -> list[type[Source]]:
        return [GitHub]
"""

from __future__ import annotations

from typing import Any, Protocol

import pluggy

from servicetsunami.sdk.sink import Sink
from servicetsunami.sdk.source import Source

API_VERSION = 1
ENTRY_POINT_GROUP = f"servicetsunami.v{API_VERSION}"

hookspec = pluggy.HookspecMarker("servicetsunami")
hookimpl = pluggy.HookimplMarker("servicetsunami")


class Hooks(Protocol):
    """What the host asks of every plugin module; implement those you serve."""

    @hookspec
    def connectors(self) -> list[type[Source[Any]]]:
        """Return the source connector classes of this distribution."""

    @hookspec
    def sinks(self) -> list[type[Sink[Any]]]:
        """Return the sink classes of this distribution."""
