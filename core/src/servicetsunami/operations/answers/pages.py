"""Pages of a query's answer: the first from the warehouse, the others from the result that was kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from servicetsunami.operations.answers.cursors import Cursors, Place
from servicetsunami.operations.answers.shelf import Shelf
from servicetsunami.operations.models import QueryPage
from servicetsunami.operations.results import UNTRUSTED, Chosen, choose, row_limit, rows_of, shown
from servicetsunami.sdk import Cancelled, QueryLimits, TsunamiError

if TYPE_CHECKING:
    import pyarrow as pa

_MORE = "There are more rows: aggregate or filter in SQL, else call again with cursor. "
_NOT_KEPT = "There are more rows: aggregate or filter in SQL, or raise limit. "


@dataclass(frozen=True)
class Pages:
    """The pages of one query of one tenant, of at most `limit` rows each."""

    shelf: Shelf
    cursors: Cursors
    limit: int | None
    keep: bool
    """False for callers who want the first page only."""

    def limits(self, timeout_seconds: float) -> QueryLimits:
        """Return how far the query may go: a little further than is shown or kept, to see whether there is more."""
        if not self.keep:
            return QueryLimits(row_limit(self.limit) + 1, timeout_seconds=timeout_seconds)
        bounds = self.shelf.bounds
        return QueryLimits(bounds.rows + 1, bounds.size_bytes + 1, timeout_seconds)

    def first(self, reader: pa.RecordBatchReader, began: float) -> QueryPage:
        """Answer with the first rows of a query; keeps its result if that is more than a page."""
        read: list[pa.RecordBatch] = []
        chosen = choose(rows_of(remembered(reader, read)), self.limit, reader.schema)
        if not chosen.truncated or not self.keep:
            more = _NOT_KEPT if chosen.truncated else ""
            return _page(chosen, reader.schema, began, Place("", 0), None, more)
        try:
            result_id = self.shelf.keep(reader.schema, chain(read, reader))
        except Cancelled:
            raise
        except (OSError, TsunamiError) as error:
            why = f"The whole result could not be kept ({_reason(error)}). "
            return _page(chosen, reader.schema, began, Place("", 0), None, _NOT_KEPT + why)
        place = Place(result_id, len(chosen.rows))
        return _page(chosen, reader.schema, began, place, self.cursors.cursor(place), _MORE)

    def further(self, cursor: str, began: float) -> QueryPage:
        """Answer with the rows at a cursor."""
        place = self.cursors.place(cursor)
        kept = self.shelf.open(place.result_id)
        chosen = choose(rows_of(kept.from_row(place.offset)), self.limit, kept.schema)
        end = Place(kept.id, place.offset + len(chosen.rows))
        if chosen.truncated:
            return _page(chosen, kept.schema, began, end, self.cursors.cursor(end), _MORE)
        if kept.complete:
            return _page(chosen, kept.schema, began, end, None, "")
        ended = f"There are more rows, but no more than {kept.rows:,} were kept: aggregate or filter in SQL. "
        return _page(Chosen(chosen.rows, True, chosen.notes), kept.schema, began, end, None, ended)


def _page(chosen: Chosen, schema: pa.Schema, began: float, end: Place, next_cursor: str | None, more: str) -> QueryPage:
    return QueryPage(
        **shown(chosen, schema, began),
        truncated=chosen.truncated,
        next_cursor=next_cursor,
        result_id=end.result_id or None,
        notice=f"{chosen.notes}{more}{UNTRUSTED}",
    )


def remembered(reader: pa.RecordBatchReader, read: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches and note in `read` which came already."""
    for batch in reader:
        read.append(batch)
        yield batch


def _reason(error: OSError | TsunamiError) -> str:
    return (error.strerror or "the disk failed") if isinstance(error, OSError) else error.problem().code
