"""Sources, and the mixins by which a source declares what more it can do.

A source may rely on this: one instance is used by one thread at a time; the host pulls, so a paused host is a paused
generator; `close()` and the generator's `finally` blocks always run; `Read.state` is exactly the last
`Checkpoint.state` whose rows are durably in the sink.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from servicetsunami.sdk.items import Item, Json
from servicetsunami.sdk.oauth import SignIn
from servicetsunami.sdk.plugin import ConfigT, Plugin
from servicetsunami.sdk.sink import QueryLimits
from servicetsunami.sdk.stream import Read, Split, Stream

if TYPE_CHECKING:
    import pyarrow as pa


class Source(Plugin[ConfigT]):
    """A connector: it reads one kind of source."""

    @classmethod
    def sign_in(cls, settings: Mapping[str, Any]) -> SignIn | None:
        """Return how a person signs in for a connection with these settings; None if they cannot.

        `settings` are as they were given: not validated, without what is missing; secrets are plain texts.
        """
        del settings
        return None

    def check(self) -> None:
        """Raise the error that explains why this cannot work; return if it can.

        The default discovers the streams and reads one row of the first.
        """
        for stream in self.streams():
            items = self.read(Read(stream, limit=1, batch_rows=1))
            try:
                next(items, None)
            finally:
                _close(items)
            return

    @abstractmethod
    def streams(self) -> Iterable[Stream]:
        """Yield every stream the credentials may read, in a stable order."""

    @abstractmethod
    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows asked for, with a `Checkpoint` wherever a later read could go on from."""


class Splittable(ABC):
    """A source whose streams can be read in parts, in parallel."""

    @abstractmethod
    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan about `target` parts that together hold every row once; () where the stream cannot be split.

        The instance that planned stays open until every part is read, so that it may hold a snapshot for them. Each
        part is read by an instance of its own.
        """

    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        """Make the parts of a resumable stream that an earlier instance planned readable again, from this moment.

        Returns each of them under its id; some may have been read long ago, and only the others are read now. Further
        parts may follow, which hold what was written since: the host reads those last and merges them by key. Raises
        `TransientError` with the code `plan_lost` where all of these together would not hold every row.
        """
        del read
        return splits


class ChangeFeed(ABC):
    """A source that can tell inserts, updates and deletes from its log."""

    @abstractmethod
    def position(self, streams: Sequence[Stream]) -> Json:
        """Return the log's present position, taken before the snapshot is read.

        What it makes at the source to hold the log there is named after `ctx.connection` and the streams, so that a
        second call finds what a first one left when it was killed.
        """

    @abstractmethod
    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        """Yield the changes after `state` up to the log's end at the time of the call, then end.

        A checkpoint comes after a whole transaction of the source, never within one; the last item is a checkpoint.
        """

    @abstractmethod
    def ack(self, state: Json) -> None:
        """Learn that everything up to `state` is durable in the sink."""

    def release(self, streams: Sequence[Stream]) -> None:
        """Remove what `position` made at the source. Safe to call twice, and where nothing was made."""
        del streams

    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        """Return how much of its log the source keeps for this feed; None where that is not known."""
        del streams
        return None


class Queryable(ABC):
    """A source that answers one read-only SQL statement in its own dialect."""

    dialect: ClassVar[str]
    """Name of the SQL dialect, as people know it: `PostgreSQL`."""

    @abstractmethod
    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        """Run one SELECT and stream its rows; refuse anything else with `ConfigError` and code `sql_refused`."""


class Uploads(ABC):
    """A source that reads files which people hand over."""

    @classmethod
    @abstractmethod
    def accepts(cls, file_name: str) -> bool:
        """Tell whether a file of this name can be read."""

    @classmethod
    def upload_settings(cls, folder: str) -> Json:
        """Return the settings of a connection that reads a folder, as `ctx.list_files` takes its path.

        Each folder in it is a table, called as that folder, of the files in there.
        """
        return {"location": folder}


def _close(items: object) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        close()
