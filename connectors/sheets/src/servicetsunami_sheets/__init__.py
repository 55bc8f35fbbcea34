"""Google Sheets source connector for ServiceTsunami."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Source, hookimpl
from servicetsunami_sheets.config import SheetsConfig
from servicetsunami_sheets.source import SheetsSource

__all__ = ["SheetsConfig", "SheetsSource", "connectors"]


@hookimpl
def connectors() -> list[type[Source[Any]]]:
    """Name what this distribution provides."""
    return [SheetsSource]
