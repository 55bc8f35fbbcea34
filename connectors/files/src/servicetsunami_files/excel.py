"""Reading workbooks: a stream for every sheet, its header row found, values typed as the cells are."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO

from servicetsunami.sdk import ConfigError, nearest
from servicetsunami.sdk.rows import to_batches
from servicetsunami_files.batches import Parsed, Quarantined
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.failures import refused, too_large
from servicetsunami_files.filesystem import Files
from servicetsunami_files.names import distinct_names
from servicetsunami_files.opening import MIB, need_plain, open_raw
from servicetsunami_files.places import Place

if TYPE_CHECKING:
    import pyarrow as pa
    from python_calamine import CalamineWorkbook

_SAMPLED_ROWS = 2_000
_BATCH_ROWS = 5_000
_LOOK = 25
"""Rows among which the header is looked for."""
_FREE = 64 * MIB
_MOST_ENTRIES = 10_000
_EXACT_DOUBLE = 2**53
_ABOVE = "it lies above the header row"
Row = tuple[int, list[Any]]


@dataclass(frozen=True)
class _Sheet:
    names: Sequence[str]
    above: Sequence[Row]
    rows: Iterator[Row]


def sheet_names(files: Files, place: Place, config: FilesConfig) -> list[str]:
    """Return the sheets to read: the one that is set, else every visible one with cells."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    with _workbook(files, place, config) as book:
        if config.sheet is None:
            return [
                sheet.name
                for sheet in book.sheets_metadata
                if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
            ]
        if config.sheet in book.sheet_names:
            return [config.sheet]
        raise ConfigError(
            f"'{place.name}' has no sheet of that name",
            code="sheet_not_found",
            field="sheet",
            fix="name one of its sheets, or leave sheet out to read all",
            did_you_mean=nearest(config.sheet, book.sheet_names),
        )


def excel_schema(files: Files, place: Place, config: FilesConfig, sheet: str) -> pa.Schema:
    """Return the columns of a sheet, by its first rows."""
    import pyarrow as pa

    with _workbook(files, place, config) as book:
        opened = _sheet(book, place, config, sheet)
        rows = [dict(zip(opened.names, cells, strict=True)) for _, cells in islice(opened.rows, _SAMPLED_ROWS)]
    found = {field.name: field.type for batch in to_batches(rows, None) for field in batch.schema}
    return pa.schema([(name, found.get(name, pa.null())) for name in opened.names])


def read_excel(files: Files, place: Place, config: FilesConfig, schema: pa.Schema, sheet: str) -> Iterator[Parsed]:
    """Yield the rows of a sheet that have a cell, with their numbers in the sheet; what lies above the header too."""
    import pyarrow as pa

    with _workbook(files, place, config) as book:
        opened = _sheet(book, place, config, sheet)
        known = pa.schema([field for field in schema if field.name in opened.names])
        if opened.above:
            yield Parsed((), [_above(row) for row in opened.above], numbers=())
        for rows in iter(lambda: list(islice(opened.rows, _BATCH_ROWS)), []):
            found = [dict(zip(opened.names, cells, strict=True)) for _, cells in rows]
            yield Parsed(list(to_batches(found, known)), numbers=[number for number, _ in rows])


def _above(row: Row) -> Quarantined:
    number, cells = row
    return Quarantined(number, number, _ABOVE, "\t".join(str(cell) for cell in cells if cell is not None))


@contextmanager
def _workbook(files: Files, place: Place, config: FilesConfig) -> Iterator[CalamineWorkbook]:
    from python_calamine import CalamineError, CalamineWorkbook

    need_plain(place)
    with open_raw(files, place, config) as file:
        _check_archive(file, place, config)
        try:
            book = CalamineWorkbook.from_filelike(file)
        except (CalamineError, OSError, ValueError) as error:
            raise _damaged(place, error) from error
        with book:
            yield book


def _damaged(place: Place, error: Exception) -> Exception:
    from python_calamine import PasswordError

    if isinstance(error, PasswordError):
        return refused(place.name, "it has a password", code="password", fix="save it without a password")
    return refused(place.name, "it is no workbook, or a damaged one", code="bad_excel", fix="save it anew as .xlsx")


def _check_archive(file: BinaryIO, place: Place, config: FilesConfig) -> None:
    """Look at what an .xlsx declares before anything of it is unpacked."""
    if file.read(4) == b"PK\3\4":
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise _damaged(place, error) from error
        grown = sum(entry.file_size for entry in entries)
        overlapping = sum(entry.compress_size for entry in entries) > place.size_bytes
        if grown > max(_FREE, place.size_bytes * config.max_ratio) or len(entries) > _MOST_ENTRIES or overlapping:
            raise too_large(place.name, f"it unpacks to {grown // MIB} MiB", "max_ratio")
    file.seek(0)


def _sheet(book: CalamineWorkbook, place: Place, config: FilesConfig, name: str) -> _Sheet:
    from python_calamine import CalamineError

    try:
        sheet = book.get_sheet_by_name(name)
    except (CalamineError, OSError, ValueError) as error:
        raise _damaged(place, error) from error
    if sheet.height * sheet.width > config.max_cells:
        raise too_large(place.name, f"the sheet spans {sheet.height} rows and {sheet.width} columns", "max_cells")
    top, left = sheet.start or (0, 0)
    area = _area(config.cell_range)
    first, last = (area.left, area.right) if area else (left, left + sheet.width - 1)
    found = ((top + number + 1, cells) for number, cells in enumerate(sheet.iter_rows()))
    rows = (
        (number, [_value(cell) for cell in _crop(cells, first - left, last - left)])
        for number, cells in found
        if area is None or area.top <= number <= area.bottom
    )
    return _with_header((row for row in rows if any(cell is not None for cell in row[1])), config, last - first + 1)


@dataclass(frozen=True)
class _Area:
    top: int
    bottom: int
    left: int
    right: int


def _area(text: str | None) -> _Area | None:
    if text is None:
        return None
    columns = [_column(letters) for letters in re.findall(r"[A-Z]+", text)]
    rows = [int(digits) for digits in re.findall(r"\d+", text)]
    return _Area(min(rows), max(rows), min(columns), max(columns))


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _crop(cells: list[Any], first: int, last: int) -> list[Any]:
    before = [None] * max(0, -first)
    kept = [*before, *cells[max(0, first) : last + 1]]
    return kept + [None] * (last - first + 1 - len(kept))


def _value(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= _EXACT_DOUBLE:
        return int(cell)
    return None if cell == "" else cell


def _with_header(rows: Iterator[Row], config: FilesConfig, width: int) -> _Sheet:
    skipped = list(islice(rows, config.skip_rows))
    if config.header is False:
        return _Sheet(distinct_names([""] * width), skipped, rows)
    look = list(islice(rows, _LOOK))
    at = 0 if config.skip_rows or config.header else _header_row(look)
    names = distinct_names(look[at][1] if look else [""] * width)
    return _Sheet(names, [*skipped, *look[:at]], chain(look[at + 1 :], rows))


def _header_row(rows: Sequence[Row]) -> int:
    """Return the first row that is about as wide as the widest and holds nothing but text; else the first."""
    widths = [sum(cell is not None for cell in cells) for _, cells in rows]
    for number, (_, cells) in enumerate(rows):
        only_text = all(isinstance(cell, str) for cell in cells if cell is not None)
        if only_text and widths[number] * 2 > max(widths):
            return number
    return 0
