"""One version of a table, as its Delta log tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Commit
from servicetsunami.sdk.delta import Column
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.folders import LOG

_APP = "servicetsunami.app."
KEY = "servicetsunami.key"


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of the table; `lowest` and `highest` hold what is known of its columns, by name."""

    name: str
    size_bytes: int
    rows: int
    lowest: dict[str, Any]
    highest: dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """The table at one version; version -1 is a table that does not exist yet."""

    folder: Path
    version: int = -1
    table_id: str = ""
    created_ms: int = 0
    comment: str = ""
    columns: tuple[Column, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    files: tuple[DataFile, ...] = ()

    @property
    def exists(self) -> bool:
        """Tell whether the table was ever committed to."""
        return self.version >= 0

    @property
    def key(self) -> tuple[str, ...]:
        """Return the columns that identify a row; () if none do."""
        return tuple(json.loads(dict(self.properties).get(KEY, "[]")))

    def committed(self, app: str) -> Commit:
        """Return the last commit of `app`."""
        text = dict(self.properties).get(_APP + app)
        return Commit(**json.loads(text)) if text else Commit()

    def with_commit(self, app: str, commit: Commit, key: tuple[str, ...]) -> dict[str, str]:
        """Return the table's properties with `commit` as the last one of `app`."""
        state = json.dumps({"seq": commit.seq, "state": commit.state}, separators=(",", ":"))
        properties = {**dict(self.properties), _APP + app: state}
        return {**properties, KEY: json.dumps(key)} if key else properties


def open_snapshot(folder: Path) -> Snapshot:
    """Read the newest version of the table in `folder`."""
    if not (folder / LOG).is_dir() or not any((folder / LOG).glob("[0-9]*")):
        return Snapshot(folder)
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    with on_disk("opening the table"):
        try:
            handle = DeltaTable(str(folder))
        except TableNotFoundError:
            return Snapshot(folder)
        metadata = handle.metadata()
        return Snapshot(
            folder,
            handle.version(),
            str(metadata.id),
            metadata.created_time or 0,
            metadata.description or "",
            tuple(Column.from_delta(entry) for entry in json.loads(handle.schema().to_json())["fields"]),
            tuple(metadata.configuration.items()),
            tuple(_files(pa.table(handle.get_add_actions(flatten=False)))),
        )


def _files(actions: pa.Table) -> list[DataFile]:
    return [
        DataFile(
            entry["path"],
            entry["size_bytes"],
            entry.get("num_records") or 0,
            entry.get("min") or {},
            entry.get("max") or {},
        )
        for entry in actions.to_pylist()
    ]
