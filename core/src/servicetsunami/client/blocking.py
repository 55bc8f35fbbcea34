"""The client for plain Python: the same methods, each of which waits for its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from servicetsunami.client.remote import MOST_ROWS, AsyncServiceTsunami, next_cursor
from servicetsunami.sdk import ConfigError, Json

if TYPE_CHECKING:
    from types import TracebackType

    from servicetsunami.assistant.models import SchemaAnalysis, TransformAdvice
    from servicetsunami.operations import models
    from servicetsunami.operations.gold import ViewResult
    from servicetsunami.operations.notebooks import NotebookResult
    from servicetsunami.operations.transforms import TransformResult
    from servicetsunami.sdk import NotebookLanguage

T = TypeVar("T")


class ServiceTsunami:
    """A server's tools as methods. Use it as `with ServiceTsunami("https://.../mcp", token=...) as lake`."""

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
        self._remote = AsyncServiceTsunami(url, token=token, command=command, env=env, timeout_seconds=timeout_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._start()
        try:
            self.tools()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and end the thread that held it."""
        if self._loop is None or self._thread is None:
            return
        self._do(self._remote.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def tools(self) -> list[str]:
        """Return the names of the tools that the server lists for this caller."""
        return self._do(self._remote.tools())

    def call(self, tool: str, /, **arguments: Any) -> Json:
        """Call any tool by name; raises `NotFound` with the code `tool_not_available` if there is none."""
        return self._do(self._remote.call(tool, **arguments))

    def connections(self) -> list[models.ConnectionView]:
        """Return the connections."""
        return self._do(self._remote.connections())

    def connect(
        self,
        connector: str,
        name: str,
        *,
        streams: Json | None = None,
        secret_refs: Mapping[str, str] | None = None,
        **config: Any,
    ) -> models.ConnectResult:
        """Store a connection and test it; see `AsyncServiceTsunami.connect`."""
        return self._do(self._remote.connect(connector, name, streams=streams, secret_refs=secret_refs, **config))

    def test(self, connection: str) -> models.TestResult:
        """Test a connection step by step."""
        return self._do(self._remote.test(connection))

    def delete(self, connection: str, *, confirmed: bool = False) -> models.DeleteResult:
        """Delete a connection for good if that is `confirmed`; else return what would go and what would stay."""
        return self._do(self._remote.delete(connection, confirmed=confirmed))

    def source_tables(self, connection: str, *, search: str | None = None) -> list[models.SourceTable]:
        """Return every table that a connection may read."""
        return self._do(self._remote.source_tables(connection, search=search))

    def tables(self, *, layer: str | None = None) -> list[models.TableView]:
        """Return every table of the lakehouse, or of one layer."""
        return self._do(self._remote.tables(layer=layer))

    def describe(self, table: str) -> models.TableDescription:
        """Return a lakehouse table's columns, key and latest changes."""
        return self._do(self._remote.describe(table))

    def query_dataset(self, sql: str, *, limit: int | None = None, cursor: str | None = None) -> models.QueryPage:
        """Run one SELECT over the lakehouse and return one page of its answer."""
        return self._do(self._remote.query_dataset(sql, limit=limit, cursor=cursor))

    def query_source(self, connection: str, sql: str, *, limit: int | None = None) -> models.QueryResult:
        """Run one SELECT at the source, in its own dialect."""
        return self._do(self._remote.query_source(connection, sql, limit=limit))

    def pages(self, sql: str, *, page_rows: int = MOST_ROWS) -> Iterator[models.QueryPage]:
        """Run one SELECT over the lakehouse and yield its whole answer page by page."""
        page = self.query_dataset(sql, limit=page_rows)
        yield page
        while cursor := next_cursor(page):
            page = self.query_dataset(sql, limit=page_rows, cursor=cursor)
            yield page

    def rows(self, sql: str, *, page_rows: int = MOST_ROWS) -> Iterator[tuple[models.Cell, ...]]:
        """Run one SELECT over the lakehouse and yield every row of its answer."""
        for page in self.pages(sql, page_rows=page_rows):
            yield from page.rows

    def create_dataset(
        self, connection: str, table: str, *, sync_mode: str | None = None, timeout_seconds: float | None = None
    ) -> models.RunView:
        """Copy a source table into bronze, or bring it up to date, and wait for the end.

        The run outlives this client: after a dropped connection the wait goes on. Raises what the run failed with.
        """
        return self._do(
            self._remote.create_dataset(connection, table, sync_mode=sync_mode, timeout_seconds=timeout_seconds)
        )

    create_dataset_in_databricks = create_dataset

    def upload(
        self, file: str | Path, dataset: str, *, append: bool = False, sheet: str | None = None
    ) -> models.RunView:
        """Bring a file of this machine into the bronze table `dataset`, and wait for the end."""
        return self._do(self._remote.upload(file, dataset, append=append, sheet=sheet))

    def start(self, connection: str, table: str, *, sync_mode: str | None = None) -> models.RunView:
        """Begin to copy a source table into bronze, and return its run at once."""
        return self._do(self._remote.start(connection, table, sync_mode=sync_mode))

    def run(self, run_id: str, *, wait_seconds: int = 0) -> models.RunView:
        """Return how far a run is, after waiting up to `wait_seconds` for its end."""
        return self._do(self._remote.run(run_id, wait_seconds=wait_seconds))

    def wait(
        self, run_id: str, *, timeout_seconds: float | None = None, patience_seconds: float = 60.0
    ) -> models.RunView:
        """Wait for a run to end and return it, however it ended; see `AsyncServiceTsunami.wait`."""
        return self._do(self._remote.wait(run_id, timeout_seconds=timeout_seconds, patience_seconds=patience_seconds))

    def cancel(self, run_id: str) -> models.RunView:
        """Stop a run; nothing of it becomes visible."""
        return self._do(self._remote.cancel(run_id))

    def transform_to_silver(
        self,
        table: str,
        transformations: Sequence[Json] = (),
        *,
        checks: Sequence[Json] = (),
        silver_table: str | None = None,
        preview: bool = False,
    ) -> TransformResult:
        """Clean a bronze table into silver and wait for the end, or with `preview` see what would come out."""
        asked = self._remote.transform_to_silver(
            table, transformations, checks=checks, silver_table=silver_table, preview=preview
        )
        return self._do(asked)

    def create_gold_view(self, name: str, sql: str, *, comment: str = "") -> ViewResult:
        """Keep a SELECT as a view of the gold layer, in place of one that has the name."""
        return self._do(self._remote.create_gold_view(name, sql, comment=comment))

    def analyze_schema(self, table_name: str) -> SchemaAnalysis:
        """Learn a table: what its columns hold, its keys, and where it leads."""
        return self._do(self._remote.analyze_schema(table_name))

    def suggest_transformations(self, table_name: str) -> TransformAdvice:
        """Propose what would clean a table; nothing is run."""
        return self._do(self._remote.suggest_transformations(table_name))

    def create_notebook(self, name: str, cells: Sequence[str], *, language: NotebookLanguage = "sql") -> NotebookResult:
        """Keep a notebook, on a server whose warehouse keeps notebooks."""
        return self._do(self._remote.create_notebook(name, cells, language=language))

    def _start(self) -> None:
        if self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="servicetsunami-client", daemon=True)
            self._thread.start()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise ConfigError(
                "the client is not open", code="client_closed", fix="use it as `with ServiceTsunami(...) as lake:`"
            )
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()
            raise
