"""What is told of the connectors that are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servicetsunami.operations.models import Result


class KeptConnectorView(Result):
    """A distribution with connectors: one that is installed, kept, or both."""

    distribution: str
    requirement: str | None = Field(None, description="What is installed again where it is missing; None if not kept.")
    version: str | None = None
    connectors: tuple[str, ...] = ()
    status: Literal["installed", "missing", "broken"]
    reason: str | None = Field(None, description="Why it does not work.")


class KeptConnectors(Result):
    """Distributions with connectors, by name."""

    connectors: tuple[KeptConnectorView, ...]
