"""Rows on their way into one table."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk import Commit, ConfigError, Json, Load, Transaction
from servicetsunami.sdk.delta import (
    STAGED_OP,
    STAGED_UNCHANGED,
    arrow_schema,
    evolved,
    landing,
    lowered,
    row_of,
    with_changes,
)
from servicetsunami_sink_databricks.commits import Commits
from servicetsunami_sink_databricks.loading_sql import ROW, WHEN
from servicetsunami_sink_databricks.parts import Parts
from servicetsunami_sink_databricks.places import Place
from servicetsunami_sink_databricks.rewriting import rewritten
from servicetsunami_sink_databricks.schemas import Columns
from servicetsunami_sink_databricks.stage import Stage, new_load_id
from servicetsunami_sink_databricks.work import Work

_SYNCED_AT = "_synced_at"


class DatabricksTransaction(Transaction):
    """Stages Parquet files in the volume; a commit is written to the ledger and carried out."""

    def __init__(
        self,
        load: Load,
        place: Place,
        commits: Commits,
        stage: Stage,
        *,
        columns: Columns,
        local: Path,
        part_bytes: int,
    ) -> None:
        self._load = load
        self._place = place
        self._commits = commits
        self._stage = stage
        self._local = local
        self._part_bytes = part_bytes
        self._columns = (
            evolved(columns, landing(load, load.schema), load.evolve) if columns else landing(load, load.schema)
        )
        self._seen = load.schema
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """Be ready for the rows of the next commit."""
        self._load_id = new_load_id()
        self._parts: Parts | None = None
        self._earlier: list[Parts] = []
        self._arriving: pa.Schema | None = None
        self._rows = 0
        self._partial: dict[str, None] = {}
        self._emptied: tuple[int, str] | None = None

    def stage(self, batch: pa.RecordBatch) -> None:
        """Write the batch, in the types that Delta has for it."""
        if self._closed:
            raise ConfigError("the transaction was aborted; begin another", code="transaction_closed")
        if not batch.schema.equals(self._seen):
            self._columns = evolved(self._columns, landing(self._load, batch.schema), self._load.evolve)
            self._seen = batch.schema
        rows = lowered(row_of(self._load, batch), self._columns)
        if self._load.mode == "apply":
            rows = self._with_changes(rows, batch)
        if self._load.mode != "append":
            rows = rows.append_column(ROW, pa.array(range(self._rows, self._rows + len(rows)), pa.int64()))
        self._rows += batch.num_rows
        self._write(rows)

    def commit(self, seq: int, state: Json) -> None:
        """Put the staged rows into the table, with `state`, unless the app has come so far before."""
        parts = [*self._earlier, *([self._parts] if self._parts else [])]
        folder = self._commits.folder(self._place, self._load_id)
        try:
            for one in parts:
                one.finish()
            if len(parts) > 1:
                folder = self._one_schema(parts)
            if not self._commits.make(self._place, self._load.app, Commit(seq, state), self._work()):
                self._stage.remove_quietly(folder)
        finally:
            for one in parts:
                one.close()
            self._begin()

    def abort(self) -> None:
        """Delete the staged files."""
        if self._closed:
            return
        self._closed = True
        for one in [*self._earlier, *([self._parts] if self._parts else [])]:
            one.close()
            self._stage.remove_quietly(one.folder)

    def _write(self, rows: pa.RecordBatch) -> None:
        """Write rows; those of another schema go to files of their own, for a statement reads one schema."""
        if self._parts is None or self._arriving is None or not rows.schema.equals(self._arriving):
            if self._parts is not None:
                self._parts.finish()
                self._earlier.append(self._parts)
                self._load_id = new_load_id()
            folder = self._commits.folder(self._place, self._load_id)
            self._parts = Parts(self._local / self._load_id, folder, self._stage, self._part_bytes)
            self._arriving = rows.schema
        self._parts.write(rows)

    def _one_schema(self, parts: list[Parts]) -> str:
        """Write all files anew with the columns of the whole load; return where they are."""
        schema = self._file_schema()
        self._load_id = new_load_id()
        folder = self._commits.folder(self._place, self._load_id)
        whole = Parts(self._local / self._load_id, folder, self._stage, self._part_bytes)
        try:
            for one in parts:
                rewritten(one.folder, self._stage, self._local, schema, whole)
                self._stage.remove_quietly(one.folder)
            whole.finish()
        finally:
            whole.close()
        self._arriving = schema
        return folder

    def _file_schema(self) -> pa.Schema:
        """Return the schema of files that hold every column of the load."""
        extra = {
            "append": [],
            "merge": [pa.field(ROW, pa.int64())],
            "apply": [
                pa.field(STAGED_OP, pa.string()),
                pa.field(STAGED_UNCHANGED, pa.list_(pa.field("element", pa.string()))),
                pa.field(WHEN, pa.timestamp("us", tz="UTC")),
                pa.field(ROW, pa.int64()),
            ],
        }[self._load.mode]
        return pa.schema([*arrow_schema(self._columns), *extra])

    def _work(self) -> Work:
        ours = {STAGED_OP, STAGED_UNCHANGED, WHEN, ROW}
        names = self._arriving.names if self._arriving is not None else []
        known = {column.name.casefold() for column in self._columns} - {one.casefold() for one in self._load.key}
        return Work(
            self._load.mode,
            self._load_id,
            self._columns,
            tuple(one for one in names if one not in ours),
            self._rows,
            self._load.key,
            self._load.comment,
            self._load.deletes,
            tuple(one for one in self._partial if one in known),
            self._emptied,
        )

    def _with_changes(self, rows: pa.RecordBatch, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add what happened to each row and when; note what the whole load must know of it."""
        told = with_changes(rows, batch)
        when = _moments(rows)
        for name in pc.unique(pc.list_flatten(told.column(STAGED_UNCHANGED))).to_pylist():
            self._partial[str(name).casefold()] = None
        emptying = [at for at, op in enumerate(told.column(STAGED_OP).to_pylist()) if op == "t"]
        if emptying:
            self._emptied = self._rows + emptying[-1], when[emptying[-1]].as_py().isoformat(sep=" ")
        return told.append_column(WHEN, when)


def _moments(rows: pa.RecordBatch) -> pa.Array:
    """Return when each change was synced: its `_synced_at`, else now."""
    now = pa.scalar(datetime.now(UTC), pa.timestamp("us", tz="UTC"))
    for name in rows.schema.names:
        if name.casefold() == _SYNCED_AT and pa.types.is_timestamp(rows.schema.field(name).type):
            return pc.coalesce(rows.column(name).cast(pa.timestamp("us", tz="UTC")), now)
    return pa.array([now.as_py()] * len(rows), pa.timestamp("us", tz="UTC"))
