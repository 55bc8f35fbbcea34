"""Reading streams: blocks of rows, each cell with its type, the sheet the same from beginning to end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from servicetsunami.sdk import RESCUED, Context, NotFound, Read, Stream, TransientError, nearest
from servicetsunami_sheets.cells import CellError, value_of
from servicetsunami_sheets.config import SheetsConfig
from servicetsunami_sheets.gateway import Gateway
from servicetsunami_sheets.headers import LOOK, SOURCE_ROW, Row, column_names, find_header
from servicetsunami_sheets.tables import Area, areas_in, areas_of

_CELLS_AT_ONCE = 50_000
_MOST_ROWS_AT_ONCE = 5_000
_FIELDS = "sheets.data(startRow,rowData.values(effectiveValue,effectiveFormat.numberFormat.type))"


class Reader:
    """Reads the streams of one connection."""

    def __init__(self, config: SheetsConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._gateway = Gateway(config, ctx)

    def close(self) -> None:
        """Close every connection."""
        self._gateway.close()

    def streams(self) -> Iterator[Stream]:
        """Yield a stream for every worksheet and named range."""
        for stream, _ in self._offered():
            yield stream

    def read(self, read: Read) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of a stream, those that are empty left out."""
        area = self._find(read.stream)
        left = read.limit
        rows = self._rows(area)
        header, names, rows = self._header(area, rows)
        while block := list(islice(rows, min(read.batch_rows, _MOST_ROWS_AT_ONCE, left or _MOST_ROWS_AT_ONCE))):
            yield [_record(row, names, read.columns) for row in block]
            left = None if left is None else left - len(block)
            if left == 0:
                return
        self._check_same(area, header)

    def _rows(self, area: Area) -> Iterator[Row]:
        """Yield the rows that are not empty, block by block."""
        height = max(1, min(_MOST_ROWS_AT_ONCE, _CELLS_AT_ONCE // area.width))
        for first in range(area.top, area.bottom + 1, height):
            yield from self._block(area, first, min(first + height - 1, area.bottom))
            if self._ctx.cancelled():
                self._ctx.sleep(0)

    def _block(self, area: Area, first: int, last: int) -> Iterator[Row]:
        params: dict[str, Any] = {"includeGridData": "true", "ranges": area.rows(first, last), "fields": _FIELDS}
        told = self._gateway.spreadsheets_get(area.spreadsheet, params)
        for part in _parts(told):
            start = part.get("startRow", 0) + 1
            for number, row in enumerate(part.get("rowData", ()), start):
                cells = [_cell(cell) for cell in row.get("values", ())]
                if any(cell is not None for cell in cells):
                    yield number, cells

    def _header(self, area: Area, rows: Iterator[Row]) -> tuple[list[str], list[str], Iterator[Row]]:
        """Return the header's texts, the columns' names, and the rows below."""
        if not self._config.has_header:
            return [], column_names([None] * area.width), rows
        wanted = self._config.header_row
        if wanted is None:
            look = list(islice(rows, LOOK))
            at = find_header(look)
            below, cells = (chain(look[at + 1 :], rows), look[at][1]) if at is not None else (rows, [])
        else:
            cells = next((cells for number, cells in rows if number >= wanted), [])
            below = rows
        names = column_names(cells + [None] * (area.width - len(cells)))
        return [str(cell) for cell in cells], names, below

    def _check_same(self, area: Area, header: list[str]) -> None:
        """Raise `TransientError` if the sheet was changed in a way that may have moved its rows."""
        now = areas_in(self._gateway, area.spreadsheet, self._config)
        if area not in now or self._header(area, self._rows(area))[0] != header:
            raise TransientError(
                f"the sheet '{area.name}' was changed while it was read, so what was read of it does not count",
                code="sheet_changed",
                fix="try again when nobody inserts or deletes rows or columns in it",
                retry_after_seconds=10,
            )

    def _offered(self) -> Iterator[tuple[Stream, Area]]:
        """Yield each stream with its cells; spreadsheets are told apart by their titles if there are several."""
        areas = areas_of(self._gateway, self._config)
        counts = Counter((area.book, area.name) for area in areas)
        many = len(self._config.spreadsheets) > 1
        for area in areas:
            is_twice = counts[area.book, area.name] > 1 and area.kind != "sheet"
            name, book = f"{area.name} (range)" if is_twice else area.name, area.book if many else None
            yield Stream(name, namespace=book, kind=area.kind, description=f"in '{area.book}'"), area

    def _find(self, wanted: Stream) -> Area:
        offered = {stream.id: area for stream, area in self._offered()}
        if wanted.id not in offered:
            raise NotFound(
                f"there is no worksheet or named range '{wanted.id}'",
                code="stream_not_found",
                fix="list the tables of the connection: it may have been renamed or hidden",
                did_you_mean=nearest(wanted.id, offered),
            )
        return offered[wanted.id]


def _parts(told: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [part for sheet in told.get("sheets", ()) for part in sheet.get("data", ())]


def _cell(cell: dict[str, Any]) -> Any:
    try:
        return value_of(cell)
    except CellError as error:
        return error


def _record(row: Row, names: list[str], wanted: tuple[str, ...] | None) -> dict[str, Any]:
    number, cells = row
    record: dict[str, Any] = {SOURCE_ROW: number} if not wanted or SOURCE_ROW in wanted else {}
    wrong: dict[str, str] = {}
    for name, cell in zip(names, cells, strict=False):
        if wanted and name not in wanted:
            continue
        if isinstance(cell, CellError):
            wrong[name], record[name] = str(cell), None
        elif cell is not None:
            record[name] = cell
    return {**record, RESCUED: json.dumps(wrong, ensure_ascii=False)} if wrong else record
