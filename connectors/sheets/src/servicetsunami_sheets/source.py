"""The connector: what the host asks, answered by the modules beside this one, which bring the libraries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import Item, Read, SignIn, Source, Stream
from servicetsunami_sheets.config import SheetsConfig

if TYPE_CHECKING:
    from servicetsunami_sheets.reading import Reader


class SheetsSource(Source[SheetsConfig]):
    """Reads worksheets and named ranges of Google Sheets, typed as the cells are, with the row each came from."""

    name = "sheets"
    title = "Google Sheets"

    @classmethod
    def sign_in(cls, settings: Mapping[str, Any]) -> SignIn | None:
        """Return how a person signs in at Google."""
        from servicetsunami_sheets.access import sign_in

        return sign_in(settings)

    def check(self) -> None:
        """Look at every spreadsheet and read a row of the first that has one."""
        for stream in list(self.streams()):
            next(iter(self.read(Read(stream, limit=1, batch_rows=1))), None)
            return

    def streams(self) -> Iterable[Stream]:
        """Yield a stream for every worksheet and named range."""
        return self._reader.streams()

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of a stream."""
        yield from self._reader.read(read)

    def close(self) -> None:
        """Close every connection."""
        if "_reader" in vars(self):
            self._reader.close()

    @cached_property
    def _reader(self) -> Reader:
        from servicetsunami_sheets.reading import Reader

        return Reader(self.config, self.ctx)
