"""The sink: what the host calls. Each call leads into the module that knows how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from servicetsunami.sdk import (
    Commit,
    ConfigError,
    Derives,
    Json,
    Load,
    NotebookLanguage,
    NotebookPlace,
    Notebooks,
    Provisions,
    QueryLimits,
    Sink,
    TableDetails,
    TableName,
    TableSummary,
    Transaction,
    Views,
    Warehouse,
    WriteMode,
)
from servicetsunami_sink_databricks.config import DatabricksConfig
from servicetsunami_sink_databricks.failures import StatementError
from servicetsunami_sink_databricks.places import Place, Places

if TYPE_CHECKING:
    import pyarrow as pa
    from databricks.sdk import WorkspaceClient

    from servicetsunami.sdk.sql import GuardedQuery
    from servicetsunami_sink_databricks.commits import Commits
    from servicetsunami_sink_databricks.ledger import Entry
    from servicetsunami_sink_databricks.schemas import Columns
    from servicetsunami_sink_databricks.statements import Statements

T = TypeVar("T")
_NOT_SET_UP = ("NO_SUCH_CATALOG_EXCEPTION", "SCHEMA_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND")


class DatabricksSink(Sink[DatabricksConfig], Warehouse, Views, Derives, Notebooks, Provisions):
    """Managed tables of Unity Catalog, loaded and queried on a SQL warehouse."""

    name: ClassVar[str] = "databricks"
    title: ClassVar[str] = "Databricks Unity Catalog"
    computes_here: ClassVar[bool] = False
    write_modes: ClassVar[frozenset[WriteMode]] = frozenset({"append", "merge", "apply"})

    def check(self) -> None:
        """Sign in, run a statement, and see that the tenant is set up or can be."""
        self._loader.rows("SELECT 1 AS one", doing="asking the warehouse")
        self._ready(self._commits.ledger.check)

    def catalog(self) -> str:
        """Return the tenant's catalog."""
        return self._places.catalog

    def begin(self, load: Load) -> Transaction:
        """Open a transaction; finishes what others began on the table, and clears away what they left."""
        from servicetsunami.sdk.delta import check_key
        from servicetsunami_sink_databricks.transaction import DatabricksTransaction

        check_key(load)
        entries = self._ready(lambda: self._commits.recover(load.table))
        self._commits.discard_old(entries, self.config.keep_stage_hours)
        needed = {entry.work.load_id for entry in entries if entry.work is not None}
        done = {entry.load_id for entry in entries}
        folder = self._places.stage(load.table)
        self._stage.sweep(folder, done=done, needed=needed, hours=self.config.keep_stage_hours)
        place = self._places.of(load.table, load.generation)
        columns = self._columns(place)
        if load.generation is not None and load.evolve == "freeze":
            self._check_frozen(load)
        return DatabricksTransaction(
            load,
            place,
            self._commits,
            self._stage,
            columns=columns,
            local=self.ctx.data_dir / "staging",
            part_bytes=self.config.part_mb * 1024 * 1024,
        )

    def committed(self, load: Load) -> Commit:
        """Return the last commit of the load's app, after finishing one that was begun."""
        place = self._places.of(load.table, load.generation)
        found: Sequence[Entry] = ()
        entries = self._ready(lambda: self._commits.recover(load.table), default=found)
        return next((one.last for one in entries if one.place == place and one.app == load.app), Commit())

    def replace(self, load: Load, seq: int, state: Json) -> None:
        """Put a generation in the table's place."""
        from servicetsunami.sdk.delta import landing
        from servicetsunami_sink_databricks.stage import new_load_id
        from servicetsunami_sink_databricks.work import Work

        if load.generation is None:
            raise ConfigError("a replacement needs the generation that was loaded aside", field="generation")
        self._ready(lambda: self._commits.recover(load.table))
        columns = landing(load, load.schema)
        work = Work("replace", new_load_id(), columns, key=load.key, comment=load.comment, generation=load.generation)
        place = self._places.of(load.table)
        if not self._commits.make(place, load.app, Commit(seq, state), work):
            self._commits.discard(self._places.of(load.table, load.generation))

    def discard(self, table: TableName, generation: str) -> None:
        """Remove a generation that is not wanted."""
        self._ready(lambda: self._commits.discard(self._places.of(table, generation)), default=None)

    def tables(self, layer: str | None = None) -> Sequence[TableSummary]:
        """List the tables by layer and name."""
        from servicetsunami_sink_databricks.catalogue import summaries

        return self._ready(lambda: summaries(self._reader, self._places, layer), default=())

    def describe(self, table: TableName) -> TableDetails:
        """Describe a table or a view."""
        from servicetsunami.sdk.delta import table_not_found
        from servicetsunami_sink_databricks.catalogue import details

        found = self._ready(lambda: details(self._reader, self._places, table), default=None)
        if found is None:
            raise table_not_found(table, ())
        return found

    def query(self, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
        """Answer a guarded query on the warehouse, as the principal that reads."""
        from servicetsunami_sink_databricks.querying import answer

        return answer(self._reader, self._places, query, limits)

    def create_view(self, view: TableName, query: GuardedQuery, comment: str = "") -> None:
        """Keep a query as a view of the catalog."""
        from servicetsunami_sink_databricks.views import create

        self._ready(lambda: create(self._loader, self._places, view, query, comment))

    def drop_view(self, view: TableName) -> None:
        """Remove a view."""
        from servicetsunami_sink_databricks.views import drop

        drop(self._loader, self._places, view)

    def derive(
        self, load: Load, query: GuardedQuery, seq: int, state: Json, *, gone: GuardedQuery | None = None
    ) -> int | None:
        """Fill a table with what a query gives, by one statement of the warehouse."""
        from servicetsunami.sdk.delta import check_key
        from servicetsunami_sink_databricks.deriving import derived

        check_key(load)
        self._ready(lambda: self._commits.recover(load.table))
        place = self._places.of(load.table)
        work = derived(load, query, gone, self._columns(place))
        rows = None if work.whole else self._loader.count(f"({query.sql})")
        if not self._commits.make(place, load.app, Commit(seq, state), work):
            return None
        return self._loader.count(place.quoted) if rows is None else rows

    def create_notebook(self, name: str, language: NotebookLanguage, source: str) -> NotebookPlace:
        """Keep a notebook in the tenant's folder."""
        from servicetsunami_sink_databricks.notebooks import create

        folder = self.config.notebook_folder.replace("{tenant}", self.ctx.tenant)
        return create(self._client, folder, name, language, source)

    def provisioning(self) -> Sequence[str]:
        """Return the statements that set the tenant up."""
        from servicetsunami_sink_databricks.setting_up import statements

        binding = [f"-- catalog {self.catalog()}: isolation mode ISOLATED"] if self.config.bind_to_workspace else []
        return [*statements(self._places, self.config), *binding]

    def provision(self) -> None:
        """Set the tenant up."""
        from servicetsunami_sink_databricks.setting_up import bind, statements

        for statement in statements(self._places, self.config):
            self._loader.rows(statement, doing="setting the tenant up")
        if self.config.bind_to_workspace:
            bind(self._client, self.catalog())

    def close(self) -> None:
        """End the sessions."""
        for name in ("_loader", "_reader"):
            opened: Statements | None = self.__dict__.get(name)
            if opened is not None:
                opened.close()

    @cached_property
    def _places(self) -> Places:
        return Places(self.ctx.tenant)

    @cached_property
    def _loader(self) -> Statements:
        from servicetsunami_sink_databricks.statements import Statements

        return Statements(self.config, "loader", self.ctx.cancelled, self.config.statement_timeout_seconds)

    @cached_property
    def _reader(self) -> Statements:
        from servicetsunami_sink_databricks.statements import Statements

        return Statements(self.config, "reader", self.ctx.cancelled, self.config.statement_timeout_seconds)

    @cached_property
    def _stage(self) -> Any:
        from servicetsunami_sink_databricks.stage import Stage

        return Stage(lambda: self._client)

    @cached_property
    def _client(self) -> WorkspaceClient:
        from servicetsunami_sink_databricks.access import workspace_client

        return workspace_client(self.config)

    @cached_property
    def _commits(self) -> Commits:
        from servicetsunami_sink_databricks.commits import Commits

        return Commits(self._loader, self._places, self._stage)

    def _ready(self, work: Callable[[], T], **otherwise: T) -> T:
        """Do work that needs the tenant's set-up; where it is missing give `default`, else make it and try again."""
        try:
            return work()
        except StatementError as error:
            if error.name.partition(".")[0] not in _NOT_SET_UP:
                raise
            if "default" in otherwise:
                return otherwise["default"]
            if not self.config.auto_create:
                raise
        self.provision()
        return work()

    def _columns(self, place: Place) -> Columns:
        from servicetsunami_sink_databricks.schemas import read_columns

        return read_columns(self._loader, self._places, place)

    def _check_frozen(self, load: Load) -> None:
        """Raise if a generation has other columns than the frozen table that it is to replace."""
        from servicetsunami.sdk.delta import evolved, landing

        now = self._columns(self._places.of(load.table))
        if now:
            evolved(now, landing(load, load.schema), load.evolve)
