"""Reading JSON: an array of objects, objects one after the other, or one on each line. Numbers stay exact."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk.rows import to_batches
from servicetsunami_files.batches import Parsed, Quarantined
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.cutting import LONGEST_RECORD
from servicetsunami_files.failures import refused
from servicetsunami_files.filesystem import Files
from servicetsunami_files.names import renamed
from servicetsunami_files.opening import MIB, open_bytes
from servicetsunami_files.places import Place
from servicetsunami_files.text import not_in, utf8_chunks

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLED_ROWS = 2_000
_BATCH_ROWS = 5_000
_DEEPEST = 64
_SPACE = re.compile(r"[ \t\r\n]*")
Record = dict[str, Any] | Quarantined


def json_schema(files: Files, place: Place, config: FilesConfig) -> pa.Schema:
    """Return the columns of the first objects."""
    import pyarrow as pa

    with _records(files, place, config) as records:
        rows = [row for row in islice(records, _SAMPLED_ROWS) if isinstance(row, dict)]
    batches = list(to_batches(rows, None))
    found = {field.name: field.type for batch in batches for field in batch.schema}
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.schema([(name, found.get(name, pa.null())) for name in names])


def read_json(files: Files, place: Place, config: FilesConfig, schema: pa.Schema) -> Iterator[Parsed]:
    """Yield the objects as rows of `schema`; fields that it does not name come as further columns."""
    import pyarrow as pa

    with _records(files, place, config) as records:
        for some in iter(lambda: list(islice(records, _BATCH_ROWS)), []):
            rows = [row for row in some if isinstance(row, dict)]
            names = {name for row in rows for name in row}
            known = pa.schema([field for field in schema if field.name in names])
            bad = [_numbered(row, number) for number, row in enumerate(some, 1) if isinstance(row, Quarantined)]
            yield Parsed(list(to_batches(rows, known)), bad)


def _numbered(bad: Quarantined, number: int) -> Quarantined:
    return Quarantined(number, bad.line, bad.reason, bad.text)


@contextmanager
def _records(files: Files, place: Place, config: FilesConfig) -> Iterator[Iterator[Record]]:
    with open_bytes(files, place, config) as file:
        chunks = utf8_chunks(file, place, config.encoding, MIB)
        yield _by_line(chunks, place) if place.format == "jsonl" else _by_value(chunks, place)


def _by_line(chunks: Iterator[bytes], place: Place) -> Iterator[Record]:
    for number, line in enumerate(_lines(chunks, place), 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_in(place, "utf-8", number) from error
        if not text.strip():
            continue
        try:
            value, reason = json.loads(text, **_EXACT), ""
        except (ValueError, RecursionError) as error:
            value, reason = None, _reason(error)
        yield _as_row(value) if not reason and _is_row(value) else Quarantined(0, number, reason or _NO_ROW, text)


def _lines(chunks: Iterator[bytes], place: Place) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > LONGEST_RECORD:
            raise _too_long(place)
    if rest:
        yield rest


def _by_value(chunks: Iterator[bytes], place: Place) -> Iterator[Record]:
    """Yield the elements of an array, or values that follow each other."""
    window = _Window(chunks, place)
    in_array = window.take("[")
    while window.peek() not in ("", "]" if in_array else ""):
        line = window.line
        value, text = window.value()
        yield _as_row(value) if _is_row(value) else Quarantined(0, line, _NO_ROW, text)
        if in_array and not window.take(","):
            break
    if in_array and not window.take("]"):
        raise window.broken("the array is not closed")
    if window.peek():
        raise window.broken("something follows the end")


class _Window:
    """A part of the text of a file, moved along it."""

    def __init__(self, chunks: Iterator[bytes], place: Place) -> None:
        self._chunks = chunks
        self._place = place
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._scanner = json.JSONDecoder(**_EXACT)
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._move(found.end() if found else self._at)
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Pass over a character if it comes next."""
        if self.peek() != character:
            return False
        self._move(self._at + 1)
        return True

    def value(self) -> tuple[Any, str]:
        """Read a whole value, and its text."""
        self.peek()
        while True:
            try:
                value, end = self._scanner.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more():
                    raise self.broken(_reason(error)) from error
                continue
            if end < len(self._text) or not self._more():
                text = self._text[self._at : end]
                self._move(end)
                return value, text

    def broken(self, why: str) -> Exception:
        """Return the error of a file that is not JSON from here on."""
        return refused(
            self._place.name,
            f"it is not JSON at line {self.line}: {why}",
            code="bad_json",
            fix="have it written again; for one object on each line set format to jsonl",
        )

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        if self._ended:
            return False
        chunk = next(self._chunks, b"")
        self._ended = not chunk
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise not_in(self._place, "utf-8", self.line) from error
        self._text, self._at = self._text[self._at :] + text, 0
        if len(self._text) > LONGEST_RECORD:
            raise _too_long(self._place)
        return True


def _too_long(place: Place) -> Exception:
    return refused(
        place.name,
        f"one object has more than {LONGEST_RECORD >> 20} MiB",
        code="record_too_long",
        fix="check that it is an array of objects, or one object on each line",
    )


_NO_ROW = f"it is no object, or nested more than {_DEEPEST} deep"


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and not _deeper(value, _DEEPEST)


def _deeper(value: Any, than: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return than == 0 or any(_deeper(one, than - 1) for one in inner)


def _as_row(value: dict[str, Any]) -> dict[str, Any]:
    return {renamed(name): cell for name, cell in value.items()}


def _exact_float(text: str) -> float | Decimal:
    """Return a double if it is the same number."""
    exact, near = Decimal(text), float(text)
    return near if Decimal(repr(near)) == exact else exact


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object names a field twice")
    return made


_EXACT: dict[str, Any] = {
    "parse_float": _exact_float,
    "parse_constant": _no_constant,
    "object_pairs_hook": _once,
}
