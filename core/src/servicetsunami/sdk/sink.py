"""Sinks: where rows land, in transactions; and warehouses: sinks that can also be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from servicetsunami.sdk.errors import ConfigError
from servicetsunami.sdk.items import Json
from servicetsunami.sdk.plugin import ConfigT, Plugin

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami.sdk.sql import GuardedQuery

WriteMode = Literal["append", "merge", "apply"]
"""`append` adds rows, `merge` replaces those with the same key, `apply` carries out changes: see `Load.deletes`."""
Deletes = Literal["hard", "soft"]
Evolve = Literal["add", "widen", "freeze"]


@dataclass(frozen=True, order=True)
class TableName:
    """A table of the tenant: layer (`bronze`, `silver`, `gold`) and name, both `[a-z0-9_]`."""

    layer: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read `bronze.customers`; raises `ConfigError` for anything else."""
        layer, dot, name = text.partition(".")
        if not dot or not layer or not name or "." in name:
            raise ConfigError(f"'{text}' is not a table; write layer.name, such as bronze.customers", field="table")
        return cls(layer, name)

    def __str__(self) -> str:
        return f"{self.layer}.{self.name}"


@dataclass(frozen=True)
class Load:
    """What a transaction is going to write, and as whom.

    `(app, seq)` identifies a commit: committing it twice is a no-op. With `generation` the rows are loaded aside,
    invisible to readers of `table` until `Sink.replace`.
    """

    table: TableName
    schema: pa.Schema
    """Arrow schema of the batches. Field metadata may hold `comment` and `source_type`."""
    _: KW_ONLY
    app: str
    mode: WriteMode = "append"
    key: tuple[str, ...] = ()
    """Columns to merge by; needed when mode is `merge` or `apply`."""
    evolve: Evolve = "add"
    """What to do with a schema that differs: `add` columns, also `widen` types, or `freeze` and refuse."""
    deletes: Deletes = "hard"
    """What mode `apply` does with a row that was deleted: removes it, or sets its `_deleted_at`.

    With `soft` a load of any mode gives the table that column, so that it is there before the first row is deleted.

    Batches to apply bring two columns that the table does not get: `_op` (c, u, d or t) and, where a row sends less
    than all columns, `_unchanged` (list of the columns that keep the value they have). They are applied in the
    order in which they were staged. A soft delete sets `_deleted_at` to the batch's `_synced_at`; a row that comes
    again clears it.
    """
    generation: str | None = None
    comment: str = ""
    """The table's comment."""


@dataclass(frozen=True)
class Commit:
    """The last commit of an app: its sequence number, 0 if there is none, and the state committed with it."""

    seq: int = 0
    state: Json = field(default_factory=dict)


class Transaction(ABC):
    """Rows on their way into one table. Several may be open on one table; the host commits them one at a time."""

    @abstractmethod
    def stage(self, batch: pa.RecordBatch) -> None:
        """Keep the batch, invisible to readers; durable before `commit` makes it visible.

        Batches of one transaction may differ in schema as far as `Load.evolve` allows.
        """

    @abstractmethod
    def commit(self, seq: int, state: Json) -> None:
        """Make the rows staged since the last commit and `state` visible together, or neither.

        A no-op, dropping the staged rows, if `(app, seq)` or a later one was committed before. The transaction stays
        open for further batches.
        """

    @abstractmethod
    def abort(self) -> None:
        """Forget what was staged since the last commit and close. Safe to call twice, and after a commit."""


class Sink(Plugin[ConfigT]):
    """Where rows land. An instance belongs to one tenant: `ctx.tenant`."""

    write_modes: ClassVar[frozenset[WriteMode]] = frozenset({"append"})

    @abstractmethod
    def check(self) -> None:
        """Raise the error that explains why this cannot work; return if it can."""

    @abstractmethod
    def catalog(self) -> str:
        """Return the name of the tenant's catalog, `tenant_<id>`."""

    @abstractmethod
    def begin(self, load: Load) -> Transaction:
        """Open a transaction; creates the table with its first commit. Raises for a schema that may not evolve."""

    @abstractmethod
    def committed(self, load: Load) -> Commit:
        """Return the last commit of `load.app` on `load.table` (its `generation`, if given): what recovery believes."""

    @abstractmethod
    def replace(self, load: Load, seq: int, state: Json) -> None:
        """Put generation `load.generation` in place of the table in one step, with `state`, and forget the old rows.

        A generation nothing was loaded into leaves an empty table with `load.schema`. Idempotent by `(app, seq)`.
        """

    @abstractmethod
    def discard(self, table: TableName, generation: str) -> None:
        """Remove a generation that was loaded aside and is not wanted. Safe to call twice."""


@dataclass(frozen=True)
class TableSummary:
    """A table in a list."""

    table: TableName
    rows: int | None
    size_bytes: int | None
    updated_at: datetime | None
    comment: str = ""
    kind: Literal["table", "view"] = "table"


@dataclass(frozen=True)
class ColumnDetails:
    """A column of a table; `type` is written in Databricks SQL."""

    name: str
    type: str
    nullable: bool
    comment: str = ""
    source_type: str = ""
    """The type at the source, where it differs in name."""


@dataclass(frozen=True)
class TableDetails:
    """All a person asks about a table before querying it."""

    summary: TableSummary
    columns: tuple[ColumnDetails, ...]
    key: tuple[str, ...]
    version: int
    history: tuple[Json, ...]
    """Latest changes first: `version`, `timestamp` (ISO 8601, UTC), `operation`, `rows_added`, `rows_removed`."""
    definition: str = ""
    """Of a view: its query in Databricks SQL, with tables as quoted catalog.layer.name."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the warehouse's own catalog calls tags, by name."""


@dataclass(frozen=True)
class QueryLimits:
    """How far a query may go. A reader may ask for one row more than it shows, to know that there is more."""

    rows: int
    size_bytes: int = 8 * 1024 * 1024
    timeout_seconds: float = 30.0


class Warehouse(ABC):
    """A sink that can be asked. It takes only what the guard let through, never a string of SQL."""

    computes_here: ClassVar[bool] = True
    """Whether queries are computed on this machine; the host then runs them in a worker process, within limits."""

    @abstractmethod
    def tables(self, layer: str | None = None) -> Sequence[TableSummary]:
        """List the tenant's tables, by name; of one layer if given."""

    @abstractmethod
    def describe(self, table: TableName) -> TableDetails:
        """Describe one table; raises `NotFound` with near names."""

    @abstractmethod
    def query(self, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
        """Run a guarded query and stream its rows.

        Stops at `limits`; raises `PermanentError` with code `query_timeout` after `timeout_seconds`, `Cancelled` when
        `ctx.cancelled()` turns true, `ConfigError` with code `sql_unsupported` for a construct it cannot answer with
        exactly Databricks' meaning.
        """


class Views(ABC):
    """A warehouse that keeps queries under a name, to be read like tables."""

    @abstractmethod
    def create_view(self, view: TableName, query: GuardedQuery, comment: str = "") -> None:
        """Keep a query as a view, in place of one that has the name; readers see either.

        Raises `ConfigError` with code `table_taken` where a table has the name, and `view_cycle` where the query reads
        the view itself, by whatever way; else what `Warehouse.query` raises for a query that cannot be answered.
        """

    @abstractmethod
    def drop_view(self, view: TableName) -> None:
        """Remove a view; raises `NotFound` where there is none."""


class Derives(ABC):
    """A warehouse that fills a table with what a query gives, without the rows leaving it."""

    @abstractmethod
    def derive(
        self, load: Load, query: GuardedQuery, seq: int, state: Json, *, gone: GuardedQuery | None = None
    ) -> int | None:
        """Put the rows of `query` into `load.table`, with `state`, in one commit; return how many, if it is known.

        With mode `append` they take the place of all rows of the table, with `merge` of those with the same key, and
        rows whose key `gone` selects are removed. `load.schema` is that of the query. A no-op, None, if `(app, seq)` or
        a later one was committed before.
        """


class Provisions(ABC):
    """A sink whose tenants need something made before their first load."""

    @abstractmethod
    def provisioning(self) -> Sequence[str]:
        """Return what `provision` would run, in order, for people to read; changes nothing."""

    @abstractmethod
    def provision(self) -> None:
        """Make what the tenant needs; what is there stays, so that it may be done again."""


NotebookLanguage = Literal["sql", "python"]


@dataclass(frozen=True)
class NotebookPlace:
    """Where a notebook was put."""

    path: str
    url: str
    """Address at which people open it; it holds no secret."""


class Notebooks(ABC):
    """A warehouse that keeps notebooks."""

    @abstractmethod
    def create_notebook(self, name: str, language: NotebookLanguage, source: str) -> NotebookPlace:
        """Keep a notebook of the tenant's under a name of letters, digits, spaces, `_` and `-`.

        `source` is written as the warehouse has it: cells are parted by a line `-- COMMAND ----------` in SQL,
        `# COMMAND ----------` in Python. Raises `ConfigError` with code `notebook_taken` where one has the name.
        """
