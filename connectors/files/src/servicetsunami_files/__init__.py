"""Files source connector: CSV, JSON, Parquet, Arrow and Excel files of folders that may be read."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Source, hookimpl
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.source import FilesSource

__all__ = ["FilesConfig", "FilesSource", "connectors"]


@hookimpl
def connectors() -> list[type[Source[Any]]]:
    """Name what this distribution provides."""
    return [FilesSource]
