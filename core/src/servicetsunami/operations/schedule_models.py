"""What operations on schedules return."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from servicetsunami.operations.models import Result


class ScheduleView(Result):
    """When a connection is synced without anybody asking."""

    schedule_id: str
    connection_id: str
    connection: str = Field(description="The connection's name.")
    tables: tuple[str, ...] | None = Field(None, description="None: the tables that have landed by then.")
    sync_mode: str | None = None
    kind: Literal["cron", "interval"]
    expression: str
    timezone: str
    enabled: bool
    next_at: datetime
    next_local: datetime = Field(description="The same moment on the clock of the schedule's time zone.")
    last_at: datetime | None = Field(None, description="The moment that was handled last.")
    last_run_id: str | None = None
    last_status: str | None = None
    last_message: str = ""


class ScheduleList(Result):
    """The tenant's schedules, the oldest first."""

    schedules: tuple[ScheduleView, ...]
