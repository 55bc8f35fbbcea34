"""Settings of the lakehouse."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from servicetsunami.sdk import Config


class LakehouseConfig(Config):
    """Where tables lie and what a query may take of the machine."""

    path: Path | None = Field(None, description="Folder for the tables; by default one in the host's data folder.")
    retention_hours: float = Field(
        24.0, ge=0, description="How long files that no table holds any more are kept, for readers and open loads."
    )
    query_memory_mb: int = Field(512, ge=64, description="Memory a query may take before it spills to disk.")
    query_temp_mb: int = Field(1024, ge=0, description="Disk a query may spill to.")
    query_threads: int = Field(2, ge=1, le=64, description="Threads a query may use.")
