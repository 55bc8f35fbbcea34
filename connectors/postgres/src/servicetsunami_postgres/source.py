"""The connector: what the host asks, answered by the modules beside this one, which bring the drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from servicetsunami.sdk import Context, Item, Read, Source, Stream
from servicetsunami_postgres.config import PostgresConfig

if TYPE_CHECKING:
    from servicetsunami_postgres.session import Session


class PostgresSource(Source[PostgresConfig]):
    """Reads tables and views of a PostgreSQL database, in full, in parallel parts or from where it stopped."""

    name = "postgres"
    title = "PostgreSQL"

    def __init__(self, config: PostgresConfig, ctx: Context) -> None:
        super().__init__(config, ctx)
        self._opened: Session | None = None

    def streams(self) -> Iterable[Stream]:
        """Yield every table and view the role may read, by schema and name."""
        return self._session.streams()

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of one moment, in batches of about 8 MiB of text."""
        return self._session.read(read)

    def close(self) -> None:
        """Close every connection."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _session(self) -> Session:
        if self._opened is None:
            from servicetsunami_postgres.session import Session

            self._opened = Session(self.config, self.ctx)
        return self._opened
