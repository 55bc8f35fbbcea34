"""Cutting a CSV file into pieces of whole records, and setting aside the lines whose quotes are wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from servicetsunami_files.failures import refused

LONGEST_RECORD = 32 << 20
_BAD_QUOTES = "a quoted cell is not closed, or has text behind its closing quote"


@dataclass(frozen=True)
class Piece:
    """Whole records, or one line that is none."""

    data: bytes
    line: int
    """Line of the file at which it begins."""
    reason: str | None = None
    """Why it is no record; None for records."""
    quoted: bool = False


class Cutter:
    """Cuts the bytes of one file."""

    def __init__(self, name: str, delimiter: str, quote: str, *, end: bytes = b"\n") -> None:
        self._name = name
        self._quote = quote.encode()
        self._end = end
        self.line = 1
        mark, between = re.escape(self._quote), re.escape(delimiter.encode())
        body = b"[^%b]*+(?:%b[^%b]*+)*+" % (mark, mark * 2, mark)
        start = b"(?:\\A|(?<=[%b\\r\\n]))%b" % (between, mark)
        self._cell = re.compile(start + body + b"%b(?=[%b\\r\\n]|\\Z)" % (mark, between))
        self._start = re.compile(start)
        self._well_quoted = _well_quoted(delimiter, quote)
        self._open = re.compile(mark + body + b"\\Z")

    def pieces(self, chunks: Iterable[bytes]) -> Iterator[Piece]:
        """Yield the pieces of the file in order; raises `DataError` for a record that is too long."""
        rest = b""
        for chunk in chunks:
            buffer = rest + chunk
            made, rest = self._split(buffer, final=False)
            yield from made
            if len(rest) > LONGEST_RECORD:
                raise self._too_long()
        if rest:
            made, _ = self._split(rest, final=True)
            yield from made

    def _split(self, buffer: bytes, *, final: bool) -> tuple[list[Piece], bytes]:
        if self._quote not in buffer:
            cut = len(buffer) if final else buffer.rfind(self._end) + 1
            return self._whole(buffer[:cut], quoted=False), buffer[cut:]
        cut = len(buffer) if final else self._even_cut(buffer)
        piece = buffer[:cut]
        if self._is_well_quoted(piece):
            return self._whole(piece, quoted=True), buffer[cut:]
        return self._carefully(buffer, final=final)

    def _is_well_quoted(self, piece: bytes) -> bool:
        """Tell whether every quote opens or closes a whole cell. Arrow looks while other threads parse."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return bool(pc.match_substring_regex(pa.scalar(piece, pa.binary()), self._well_quoted).as_py())

    def _even_cut(self, buffer: bytes) -> int:
        """Return the end of the last line before which every quote is closed, if all of them are meant as quotes."""
        where = len(buffer)
        while (found := buffer.rfind(self._end, 0, where)) >= 0:
            if buffer.count(self._quote, 0, found) % 2 == 0:
                return found + 1
            where = max(buffer.rfind(self._quote, 0, found), 0)
        return 0

    def _carefully(self, buffer: bytes, *, final: bool) -> tuple[list[Piece], bytes]:
        masked = self._cell.sub(lambda cell: b"x" * len(cell[0]), buffer)
        cut = len(buffer) if final else masked.rfind(self._end) + 1
        bad: dict[int, int] = {}
        for start in self._start.finditer(masked):
            first = masked.rfind(self._end, 0, start.start()) + 1
            if not final and self._open.match(masked, start.start()) and len(buffer) - first < LONGEST_RECORD:
                cut = min(cut, first)
                break
            bad[first] = (masked.find(self._end, start.start()) + 1) or len(buffer)
        return self._around(buffer[:cut], bad), buffer[cut:]

    def _around(self, data: bytes, bad: dict[int, int]) -> list[Piece]:
        made, where = [], 0
        for first, end in bad.items():
            if first < len(data):
                made += self._whole(data[where:first], quoted=True)
                made += self._whole(data[first:end], quoted=True, reason=_BAD_QUOTES)
                where = end
        return made + self._whole(data[where:], quoted=True)

    def _whole(self, data: bytes, *, quoted: bool, reason: str | None = None) -> list[Piece]:
        if not data:
            return []
        line = self.line
        self.line += data.count(self._end)
        return [Piece(data, line, reason, quoted)]

    def _too_long(self) -> Exception:
        return refused(
            self._name,
            f"a line has more than {LONGEST_RECORD >> 20} MiB (near line {self.line})",
            code="record_too_long",
            fix="check that this is a CSV file, and the settings quote and delimiter",
        )


def _well_quoted(delimiter: str, quote: str) -> str:
    """Return the expression, of RE2, for cells of which each is quoted as a whole, or not at all."""
    mark, between = re.escape(quote), re.escape(delimiter)
    end = rf"(?:[{between}\r\n]|\z)"
    quoted = rf"{mark}(?:[^{mark}]|{mark}{mark})*{mark}{end}"
    plain = rf"[^{mark}{between}\r\n]+{end}"
    return rf"(?s)\A(?:{quoted}|{plain}|[{between}\r\n])*\z"
