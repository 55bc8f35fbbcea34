"""The client for asyncio: one method per tool, typed results, the SDK's errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from servicetsunami.client.errors import failure_of, parsed
from servicetsunami.client.link import Link
from servicetsunami.client.target import target_of
from servicetsunami.sdk import Json, PermanentError, TransientError

if TYPE_CHECKING:
    from types import TracebackType

    from pydantic import BaseModel

    from servicetsunami.assistant.models import SchemaAnalysis, TransformAdvice
    from servicetsunami.operations import models
    from servicetsunami.operations.gold import ViewResult
    from servicetsunami.operations.notebooks import NotebookResult
    from servicetsunami.operations.transforms import TransformResult
    from servicetsunami.sdk import NotebookLanguage

M = TypeVar("M", bound="BaseModel")
MOST_ROWS = 1_000
_WAIT_SECONDS = 20
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to reach a server that went away; the last is repeated."""
_ENDED = ("succeeded", "failed", "cancelled")


class AsyncServiceTsunami:
    """A server's tools as methods. Use it as `async with AsyncServiceTsunami("https://.../mcp", token=...) as lake`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        """Talk to the server at `url`, else to one that `command` starts: by default `tsunami serve` of this Python.

        `env` is added to the environment of that command. `timeout_seconds` is for one answer.
        """
        self._link = Link(target_of(url, command=command, env=env, token=token), timeout_seconds)

    async def __aenter__(self) -> Self:
        await self.tools()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next call opens another."""
        await self._link.close()

    async def tools(self) -> list[str]:
        """Return the names of the tools that the server lists for this caller."""
        return await self._link.tools()

    async def call(self, tool: str, /, **arguments: Any) -> Json:
        """Call any tool by name; arguments that are None are left out.

        Raises `NotFound` with the code `tool_not_available` if the server has no such tool.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        patience = given.get("wait_seconds", 0)
        return await self._link.call(
            tool, given, patience_seconds=float(patience) if isinstance(patience, int | float) else 0.0
        )

    async def connections(self) -> list[models.ConnectionView]:
        """Return the connections."""
        from servicetsunami.operations.models import ConnectionList

        found: list[models.ConnectionView] = []
        cursor: str | None = None
        while True:
            page = await self._typed(ConnectionList, "list_connections", cursor=cursor)
            found += page.connections
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def connect(
        self,
        connector: str,
        name: str,
        *,
        streams: Json | None = None,
        secret_refs: Mapping[str, str] | None = None,
        **config: Any,
    ) -> models.ConnectResult:
        """Store a connection and test it; `config` holds the connector's own settings.

        `secret_refs` says where the server reads a secret, such as `{"password": "env:TSUNAMI_SECRET_SHOP"}`.
        """
        from servicetsunami.operations.models import ConnectResult

        given = {"connector": connector, "name": name, "config": config, "streams": streams}
        return await self._typed(ConnectResult, "connect_source", **given, secret_refs=secret_refs)

    async def test(self, connection: str) -> models.TestResult:
        """Test a connection step by step."""
        from servicetsunami.operations.models import TestResult

        return await self._typed(TestResult, "test_connection", connection_id=connection)

    async def delete(self, connection: str, *, confirmed: bool = False) -> models.DeleteResult:
        """Delete a connection for good if that is `confirmed`; else return what would go and what would stay."""
        from servicetsunami.operations.models import DeleteResult

        result = await self._typed(DeleteResult, "delete_connection", connection_id=connection)
        if not confirmed or result.confirmation_token is None:
            return result
        token = result.confirmation_token
        return await self._typed(DeleteResult, "delete_connection", connection_id=connection, confirmation_token=token)

    async def source_tables(self, connection: str, *, search: str | None = None) -> list[models.SourceTable]:
        """Return every table that a connection may read."""
        from servicetsunami.operations.models import SourceTables

        found: list[models.SourceTable] = []
        cursor: str | None = None
        while True:
            page = await self._typed(
                SourceTables, "list_source_tables", connection_id=connection, search=search, cursor=cursor
            )
            found += page.tables
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def tables(self, *, layer: str | None = None) -> list[models.TableView]:
        """Return every table of the lakehouse, or of one layer."""
        from servicetsunami.operations.models import TableList

        found: list[models.TableView] = []
        cursor: str | None = None
        while True:
            page = await self._typed(TableList, "list_tables", layer=layer, cursor=cursor)
            found += page.tables
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def describe(self, table: str) -> models.TableDescription:
        """Return a lakehouse table's columns, key and latest changes."""
        from servicetsunami.operations.models import TableDescription

        return await self._typed(TableDescription, "describe_table", table=table)

    async def query_dataset(self, sql: str, *, limit: int | None = None, cursor: str | None = None) -> models.QueryPage:
        """Run one SELECT over the lakehouse and return one page of its answer."""
        from servicetsunami.operations.models import QueryPage

        return await self._typed(QueryPage, "query_sql", sql=sql, limit=limit, cursor=cursor)

    async def query_source(self, connection: str, sql: str, *, limit: int | None = None) -> models.QueryResult:
        """Run one SELECT at the source, in its own dialect."""
        from servicetsunami.operations.models import QueryResult

        return await self._typed(QueryResult, "query_source", connection_id=connection, sql=sql, limit=limit)

    async def pages(self, sql: str, *, page_rows: int = MOST_ROWS) -> AsyncIterator[models.QueryPage]:
        """Run one SELECT over the lakehouse and yield its whole answer page by page."""
        page = await self.query_dataset(sql, limit=page_rows)
        yield page
        while cursor := next_cursor(page):
            page = await self.query_dataset(sql, limit=page_rows, cursor=cursor)
            yield page

    async def rows(self, sql: str, *, page_rows: int = MOST_ROWS) -> AsyncIterator[tuple[models.Cell, ...]]:
        """Run one SELECT over the lakehouse and yield every row of its answer."""
        async for page in self.pages(sql, page_rows=page_rows):
            for row in page.rows:
                yield row

    async def create_dataset(
        self, connection: str, table: str, *, sync_mode: str | None = None, timeout_seconds: float | None = None
    ) -> models.RunView:
        """Copy a source table into bronze, or bring it up to date, and wait for the end.

        The run outlives this client: after a dropped connection the wait goes on. Raises what the run failed with.
        """
        run = await self.start(connection, table, sync_mode=sync_mode)
        ended = await self.wait(run.run_id, timeout_seconds=timeout_seconds)
        if ended.status != "succeeded":
            raise failure_of(ended)
        return ended

    create_dataset_in_databricks = create_dataset

    async def upload(
        self, file: str | Path, dataset: str, *, append: bool = False, sheet: str | None = None
    ) -> models.RunView:
        """Bring a file of this machine into the bronze table `dataset`, and wait for the end.

        It is sent to a link as it is read. Raises what is wrong with the file, and what the run failed with.
        """
        from servicetsunami.client.sending import send_file
        from servicetsunami.operations.uploads.models import UploadResult

        given = {"file_name": Path(file).name, "dataset_name": dataset, "mode": "append" if append else "replace"}
        offered = await self._typed(UploadResult, "upload_file", **given, sheet=sheet, wait_seconds=0)
        landed = parsed(UploadResult, await send_file(offered.upload_url or "", Path(file)), "upload_file")
        ended = await self.wait(landed.run_id or "")
        if ended.status != "succeeded":
            raise failure_of(ended)
        return ended

    async def start(self, connection: str, table: str, *, sync_mode: str | None = None) -> models.RunView:
        """Begin to copy a source table into bronze, and return its run at once."""
        from servicetsunami.operations.models import RunView

        return await self._typed(
            RunView, "sync_to_bronze", connection_id=connection, table_name=table, sync_mode=sync_mode, wait_seconds=0
        )

    async def run(self, run_id: str, *, wait_seconds: int = 0) -> models.RunView:
        """Return how far a run is, after waiting up to `wait_seconds` for its end."""
        from servicetsunami.operations.models import RunView

        return await self._typed(RunView, "get_run", run_id=run_id, wait_seconds=wait_seconds)

    async def wait(
        self, run_id: str, *, timeout_seconds: float | None = None, patience_seconds: float = 60.0
    ) -> models.RunView:
        """Wait for a run to end and return it, however it ended.

        A server that goes away is looked for again, up to `patience_seconds` at a stretch. Raises `TransientError`
        with the code `run_unfinished` after `timeout_seconds`; None waits without end.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = _WAIT_SECONDS if until is None else until - time.monotonic()
            view = await self._patiently(run_id, max(0, min(_WAIT_SECONDS, int(left))), patience_seconds)
            if view.status in _ENDED:
                return view
            if until is not None and time.monotonic() >= until:
                raise TransientError(
                    f"the run {run_id} has not ended yet", code="run_unfinished", fix="wait for it again; it goes on"
                )

    async def cancel(self, run_id: str) -> models.RunView:
        """Stop a run; nothing of it becomes visible."""
        from servicetsunami.operations.models import RunView

        return await self._typed(RunView, "cancel_run", run_id=run_id)

    async def transform_to_silver(
        self,
        table: str,
        transformations: Sequence[Json] = (),
        *,
        checks: Sequence[Json] = (),
        silver_table: str | None = None,
        preview: bool = False,
    ) -> TransformResult:
        """Clean a bronze table into silver and wait for the end, or with `preview` see what would come out."""
        from servicetsunami.operations.transforms import TransformResult

        given = {"transformations": list(transformations), "checks": list(checks), "silver_table": silver_table}
        begun = await self._typed(
            TransformResult, "transform_to_silver", bronze_table=table, preview=preview, wait_seconds=300, **given
        )
        if begun.status not in ("queued", "running") or begun.run_id is None:
            return begun
        ended = await self.wait(begun.run_id)
        how = {"status": ended.status, "rows": ended.rows, "notes": ended.notes, "problem": ended.problem}
        return begun.model_copy(update=how)

    async def create_gold_view(self, name: str, sql: str, *, comment: str = "") -> ViewResult:
        """Keep a SELECT as a view of the gold layer, in place of one that has the name."""
        from servicetsunami.operations.gold import ViewResult

        return await self._typed(ViewResult, "create_gold_view", name=name, sql=sql, comment=comment)

    async def analyze_schema(self, table_name: str) -> SchemaAnalysis:
        """Learn a table: what its columns hold, its keys, and where it leads."""
        from servicetsunami.assistant.models import SchemaAnalysis

        return await self._typed(SchemaAnalysis, "analyze_schema", table_name=table_name)

    async def suggest_transformations(self, table_name: str) -> TransformAdvice:
        """Propose what would clean a table; nothing is run."""
        from servicetsunami.assistant.models import TransformAdvice

        return await self._typed(TransformAdvice, "suggest_transformations", table_name=table_name)

    async def create_notebook(
        self, name: str, cells: Sequence[str], *, language: NotebookLanguage = "sql"
    ) -> NotebookResult:
        """Keep a notebook, on a server whose warehouse keeps notebooks."""
        from servicetsunami.operations.notebooks import NotebookResult

        asked = {"notebook_name": name, "cells": list(cells), "language": language}
        return await self._typed(NotebookResult, "create_notebook", **asked)

    async def _patiently(self, run_id: str, wait_seconds: int, patience_seconds: float) -> models.RunView:
        """Look at a run; while the server is away, look again."""
        until = time.monotonic() + patience_seconds
        attempt = 0
        while True:
            try:
                return await self.run(run_id, wait_seconds=wait_seconds)
            except TransientError:
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                if time.monotonic() + pause > until:
                    raise
                await asyncio.sleep(pause)
                attempt += 1

    async def _typed(self, model: type[M], tool: str, **arguments: Any) -> M:
        return parsed(model, await self.call(tool, **arguments), tool)


def next_cursor(page: models.QueryPage) -> str | None:
    """Return where the next page begins; raises `PermanentError` if rows are missing that cannot be asked for."""
    if page.next_cursor is None and page.truncated:
        raise PermanentError(
            "the answer has more rows than the server gives, so what came is not the whole",
            code="answer_truncated",
            fix="aggregate in SQL, or select fewer rows or columns",
        )
    return page.next_cursor
