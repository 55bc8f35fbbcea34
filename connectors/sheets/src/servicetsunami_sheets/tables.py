"""Which streams a spreadsheet has: its worksheets, and its named ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gspread.utils import absolute_range_name, rowcol_to_a1

from servicetsunami_sheets.config import SheetsConfig, spreadsheet_id

if TYPE_CHECKING:
    from servicetsunami_sheets.gateway import Gateway

FIELDS = (
    "properties.title,namedRanges,"
    "sheets.properties(sheetId,title,hidden,sheetType,gridProperties(rowCount,columnCount))"
)


@dataclass(frozen=True)
class Area:
    """A rectangle of cells that is one stream. Rows and columns are counted from 1, both ends included."""

    spreadsheet: str
    book: str
    """Title of the spreadsheet."""
    name: str
    sheet: str
    """Title of the worksheet."""
    top: int
    left: int
    bottom: int
    right: int
    kind: str = "sheet"

    @property
    def width(self) -> int:
        """How many columns it spans."""
        return self.right - self.left + 1

    def rows(self, first: int, last: int) -> str:
        """Return some of its rows in A1 notation."""
        return str(
            absolute_range_name(self.sheet, f"{rowcol_to_a1(first, self.left)}:{rowcol_to_a1(last, self.right)}")
        )


def areas_of(gateway: Gateway, config: SheetsConfig) -> list[Area]:
    """Return every stream of the connection's spreadsheets."""
    found: list[Area] = []
    for given in config.spreadsheets:
        found += areas_in(gateway, spreadsheet_id(given) or given, config)
    return found


def areas_in(gateway: Gateway, spreadsheet: str, config: SheetsConfig) -> list[Area]:
    """Return every stream of one spreadsheet."""
    told = gateway.spreadsheets_get(spreadsheet, {"fields": FIELDS}).copy()
    book = str(told.get("properties", {}).get("title") or spreadsheet)
    sheets = {one["properties"].get("sheetId", 0): one["properties"] for one in told.get("sheets", ())}
    return [
        *(_sheet(spreadsheet, book, one) for one in sheets.values() if _is_read(one, config)),
        *_named(spreadsheet, book, told, sheets),
    ]


def _is_read(sheet: Mapping[str, Any], config: SheetsConfig) -> bool:
    is_grid = sheet.get("sheetType", "GRID") == "GRID"
    return is_grid and (config.include_hidden or not sheet.get("hidden", False))


def _sheet(spreadsheet: str, book: str, sheet: Mapping[str, Any]) -> Area:
    grid = sheet.get("gridProperties", {})
    title = str(sheet["title"])
    return Area(spreadsheet, book, title, title, 1, 1, grid.get("rowCount", 1), grid.get("columnCount", 1))


def _named(
    spreadsheet: str, book: str, told: Mapping[str, Any], sheets: Mapping[int, Mapping[str, Any]]
) -> Iterator[Area]:
    for one in told.get("namedRanges", ()):
        place = one.get("range", {})
        sheet = sheets.get(place.get("sheetId", 0))
        if sheet is None:
            continue
        grid = sheet.get("gridProperties", {})
        yield Area(
            spreadsheet,
            book,
            str(one["name"]),
            str(sheet["title"]),
            place.get("startRowIndex", 0) + 1,
            place.get("startColumnIndex", 0) + 1,
            place.get("endRowIndex", grid.get("rowCount", 1)),
            place.get("endColumnIndex", grid.get("columnCount", 1)),
            "named range",
        )
