"""The connector: what the host asks, answered by the modules beside this one, which bring the library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from servicetsunami.sdk import Item, Read, Source, Split, Splittable, Stream
from servicetsunami_sqlalchemy.config import SqlConfig

if TYPE_CHECKING:
    from sqlalchemy import Connection


class SqlSource(Source[SqlConfig], Splittable):
    """Reads tables and views of SQLite, MySQL, MariaDB and other databases that SQLAlchemy knows, typed exactly."""

    name = "sqlalchemy"
    title = "SQL database"

    def streams(self) -> Iterable[Stream]:
        """Yield every table and view that the user may see."""
        from servicetsunami_sqlalchemy.tables import tables_of

        with self._opened("its tables cannot be listed") as connection:
            found = tables_of(connection, self.config)
        for one in found:
            yield one.stream()

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of a table as they were at one moment."""
        from servicetsunami_sqlalchemy.reading import Pages
        from servicetsunami_sqlalchemy.tables import find, tables_of

        with self._opened(f"'{read.stream.id}' cannot be read") as connection:
            found = find(tables_of(connection, self.config), read.stream.id)
            for batch in Pages(connection, found, read).batches():
                yield batch
                if self.ctx.cancelled():
                    self.ctx.sleep(0)

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan parts by ranges of a whole number that is the key."""
        from servicetsunami_sqlalchemy.reading import plan
        from servicetsunami_sqlalchemy.tables import find, tables_of

        with self._opened(f"'{read.stream.id}' cannot be read") as connection:
            return plan(connection, find(tables_of(connection, self.config), read.stream.id), target)

    @contextmanager
    def _opened(self, what: str) -> Iterator[Connection]:
        """Open a connection with one transaction, which sees one moment and changes nothing."""
        from servicetsunami_sqlalchemy.engines import open_engine
        from servicetsunami_sqlalchemy.failures import typed

        with typed(what):
            engine = open_engine(self.config, self.ctx)
            with engine.connect() as connection, connection.begin():
                yield connection
