"""REST source connector: any API that answers in JSON, described by settings."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Source, hookimpl
from servicetsunami_rest.config import Paging, Parent, RestConfig, StreamSettings
from servicetsunami_rest.source import RestSource

__all__ = ["Paging", "Parent", "RestConfig", "RestSource", "StreamSettings", "connectors"]


@hookimpl
def connectors() -> list[type[Source[Any]]]:
    """Name what this distribution provides."""
    return [RestSource]
