"""Writes the Delta log: one commit, one file, all or nothing.

The commit of version N + 1 is published under a name that only one writer can take, by the writer that read version N.
That makes it a compare-and-swap: whoever lost reads again and decides anew, so what was checked (the app's last
commit, the schema, the files to remove) still holds when the commit lands. The file is synced before it gets its name,
so that no reader sees a commit that a power cut could take back; delta-rs gives neither promise. Everything in it
(adds, removes, schema, app transaction, state) is visible together.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servicetsunami.sdk import Commit, Json, TransientError, TsunamiError
from servicetsunami.sdk.delta import Column
from servicetsunami_sink_lakehouse.disk import make_folder, publish, sync_folder
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.folders import LOG
from servicetsunami_sink_lakehouse.parts import Part
from servicetsunami_sink_lakehouse.snapshot import DataFile, Snapshot, open_snapshot
from servicetsunami_sink_lakehouse.sweeping import mark_removed

_ATTEMPTS = 50
_CHECKPOINT_EVERY = 10
# timestamp_ntz is a table feature; naming it from the start spares an upgrade when such a column comes later.
_FEATURES = ["timestampNtz"]
_PROTOCOL = {
    "minReaderVersion": 3,
    "minWriterVersion": 7,
    "readerFeatures": _FEATURES,
    "writerFeatures": _FEATURES,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What one commit does to a table."""

    operation: str
    columns: tuple[Column, ...]
    add: Sequence[Part] = ()
    remove: Sequence[DataFile] = ()
    comment: str = ""
    key: tuple[str, ...] = ()
    carried_rows: int = 0
    """Rows that were only written anew beside the ones that changed; history counts them neither way."""


def commit(folder: Path, app: str, last: Commit, plan: Callable[[Snapshot], Change]) -> bool:
    """Apply what `plan` makes of the newest version, together with `last` as the last commit of `app`.

    Returns False, having done nothing, if `app` committed `last.seq` or a later one before.
    """
    for attempt in range(_ATTEMPTS):
        snapshot = open_snapshot(folder)
        if snapshot.committed(app).seq >= last.seq:
            return False
        change = plan(snapshot)
        mark_removed(folder / file.name for file in change.remove)
        entry = _entry(snapshot, app, last, change)
        if _published(snapshot, entry):
            _checkpoint(folder, snapshot.version + 1)
            return True
        time.sleep(min(0.002 * 2**attempt, 0.2))
    raise TransientError("other writers kept changing the table; nothing of this load is visible", code="conflict")


def _published(snapshot: Snapshot, entry: bytes) -> bool:
    with on_disk("committing to the table"):
        make_folder(snapshot.folder / LOG)
        sync_folder(snapshot.folder)
        try:
            publish(snapshot.folder / LOG / f"{snapshot.version + 1:020d}.json", entry)
        except FileExistsError:
            return False
    _make_durable(snapshot.folder / LOG)
    return True


def _make_durable(folder: Path) -> None:
    """Wait until the commit would survive a power cut; it is visible already, so its files must stay."""
    try:
        sync_folder(folder)
    except OSError as error:
        raise TransientError(
            f"the commit is visible, but the disk could not be made to keep it: {error.strerror}",
            code="commit_unsure",
            fix="check the disk of the lakehouse folder; what was committed is found again by the next run",
        ) from error


def _entry(snapshot: Snapshot, app: str, last: Commit, change: Change) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    actions: list[Json] = [_commit_info(snapshot, change, now_ms)]
    if not snapshot.exists:
        actions.append({"protocol": _PROTOCOL})
    actions.append({"metaData": _metadata(snapshot, app, last, change, now_ms)})
    actions.append({"txn": {"appId": app, "version": last.seq, "lastUpdated": now_ms}})
    actions += [{"remove": _remove(file, now_ms)} for file in change.remove]
    actions += [{"add": _add(part, now_ms)} for part in change.add]
    return b"".join(json.dumps(action, separators=(",", ":")).encode() + b"\n" for action in actions)


def _commit_info(snapshot: Snapshot, change: Change, now_ms: int) -> Json:
    added = sum(part.rows for part in change.add) - change.carried_rows
    removed = sum(file.rows for file in change.remove) - change.carried_rows
    return {
        "commitInfo": {
            "timestamp": now_ms,
            "operation": change.operation,
            "operationParameters": {},
            "readVersion": snapshot.version,
            "operationMetrics": {"rowsAdded": str(added), "rowsRemoved": str(removed)},
            "engineInfo": "servicetsunami-sink-lakehouse",
        }
    }


def _metadata(snapshot: Snapshot, app: str, last: Commit, change: Change, now_ms: int) -> Json:
    schema = {"type": "struct", "fields": [column.to_delta() for column in change.columns]}
    return {
        "id": snapshot.table_id or str(uuid.uuid4()),
        "description": change.comment or snapshot.comment,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(schema, separators=(",", ":")),
        "partitionColumns": [],
        "configuration": snapshot.with_commit(app, last, change.key),
        "createdTime": snapshot.created_ms or now_ms,
    }


def _add(part: Part, now_ms: int) -> Json:
    return {
        "path": part.name,
        "partitionValues": {},
        "size": part.size_bytes,
        "modificationTime": now_ms,
        "dataChange": True,
        "stats": part.stats,
    }


def _remove(file: DataFile, now_ms: int) -> Json:
    return {
        "path": file.name,
        "deletionTimestamp": now_ms,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": {},
        "size": file.size_bytes,
    }


def _checkpoint(folder: Path, version: int) -> None:
    """Sum up the log now and then, so that opening a table stays fast; a commit does not depend on it."""
    if version == 0 or version % _CHECKPOINT_EVERY:
        return
    from deltalake import DeltaTable

    try:
        with on_disk("summing up the log"):
            DeltaTable(str(folder)).create_checkpoint()
    except TsunamiError as error:  # the commit stands: a full disk here must not look like a commit that failed
        log.debug("no checkpoint of version %s: %s", version, error)


def history(folder: Path, most: int) -> Iterable[Json]:
    """Yield what the last commits did, latest first."""
    entries = sorted((folder / LOG).glob("[0-9]" * 20 + ".json"), reverse=True)[:most]
    for entry in entries:
        first: Any = json.loads(entry.read_bytes().split(b"\n", maxsplit=1)[0])
        yield {"version": int(entry.stem), **first.get("commitInfo", {})}
