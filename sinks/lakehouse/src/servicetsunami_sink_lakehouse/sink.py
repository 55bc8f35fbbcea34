"""The sink: what the host calls. Each call leads into the module that knows how."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from servicetsunami.sdk import (
    Commit,
    ConfigError,
    Json,
    Load,
    PermanentError,
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
from servicetsunami_sink_lakehouse.config import LakehouseConfig
from servicetsunami_sink_lakehouse.disk import make_folder, publish, remove_folder
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.folders import Folders

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami.sdk.sql import GuardedQuery

_MISREAD = frozenset("%*?[")
_NO_ROWS = QueryLimits(0)
_LEAST_FREE_BYTES = 64 * 1024 * 1024


class LakehouseSink(Sink[LakehouseConfig], Warehouse, Views):
    """Delta tables in folders on this machine, queried in Databricks SQL."""

    name: ClassVar[str] = "lakehouse"
    title: ClassVar[str] = "Delta lakehouse on local disk"
    write_modes: ClassVar[frozenset[WriteMode]] = frozenset({"append", "merge", "apply"})

    def check(self) -> None:
        """Write and sync a file in the folder; raises what stopped it, or code `disk_full` if little space is left."""
        home = self._folders.home
        with on_disk("writing to the lakehouse folder"):
            make_folder(home)
            probe = home / f".check-{os.getpid()}"
            probe.unlink(missing_ok=True)
            publish(probe, b"")
            probe.unlink()
            free = shutil.disk_usage(home).free
        if free < _LEAST_FREE_BYTES:
            raise PermanentError(
                f"the disk of the lakehouse folder has {free // 1024**2} MiB left, too little for a load",
                code="disk_full",
                fix="free space on that disk, or point `path` at a larger one",
            )

    def catalog(self) -> str:
        """Return the tenant's catalog."""
        return self._folders.catalog

    def begin(self, load: Load) -> Transaction:
        """Open a transaction; clears away what loads that died left in the table's folder."""
        from servicetsunami.sdk.delta import check_key
        from servicetsunami_sink_lakehouse.transaction import LakehouseTransaction

        check_key(load)
        self._sweep(load.table)
        if load.generation is None:
            return LakehouseTransaction(self._folder(load), load, cancelled=self.ctx.cancelled)
        table = self._folders.table(load.table)
        return LakehouseTransaction(self._folder(load), load, cancelled=self.ctx.cancelled, frozen_to=table)

    def committed(self, load: Load) -> Commit:
        """Return the last commit of the load's app."""
        from servicetsunami_sink_lakehouse.snapshot import open_snapshot

        return open_snapshot(self._folder(load)).committed(load.app)

    def replace(self, load: Load, seq: int, state: Json) -> None:
        """Put a generation in the table's place."""
        from servicetsunami_sink_lakehouse.generation import swap_in

        if load.generation is None:
            raise ConfigError("a replacement needs the generation that was loaded aside", field="generation")
        swap_in(self._folders.table(load.table), self._folder(load), load, Commit(seq, state))

    def discard(self, table: TableName, generation: str) -> None:
        """Remove a generation that is not wanted."""
        with on_disk("removing a generation"):
            remove_folder(self._folders.generation(table, generation))

    def tables(self, layer: str | None = None) -> Sequence[TableSummary]:
        """List the tables by layer and name."""
        from servicetsunami_sink_lakehouse.catalogue import summaries

        return summaries(self._folders, layer)

    def describe(self, table: TableName) -> TableDetails:
        """Describe a table or a view."""
        from servicetsunami_sink_lakehouse.catalogue import details, view_details

        return view_details(self._folders, table, self._schema_of) or details(self._folders, table)

    def create_view(self, view: TableName, query: GuardedQuery, comment: str = "") -> None:
        """Keep a query as a view, once it can be answered."""
        from servicetsunami_sink_lakehouse.views import check, keep

        check(self._folders, view, query)
        self._schema_of(query)
        keep(self._folders, view, query, comment)

    def drop_view(self, view: TableName) -> None:
        """Remove a view."""
        from servicetsunami.sdk.delta import table_not_found
        from servicetsunami_sink_lakehouse.views import drop

        if not drop(self._folders, view):
            raise table_not_found(view, self._folders.views())

    def _schema_of(self, query: GuardedQuery) -> pa.Schema:
        with closing(self.query(query, _NO_ROWS)) as rows:
            return rows.schema

    def query(self, query: GuardedQuery, limits: QueryLimits) -> pa.RecordBatchReader:
        """Answer a guarded query with DuckDB over exactly the files of the tables it reads."""
        from servicetsunami_sink_lakehouse.engine import answer

        return answer(query, limits, folders=self._folders, config=self.config, ctx=self.ctx)

    @property
    def _folders(self) -> Folders:
        root = self.config.path or self.ctx.data_dir
        if marks := _MISREAD.intersection(str(root)):
            raise ConfigError(
                f"the lakehouse folder {root} has {' '.join(sorted(marks))} in its path, which the engines would take "
                "for an escape or a pattern",
                code="bad_path",
                field="path",
                fix="choose a folder without these characters in its path",
            )
        return Folders(Path(root).absolute(), self.ctx.tenant)

    def _folder(self, load: Load) -> Path:
        if load.generation is None:
            return self._folders.table(load.table)
        return self._folders.generation(load.table, load.generation)

    def _sweep(self, table: TableName) -> None:
        from servicetsunami_sink_lakehouse.snapshot import open_snapshot
        from servicetsunami_sink_lakehouse.sweeping import sweep_files, sweep_folders

        seconds = self.config.retention_hours * 3600
        with on_disk("clearing away abandoned files"):
            sweep_files(open_snapshot(self._folders.table(table)), older_than_seconds=seconds)
            sweep_folders(self._folders.generation(table, "").parent, older_than_seconds=seconds)
