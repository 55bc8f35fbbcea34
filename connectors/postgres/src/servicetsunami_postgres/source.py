"""The connector: what the host asks, answered by the modules beside this one, which bring the drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from servicetsunami.sdk import (
    ChangeFeed,
    Context,
    Item,
    Json,
    Queryable,
    QueryLimits,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
)
from servicetsunami_postgres.config import PostgresConfig

if TYPE_CHECKING:
    import pyarrow as pa

    from servicetsunami_postgres.session import Session


class PostgresSource(Source[PostgresConfig], Splittable, Queryable, ChangeFeed):
    """Reads tables and views of PostgreSQL: in full, in parallel parts, from where it stopped, or their changes."""

    name = "postgres"
    title = "PostgreSQL"
    dialect: ClassVar[str] = "PostgreSQL"

    def __init__(self, config: PostgresConfig, ctx: Context) -> None:
        super().__init__(config, ctx)
        self._opened: Session | None = None

    def check(self) -> None:
        """Go through resolve, connect, TLS, log in, database, permission and read; the error names the step."""
        self._session.check()

    def streams(self) -> Iterable[Stream]:
        """Yield every table and view the role may read, by schema and name."""
        return self._session.streams()

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of one moment, in batches of about 8 MiB of text."""
        return self._session.read(read)

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan about `target` parts of one moment; () for views and for tables under 64 MiB."""
        return self._session.splits(read, target)

    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        """Return the parts at a new moment, and one more of what was written since the first."""
        return self._session.replan(read, splits)

    def position(self, streams: Sequence[Stream]) -> Json:
        """Make a publication and a replication slot anew; return from where on the slot holds the log."""
        return self._session.feed.position(streams)

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        """Yield the changes after `state`, in batches; raises `feed_lost` where the log does not reach back to it."""
        return self._session.feed.changes(streams, state)

    def ack(self, state: Json) -> None:
        """Let the server forget its log before `state`."""
        self._session.feed.ack(state)

    def release(self, streams: Sequence[Stream]) -> None:
        """Drop the replication slot and the publication."""
        self._session.feed.release(streams)

    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        """Return how much of its log the server keeps for these streams."""
        return self._session.feed.lag_bytes(streams)

    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        """Answer one SELECT.

        The schema's metadata holds `truncated` where `limits.size_bytes` ended the answer before its last row.
        """
        return self._session.query(sql, limits)

    def close(self) -> None:
        """Close every connection."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @property
    def _session(self) -> Session:
        if self._opened is None:
            from servicetsunami_postgres.session import Session

            self._opened = Session(self.config, self.ctx)
        return self._opened
