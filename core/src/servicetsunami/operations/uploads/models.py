"""What is told of an uploaded file."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from servicetsunami.operations.models import Result
from servicetsunami.sdk import Problem


class UploadResult(Result):
    """A file that was taken and the run that brings it into bronze, or the link to upload it by."""

    run_id: str | None = None
    status: Literal["needs_upload", "queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
    bronze_table: str | None = Field(None, description="Full name: catalog.bronze.table.")
    rows: int = Field(0, description="Rows written.")
    rows_rescued: int = Field(0, description="Rows with a cell that did not fit its column; see `_rescued`.")
    size_bytes: int = 0
    message: str = ""
    problem: Problem | None = None
    notes: tuple[str, ...] = ()
    upload_url: str | None = Field(None, description="Where the file is sent to, once: by PUT, or with a browser.")
    expires_at: datetime | None = None
