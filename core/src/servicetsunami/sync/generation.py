"""The generation a full sync loads aside, and how a later run finds the one that a dead run left.

A note aside of the table names the generation under way and how it was planned. A generation has a name of its own and
is removed only after another one took the table's place, so a run that was believed dead can do no harm: what it still
commits goes where nobody looks, and the table's commit numbers are taken.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Commit, Json, Load, PermanentError, Source, Split, Splittable, TransientError
from servicetsunami.sync.abilities import feed_of
from servicetsunami.sync.committing import commit_surely
from servicetsunami.sync.failpoints import reach
from servicetsunami.sync.schemas import encode_schema
from servicetsunami.sync.task import Task

PLAN_LOST = "plan_lost"
"""Code of the error by which a source says that parts planned earlier do not hold every row any more."""
_SPLITS_PER_READER = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Generation:
    """Rows on their way, and how they are read."""

    name: str
    run: str
    """The run that began it."""
    seq: int
    """The table's last commit as it began."""
    resumable: bool
    splits: tuple[Split, ...] = ()
    """The parts; () where the stream is read as a whole."""
    feed: Json | None = None
    """The change feed's position before the first row was read."""
    fits: Json = field(default_factory=dict)
    """What must be the same for a later run to go on with it."""
    left: tuple[str, ...] = ()
    """Generations of dead runs, to be removed once this one is in place."""
    is_resumed: bool = False
    written: tuple[Split, ...] = ()
    """Parts of what was written since the others were planned, to be merged onto them."""

    @property
    def parts(self) -> Sequence[Split | None]:
        """What is read alone; [None] is the whole stream."""
        return self.splits or [None]

    def to_json(self) -> Json:
        """Write the note."""
        splits = [{"id": split.id, "params": split.params, "rows": split.rows} for split in self.splits]
        own = {"name": self.name, "run": self.run, "seq": self.seq, "resumable": self.resumable}
        return {**own, "feed": self.feed, "splits": splits, "fits": self.fits, "left": list(self.left)}

    @staticmethod
    def from_json(note: Json, fits: Json) -> Generation:
        """Read a note that fits."""
        splits = tuple(Split(split["id"], split["params"], split["rows"]) for split in note["splits"])
        own = Generation(note["name"], note["run"], note["seq"], True, splits, note["feed"], fits)
        return replace(own, left=tuple(note["left"]), is_resumed=True)


class Generations:
    """The generations of one job's table."""

    def __init__(self, task: Task) -> None:
        self._task = task
        job = task.job
        aside = f"{job.app}#under-way"
        self._load = Load(job.table, pa.schema([("note", pa.string())]), app=aside, generation=aside)

    def clear(self, table_seq: int) -> None:
        """Remove what a run left that died after its generation, or somebody else's commit, was in the table.

        One that might still take the table's place stays: gone, it would be taken for an empty one.
        """
        note = self._task.sink.committed(self._load).state.get("generation")
        if note and note["seq"] < table_seq:
            self._remove(*note["left"], note["name"], self._load.generation or "")

    def hold_feed(self) -> bool:
        """Tell whether a run that ended before its end took a change feed's position, which the source still holds."""
        note = self._task.sink.committed(self._load).state.get("generation")
        return bool(note and note["feed"])

    def begin(self, source: Source[Any], seq: int, *, with_feed: bool) -> Generation:
        """Go on with what a dead run left, if that makes an exact table; else plan a new generation."""
        last = self._task.sink.committed(self._load)
        note, fits = last.state.get("generation"), self._fits()
        generation = None
        if note and note["resumable"] and note["fits"] == fits:
            generation = self._gone_on_with(source, Generation.from_json(note, fits))
        if generation is None:
            left = [*note["left"], note["name"]] if note else []
            generation = replace(self._planned(source, fits, with_feed=with_feed), seq=seq, left=tuple(left))
        self._write(last, generation)
        return generation

    def abandon(self, generation: Generation) -> None:
        """Have the next one begun anew; what is loaded is removed once that one is in place."""
        self._write(self._task.sink.committed(self._load), replace(generation, resumable=False))

    def forget(self, generation: Generation) -> None:
        """Remove all that is aside: `generation`, now in place or not wanted, and what dead runs left."""
        self._remove(*generation.left, generation.name, self._load.generation or "")

    def give_up(self, generation: Generation) -> None:
        """Remove a generation of this run only: a dead run that was none would take its own, gone, for an empty one.

        The note stays where the source holds its log for it.
        """
        is_needed = generation.left or generation.feed
        self._remove(generation.name, *([] if is_needed else [self._load.generation or ""]))

    def _remove(self, *names: str) -> None:
        for name in names:
            try:
                reach("before_discard")
                self._task.sink.discard(self._task.job.table, name)
            except Exception:  # it changes nothing that anybody sees; the next sync or the sink's sweep removes it
                log.debug("generation %s could not be removed", name, exc_info=True)

    def _gone_on_with(self, source: Source[Any], generation: Generation) -> Generation | None:
        """Return what a dead run left, with parts that can be read now; None where its plan does not hold any more."""
        if not isinstance(source, Splittable):
            return generation
        try:
            parts = {split.id: split for split in source.replan(self._task.read(), generation.splits)}
        except TransientError as error:
            if error.code != PLAN_LOST:
                raise
            if generation.splits:  # else it had loaded all or nothing, and nothing is most likely
                self._task.note(_PLAN_LOST_NOTE.format(run=generation.run, why=error.why or error.message))
            return None
        if missing := [split.id for split in generation.splits if split.id not in parts]:
            raise PermanentError(f"the connector planned anew without the part {missing[0]}", code="plugin_misbehaved")
        splits = tuple(parts.pop(split.id) for split in generation.splits)
        return replace(generation, splits=splits, written=tuple(parts.values()))

    def _planned(self, source: Source[Any], fits: Json, *, with_feed: bool) -> Generation:
        task = self._task
        feed = feed_of(source).position([task.stream]) if with_feed else None
        reach("after_position")
        name = f"{task.job.run_id}_{secrets.token_hex(4)}"
        return Generation(name, task.job.run_id, 0, self._is_resumable(with_feed), self._plan(source), feed, fits)

    def _is_resumable(self, with_feed: bool) -> bool:
        """Tell whether what changes between two moments of reading can be laid over the rows, onto the key.

        The feed brings all of it. A cursor brings what an incremental sync brings, so it is enough for the first load
        of a table that is synced so; who asks for a full sync wants what no cursor tells, deleted rows to begin with.
        """
        task = self._task
        follows = with_feed or (task.job.mode == "incremental" and task.stream.cursor is not None)
        return task.stream.resumable and bool(task.key) and task.stream.schema is not None and follows

    def _plan(self, source: Source[Any]) -> tuple[Split, ...]:
        job = self._task.job
        if job.parallel < 2 or not isinstance(source, Splittable):
            return ()
        return tuple(source.splits(self._task.read(), job.parallel * _SPLITS_PER_READER))

    def _fits(self) -> Json:
        task = self._task
        schema = encode_schema(task.shape.landed)
        own = {"identity": task.job.identity, "shape": task.shaping, "schema": schema, "mode": task.job.mode}
        fits: Json = json.loads(json.dumps({**own, "key": task.key, "cursor": task.stream.cursor}))
        return fits

    def _write(self, last: Commit, generation: Generation) -> None:
        state = {"writer": self._task.writer, "generation": generation.to_json()}
        transaction = self._task.sink.begin(self._load)
        try:
            commit_surely(self._task.sink, self._load, Commit(last.seq + 1, state), transaction.commit, "note")
        finally:
            transaction.abort()


_PLAN_LOST_NOTE = (
    "What run {run} had loaded before it ended could not be gone on with ({why}), so the table was read from its start."
)
