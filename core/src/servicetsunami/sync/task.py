"""A job being executed: what every step of it needs."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Cancelled, Commit, Deletes, Json, Load, Read, Sink, Source, Stream, WriteMode
from servicetsunami.sync import cursor
from servicetsunami.sync.boundary import Boundary
from servicetsunami.sync.drift import describe, to_json
from servicetsunami.sync.failpoints import reach
from servicetsunami.sync.job import Progress, SyncJob, SyncOutcome
from servicetsunami.sync.lineage import Lineage
from servicetsunami.sync.reading import OpenSource
from servicetsunami.sync.shaping import Shape, decode_schema, encode_schema, settings_identity


class Task:
    """One execution of a job: its sink and source, its mark on every commit, and what it has to tell."""

    def __init__(
        self,
        job: SyncJob,
        open_source: OpenSource,
        sink: Sink[Any],
        *,
        progress: Progress,
        cancel: threading.Event,
        lineage: Lineage,
    ) -> None:
        self.job = job
        self.open_source = open_source
        self.sink = sink
        self.progress = progress
        self.cancel = cancel
        self.lineage = lineage
        self.writer = secrets.token_hex(8)
        """Tells the commits of this execution from those of every other, of the same run too."""
        self.details: Json = {}
        self.shape = Shape.of(job.stream, job.settings, None, job.evolve, pepper=job.pepper)
        self._drift = self.shape
        self._notes: dict[str, None] = {}

    def shape_for(self, before: Commit, *, anew: bool) -> None:
        """Shape rows by what landed before; a table that is filled `anew` takes the source's types, unless frozen."""
        job, landed = self.job, before.state.get("schema")
        known = decode_schema(landed) if landed and self.knows(before) else None
        shape = Shape.of(job.stream, job.settings, known, job.evolve, pepper=job.pepper)
        self._drift = shape
        if anew and shape.evolve != "freeze":
            shape = Shape.of(job.stream, job.settings, None, job.evolve, pepper=job.pepper)
        self.shape = shape

    @property
    def stream(self) -> Stream:
        """The stream as the source knows it."""
        return self.job.stream

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row; () where rows are appended."""
        return self.job.stream.key

    @property
    def shaping(self) -> str:
        """What the settings make of rows, in short; rows of another shape say nothing of how far this one came."""
        return settings_identity(self.job.settings, self.job.pepper)

    def knows(self, before: Commit) -> bool:
        """Tell whether what is in the table came from this source, in this shape and under this key."""
        state = before.state
        if tuple(state.get("key", self.key)) != self.key:
            return False
        return (str(state.get("identity", "")), str(state.get("shape", ""))) == (self.job.identity, self.shaping)

    @property
    def lag(self) -> float:
        """How far below the settled cursor value the next read begins."""
        return float(self.job.settings.get("lag") or 0)

    @contextmanager
    def opened(self) -> Iterator[Source[Any]]:
        """Open the source for one piece of work."""
        source = self.open_source()
        try:
            reach("after_connect")
            yield source
        finally:
            source.close()

    def read(self, **parts: Any) -> Read:
        """Describe a read of the columns that land."""
        return Read(self.stream, columns=self.shape.columns, **parts)

    def load(self, *, generation: str | None = None, mode: WriteMode = "append", app: str = "") -> Load:
        """Describe a load into the job's table; `app` tells its parts apart."""
        stream = self.shape.stream
        return Load(
            self.job.table,
            self.lineage.schema(stream.schema or pa.schema([])),
            app=f"{self.job.app}{app}",
            mode=mode,
            key=stream.key,
            evolve=self.shape.evolve,
            deletes=self._deletes,
            generation=generation,
            comment=stream.description,
        )

    @property
    def _deletes(self) -> Deletes:
        """What a deleted row becomes; only changes tell of one."""
        return (self.job.settings.get("deletes") or "hard") if self.job.mode == "changes" else "hard"

    def state(self, more: Json | None = None) -> Json:
        """Return what is committed with rows: who wrote them, from where, and `more`."""
        job = self.job
        own: Json = {"run": job.run_id, "writer": self.writer, "identity": job.identity, "shape": self.shaping}
        return {**own, "key": list(self.key), **(more or {})}

    def landed(self) -> Json:
        """Return the part of the state that says which schema landed."""
        return {"schema": encode_schema(self.shape.landed)}

    def marked(self, mark: Any, boundary: Boundary | None) -> Json:
        """Return the part of the state that says where the next read begins; {} where it has to begin anew.

        `boundary` is given where no key merges what comes again.
        """
        column = self.stream.cursor
        if column is None or mark is None:
            return {}
        state: Json = {"cursor": cursor.encode(column, mark)}
        if boundary is None:
            return state
        ties = boundary.from_mark(mark)
        if ties is None:
            self.note(_TOO_MANY_TIES)
            return {}
        return {**state, "ties": ties}

    def note(self, text: str) -> None:
        """Keep something that a person should know of the run."""
        self._notes[text] = None

    def stop_if_cancelled(self) -> None:
        """Raise `Cancelled` if somebody asked for it."""
        if self.cancel.is_set():
            raise Cancelled("the sync was cancelled; nothing of it is visible")

    def outcome(self, seq: int, state: Json) -> SyncOutcome:
        """Return what the job left behind."""
        progress, found = self.progress, list(dict.fromkeys((*self._drift.drift, *self.shape.drift)))
        details = {**self.details, **({"drift": to_json(found)} if found else {})}
        notes = (*self._notes, *describe(found))
        return SyncOutcome(progress.rows_written, progress.rows_rescued, seq, state, notes, details)


_TOO_MANY_TIES = (
    "The stream has no key and too many rows at the end of its cursor to tell which of them were synced, so the next "
    "sync is a full one. Name a key in the connection's stream settings to merge instead."
)
