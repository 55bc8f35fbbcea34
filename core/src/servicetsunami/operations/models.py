"""What operations return: one model serves as tool output, HTTP response and `--json`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from servicetsunami.sdk import Json, Problem

Cell = bool | int | float | str | None
"""A value of a result. What JSON cannot hold exactly (decimals, 64-bit integers, dates, bytes) is text."""


class Result(BaseModel):
    """Base of every result."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConnectResult(Result):
    """A connection that was stored, or waits for its secrets."""

    connection_id: str | None = Field(None, description="None while it is not stored.")
    name: str
    connector: str
    status: Literal["success", "failed", "needs_secret"] = Field(description="Whether the connection's test passed.")
    missing_secrets: tuple[str, ...] = Field((), description="Secrets that the person has to give.")
    problem: Problem | None = Field(None, description="Why the test failed; the connection is stored all the same.")
    tables: int | None = Field(None, description="How many tables the credentials may read.")
    notice: str | None = Field(None, description="Something the person should know.")


class Connected(ConnectResult):
    """A connection that was stored and tested."""

    connection_id: str
    status: Literal["success", "failed"]


class TestResult(Result):
    """The outcome of testing a connection."""

    connection_id: str
    status: Literal["success", "failed"]
    problem: Problem | None = None
    tables: int | None = None
    elapsed_seconds: float


class SourceColumn(Result):
    """A column at the source."""

    name: str
    type: str


class SourceTable(Result):
    """A table, view or other stream at the source."""

    table_name: str
    kind: str
    key: tuple[str, ...]
    cursor: str | None = Field(None, description="Column used for incremental syncs.")
    cursor_candidates: tuple[str, ...] = ()
    sync_modes: tuple[str, ...]
    rows: int | None = Field(None, description="Estimate.")
    size_bytes: int | None = None
    description: str = ""
    columns: tuple[SourceColumn, ...] = Field((), description="Given when one table is asked for, or few match.")
    bronze_table: str | None = Field(None, description="Where it was synced to, if it was.")
    settings: Json = Field({}, description="What the connection sets for it.")
    problem: Problem | None = Field(None, description="Why it cannot be synced with these settings.")


class SourceTables(Result):
    """The tables a connection may read."""

    connection_id: str
    tables: tuple[SourceTable, ...]
    total: int
    truncated: bool = False
    next_cursor: str | None = None


class DriftFinding(Result):
    """One difference between the source's columns and those that landed before."""

    kind: Literal["added", "removed", "widened", "narrowed", "retyped", "rescued"]
    column: str = Field(description="Its name in the table.")
    before: str = Field("", description="The type that landed.")
    after: str = Field("", description="The type at the source.")


class RunView(Result):
    """A run, as far as it has come."""

    run_id: str
    kind: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
    connection_id: str | None = None
    table_name: str | None = None
    bronze_table: str | None = Field(None, description="Full name: catalog.bronze.table.")
    sync_mode: str | None = None
    rows: int = Field(0, description="Rows written.")
    rows_read: int = 0
    rows_rescued: int = Field(0, description="Rows with a cell that did not fit its column; see `_rescued`.")
    rows_total: int | None = Field(None, description="Estimate of the rows to read.")
    bytes_read: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    elapsed_seconds: float | None = None
    message: str = ""
    problem: Problem | None = None
    notes: tuple[str, ...] = Field((), description="What a person should know of this run.")
    lag_bytes: int | None = Field(None, description="How much of its log the source keeps for the table.")
    drift: tuple[DriftFinding, ...] = Field((), description="How the source's columns changed.")


class RunList(Result):
    """Runs, newest first."""

    runs: tuple[RunView, ...]


class ConnectionView(Result):
    """A stored connection; secrets are named, never shown."""

    connection_id: str
    name: str
    connector: str
    settings: dict[str, Cell | list[Cell]]
    secrets: tuple[str, ...] = Field((), description="Names of the stored secrets.")
    secret_refs: dict[str, str] = Field({}, description="Where other secrets are read.")
    streams: Json = Field({}, description="Settings per source table.")
    available: bool = Field(description="False while the connector is not installed.")
    status: Literal["success", "failed", "untested"]
    tested_at: datetime | None = None
    created_at: datetime


class ConnectionStatus(Result):
    """How a connection does."""

    connection: ConnectionView
    problem: Problem | None = Field(None, description="What its last test found.")
    runs: tuple[RunView, ...] = Field((), description="Its latest runs, the newest first.")


class ConnectionList(Result):
    """The tenant's connections."""

    connections: tuple[ConnectionView, ...]
    truncated: bool = False
    next_cursor: str | None = None


class DeleteResult(Result):
    """A connection that was deleted, would be, or was kept because a person said no."""

    status: Literal["deleted", "needs_confirmation", "kept"]
    connection_id: str
    name: str
    connector: str
    kept_tables: tuple[str, ...] = Field((), description="Tables that stay in the lakehouse.")
    schedules: tuple[str, ...] = Field((), description="Schedules that go.")
    followed_tables: tuple[str, ...] = Field((), description="Tables for which the source keeps its log no longer.")
    confirmation_token: str | None = Field(None, description="For the second call, once the person agreed.")
    notes: tuple[str, ...] = Field((), description="What a person should know.")


class ResultColumn(Result):
    """A column of a query's answer."""

    name: str
    type: str


class ExportedFile(Result):
    """A file that holds a whole result."""

    format: Literal["csv", "parquet", "jsonl", "arrow"]
    path: str | None = Field(None, description="Where it lies, if on this machine.")
    url: str | None = Field(None, description="Where it can be fetched once, if over HTTP.")
    rows: int
    size_bytes: int
    truncated: bool = Field(False, description="True if the result is longer than a file may be.")


class QueryResult(Result):
    """Rows that answer a query, as arrays in the order of `columns`."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    row_count: int = Field(description="How many rows are in this answer.")
    truncated: bool = Field(description="True if there were more rows than fit this answer.")
    execution_time: float = Field(description="Seconds.")
    result: Cell = Field(None, description="The value, when the answer is a single cell.")
    notice: str | None = None


class QueryPage(QueryResult):
    """A page of the answer to a query of the lakehouse."""

    next_cursor: str | None = None
    result_id: str | None = Field(None, description="The whole result is query-result://{result_id} for an hour.")
    export: ExportedFile | None = Field(None, description="With save_as.")
    would_read: int | None = Field(None, description="With validate_only: rows of the tables it reads.")


class TableView(Result):
    """A table of the lakehouse."""

    table: str = Field(description="Full name: catalog.layer.table.")
    layer: str
    kind: Literal["table", "view"] = "table"
    rows: int | None = None
    size_bytes: int | None = None
    updated_at: datetime | None = None
    comment: str = ""


class TableList(Result):
    """The tenant's tables."""

    catalog: str
    tables: tuple[TableView, ...]
    total: int
    truncated: bool = False
    next_cursor: str | None = None


class ColumnProfile(Result):
    """What a column holds, over the rows that were profiled."""

    nulls: int
    distinct: int | None = Field(None, description="How many different values, about; None for nested types.")
    minimum: Cell = Field(None, description="Of texts the first 100 characters.")
    maximum: Cell = None


class ColumnView(Result):
    """A column of a table."""

    name: str
    type: str
    nullable: bool
    comment: str = ""
    source_type: str = ""
    profile: ColumnProfile | None = Field(None, description="With preview.")


class TableVersion(Result):
    """One change in a table's history."""

    version: int
    timestamp: datetime | None = None
    operation: str
    rows_added: int | None = None
    rows_removed: int | None = None


class TableDescription(Result):
    """All about one table."""

    table: TableView
    columns: tuple[ColumnView, ...]
    key: tuple[str, ...] = ()
    version: int
    history: tuple[TableVersion, ...] = ()
    definition: str = Field("", description="Of a view: its query.")
    tags: dict[str, str] = {}
    truncated: bool = Field(False, description="True if there are more columns than fit this answer.")
    next_cursor: str | None = None
    sample: tuple[tuple[Cell, ...], ...] = Field(
        (), description="With preview: rows as arrays, in the order of `columns`."
    )
    profiled_rows: int | None = Field(None, description="How many rows `profile` is of; None without one.")
    notice: str | None = None


class PluginView(Result):
    """A plugin that works."""

    name: str
    title: str
    kind: Literal["connector", "sink"]
    description: str
    version: str
    distribution: str
    license: str
    capabilities: tuple[str, ...]


class ConnectorView(Result):
    """All there is to know of an installed connector, before anything is connected."""

    plugin: PluginView
    config_schema: Json = Field(description="JSON Schema of its settings.")
    secrets: tuple[str, ...] = Field(description="Which settings are secrets.")
    readme: str = Field("", description="Its documentation, in Markdown.")


class PluginFailureView(Result):
    """A plugin that does not work, and why."""

    distribution: str
    version: str
    entry_point: str
    code: str
    reason: str
    fix: str


class PluginList(Result):
    """What was found through entry points."""

    plugins: tuple[PluginView, ...]
    failures: tuple[PluginFailureView, ...]


class SettingView(Result):
    """One setting, its value (masked if secret) and where it came from."""

    name: str
    value: str | None
    origin: str


class SettingList(Result):
    """The settings in force."""

    settings: tuple[SettingView, ...]


class CheckView(Result):
    """One check of `doctor`."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    fix: str | None = None


class CheckList(Result):
    """What `doctor` found."""

    checks: tuple[CheckView, ...]


class TenantView(Result):
    """A tenant."""

    tenant_id: str
    title: str = ""
    statements: tuple[str, ...] = Field(
        (), description="What sets the tenant up in the warehouse; of a dry run, what would."
    )


class TenantList(Result):
    """The tenants of this installation."""

    tenants: tuple[TenantView, ...]


class TableSync(Result):
    """One table of a sync of several: its run, or why it came to none."""

    table_name: str
    status: Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
    run: RunView | None = None
    problem: Problem | None = Field(None, description="Why it failed.")


class ConnectionSync(Result):
    """A sync of several tables of one connection."""

    run: RunView = Field(description="The run of the whole; its counters are the sums of its tables'.")
    tables: tuple[TableSync, ...] = ()
