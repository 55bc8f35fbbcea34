"""The connector: what the host asks, answered by the modules beside this one, which bring the libraries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from servicetsunami.sdk import Item, Read, Source, Stream, Uploads
from servicetsunami_files.config import FilesConfig

if TYPE_CHECKING:
    from servicetsunami_files.reading import Reader


class FilesSource(Source[FilesConfig], Uploads):
    """Reads CSV, JSON, Parquet, Arrow and Excel files, typed exactly, with the file and row each row came from."""

    name = "files"
    title = "Files"

    def check(self) -> None:
        """Find the tables and read a row of one."""
        self._reader.check()

    def streams(self) -> Iterable[Stream]:
        """Yield each table with the types that its files show."""
        return self._reader.streams()

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of a table's files, the one changed longest ago first."""
        return self._reader.read(read)

    def close(self) -> None:
        """Close the connections to an object store."""
        if "_reader" in vars(self):
            self._reader.close()

    @cached_property
    def _reader(self) -> Reader:
        from servicetsunami_files.reading import Reader

        return Reader(self.config, self.ctx)

    @classmethod
    def accepts(cls, file_name: str) -> bool:
        """Tell whether the ending of a name is one of the formats."""
        from servicetsunami_files.places import endings

        return endings(file_name)[1] is not None
