"""Runs statements on the warehouse, one at a time, in a session that is opened at the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import Cancelled
from servicetsunami_sink_databricks.access import Role, connect
from servicetsunami_sink_databricks.config import DatabricksConfig
from servicetsunami_sink_databricks.failures import on_databricks, took_too_long

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 4_096
_POLL_SECONDS = 0.02
Values = Mapping[str, Any]


class Statements:
    """Statements of one principal; used by one thread."""

    def __init__(
        self, config: DatabricksConfig, role: Role, cancelled: Callable[[], bool], timeout_seconds: int
    ) -> None:
        self._config = config
        self._role = role
        self._cancelled = cancelled
        self._timeout_seconds = timeout_seconds
        self._opened: Any = None
        self.tags: dict[str, str | None] = {}
        """Marks of every statement in the workspace's query history."""

    def close(self) -> None:
        """End the session, if one was opened."""
        if self._opened is not None:
            with suppress(Exception):  # the workspace ends it by itself
                self._opened.close()
            self._opened = None

    def rows(self, statement: str, values: Values | None = None, *, doing: str) -> list[dict[str, Any]]:
        """Run a short statement and return its rows; maps come as dicts."""
        with on_databricks(doing), self._connection.cursor() as cursor:
            cursor.execute(statement, dict(values or {}), query_tags=self.tags or None)
            found: list[dict[str, Any]] = cursor.fetchall_arrow().to_pylist()
            return found

    def count(self, table: str) -> int:
        """Count the rows of a table, whose name is quoted, or of a query in parentheses."""
        found = self.rows(" ".join(("SELECT count(*) AS n FROM", table, "AS counted")), doing="counting rows")
        return int(found[0]["n"])

    def run(self, statement: str, values: Values | None = None, *, doing: str) -> dict[str, Any]:
        """Run a statement that may take long, and end it if the work is cancelled; return its first row, or {}."""
        with on_databricks(doing), self._connection.cursor() as cursor:
            cursor.execute_async(statement, dict(values or {}), query_tags=self.tags or None)
            self._wait(cursor, doing, None)
            found: list[dict[str, Any]] = cursor.fetchall_arrow().to_pylist()
            return found[0] if found else {}

    def stream(self, statement: str, *, rows: int, seconds: float, doing: str) -> Generator[pa.Table, None, None]:
        """Run a query and yield its rows in small tables, at least one; ends after so many rows or seconds."""
        with on_databricks(doing), self._connection.cursor(row_limit=max(rows, 1)) as cursor:
            deadline = time.monotonic() + seconds
            cursor.execute_async(statement, query_tags=self.tags or None)
            self._wait(cursor, doing, deadline)
            table = cursor.fetchmany_arrow(_BATCH_ROWS)
            yield table
            while table.num_rows:
                self._check(cursor, doing, deadline)
                table = cursor.fetchmany_arrow(_BATCH_ROWS)
                yield table

    @property
    def _connection(self) -> Any:
        if self._opened is None:
            self._opened = connect(self._config, self._role, self._timeout_seconds)
        return self._opened

    def _wait(self, cursor: Any, doing: str, deadline: float | None) -> None:
        while cursor.is_query_pending():
            self._check(cursor, doing, deadline)
            time.sleep(_POLL_SECONDS)
        cursor.get_async_execution_result()

    def _check(self, cursor: Any, doing: str, deadline: float | None) -> None:
        if self._cancelled():
            cursor.cancel()
            raise Cancelled(f"{doing} was cancelled")
        if deadline is not None and time.monotonic() >= deadline:
            cursor.cancel()
            raise took_too_long(doing)
