"""How a CSV file is written: what separates its columns, and whether its first row names them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from servicetsunami.sdk import ConfigError
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.names import distinct_names
from servicetsunami_files.places import Place

_DELIMITERS = ",;\t|"
_ROWS = 200
_VALUE = re.compile(r"\s*[+-]?[\d.,]*\d\s*%?|\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|(?i:true|false)")


@dataclass(frozen=True)
class Dialect:
    """How one CSV file is written."""

    delimiter: str
    quote: str
    header: bool
    skip: int
    names: tuple[str, ...]
    end: bytes


def find_dialect(sample: str, *, whole: bool, place: Place, config: FilesConfig) -> Dialect:
    """Look at the beginning of a file; `whole` where it is all of it. Settings win over what is found."""
    end = "\n" if "\n" in sample else "\r" if "\r" in sample else "\n"
    lines = sample.split(end) if whole else sample.split(end)[:-1] or [sample]
    text = "\n".join(line.rstrip("\r") for line in lines[config.skip_rows :][: _ROWS * 4])
    delimiter = config.delimiter or _delimiter(text, place, config.quote)
    rows = _rows(text, delimiter, config.quote)
    header = config.header if config.header is not None else _has_header(rows)
    first = rows[0] if rows else []
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows and not header else len(first)
    names = distinct_names(first if header else [""] * width)
    return Dialect(delimiter, config.quote, header, config.skip_rows, tuple(names), end.encode())


def _delimiter(text: str, place: Place, quote: str) -> str:
    if ".tsv" in place.name.lower() or ".tab" in place.name.lower():
        return "\t"
    widths = {mark: [len(row) for row in _rows(text, mark, quote)] for mark in _DELIMITERS}
    even = [mark for mark, found in widths.items() if found and min(found) > 1 and min(found) == max(found)]
    if len(even) == 1:
        return even[0]
    if len(even) > 1:
        raise ConfigError(
            f"the columns of '{place.name}' may be separated by {' or by '.join(map(_spelt, even))}; it is not read",
            code="ambiguous_delimiter",
            field="delimiter",
            fix="set delimiter",
        )
    scores = {mark: _agreeing(found) for mark, found in widths.items()}
    best = max(scores, key=lambda mark: scores[mark])
    return best if scores[best] else ","


def _spelt(mark: str) -> str:
    return {"\t": "tab", ",": "comma", ";": "semicolon"}.get(mark, mark)


def _agreeing(widths: list[int]) -> int:
    """Count the rows that have as many columns as the first, if that is more than one."""
    return sum(width == widths[0] for width in widths) if widths and widths[0] > 1 else 0


def _rows(text: str, delimiter: str, quote: str) -> list[list[str]]:
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) == _ROWS:
                break
    except csv.Error:
        return rows
    return rows


def _has_header(rows: list[list[str]]) -> bool:
    if not rows:
        return True
    first, rest = rows[0], rows[1:]
    if not any(_VALUE.fullmatch(cell) for cell in first):
        return True
    for column, cell in enumerate(first):
        below = [row[column] for row in rest if column < len(row) and row[column]]
        if below and cell and not _VALUE.fullmatch(cell) and all(_VALUE.fullmatch(text) for text in below):
            return True
    return False
