"""Parsing pieces of CSV by Arrow: straight into their types, and where that would not be exact, by way of text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import RESCUED
from servicetsunami_files.batches import Parsed, Quarantined
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.cutting import Piece
from servicetsunami_files.dialect import Dialect
from servicetsunami_files.places import Place
from servicetsunami_files.text import not_in
from servicetsunami_files.typed import Misfits, fit, rescued

if TYPE_CHECKING:
    import pyarrow as pa

_UNTYPED_ZERO = r"^[ \t]*[+-]?0[0-9xX]"


class Parser:
    """Parses the pieces of one file; threads may share it."""

    def __init__(self, place: Place, dialect: Dialect, config: FilesConfig, types: Mapping[str, pa.DataType]) -> None:
        import pyarrow as pa

        self._place = place
        self._dialect = dialect
        self._nulls = list(config.null_values)
        self._types = {name: types.get(name, pa.string()) for name in dialect.names}
        self._texts = dict.fromkeys(dialect.names, pa.string())
        self._direct = {name: _direct(kind) for name, kind in self._types.items()}
        self._numbers = [name for name, kind in self._direct.items() if _is_number(kind)]
        between = re.escape(dialect.delimiter)
        self._zeros = f'(?:^|[{between}\\r\\n])[ \\t"]*[+-]?0[0-9xX]'

    def texts(self, piece: Piece) -> pa.Table:
        """Return the columns of the file's first piece as text."""
        return self._arrow(piece, self._texts, is_first=True)[0]

    def parse(self, piece: Piece, *, is_first: bool) -> Parsed:
        """Return the rows of a piece, and its records that are none."""
        import pyarrow as pa

        if piece.reason is not None:
            return Parsed(
                (),
                (
                    Quarantined(
                        1, piece.line, piece.reason, piece.data.decode("utf-8", "backslashreplace").rstrip("\r\n")
                    ),
                ),
            )
        try:
            table, bad = self._arrow(piece, self._direct, is_first=is_first)
            exact = not self._may_lose_zeros(piece, is_first=is_first)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            exact = False
        if not exact:
            self._check_text(piece)
            table, bad = self._arrow(piece, self._texts, is_first=is_first)
        return Parsed([self._typed(batch) for batch in table.combine_chunks().to_batches()], bad)

    def _arrow(
        self, piece: Piece, types: Mapping[str, pa.DataType], *, is_first: bool
    ) -> tuple[pa.Table, list[Quarantined]]:
        import pyarrow as pa
        from pyarrow import csv

        bad: list[tuple[int, int, str]] = []
        skip = int(is_first and self._dialect.header)

        def set_aside(row: Any) -> str:
            bad.append((row.number - skip, row.actual_columns, row.text))
            return "skip"

        read = csv.ReadOptions(
            use_threads=False,
            block_size=max(len(piece.data) + 1, 1024),
            column_names=self._dialect.names,
            skip_rows_after_names=skip,
        )
        try:
            table = csv.read_csv(
                pa.BufferReader(piece.data), read, self._parse_options(piece, set_aside), self._convert(types)
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise
            table = pa.table({name: pa.array([], kind) for name, kind in types.items()})
        return table, self._quarantined(piece, bad)

    def _parse_options(self, piece: Piece, set_aside: Any) -> Any:
        from pyarrow import csv

        return csv.ParseOptions(
            delimiter=self._dialect.delimiter,
            quote_char=self._dialect.quote if piece.quoted else False,
            newlines_in_values=piece.quoted,
            invalid_row_handler=set_aside,
        )

    def _convert(self, types: Mapping[str, pa.DataType]) -> Any:
        from pyarrow import csv

        return csv.ConvertOptions(
            column_types=types,
            null_values=self._nulls,
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            include_columns=list(types),
        )

    def _quarantined(self, piece: Piece, bad: list[tuple[int, int, str]]) -> list[Quarantined]:
        result, where = [], 0
        for number, columns, text in bad:
            found = _line_start(piece.data, text.encode(), where)
            where = found if found >= 0 else where
            line = piece.line + piece.data.count(self._dialect.end, 0, where)
            reason = f"the row has {columns} columns instead of {len(self._dialect.names)}"
            result.append(Quarantined(number, line, reason, text))
        return result

    def _may_lose_zeros(self, piece: Piece, *, is_first: bool) -> bool:
        """Tell whether a number begins with a zero that Arrow would drop, or with the mark of another base."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._numbers or not pc.match_substring_regex(pa.scalar(piece.data, pa.binary()), self._zeros).as_py():
            return False
        table, _ = self._arrow(piece, {name: self._texts[name] for name in self._numbers}, is_first=is_first)
        matches = (pc.any(pc.match_substring_regex(column, _UNTYPED_ZERO)).as_py() for column in table.columns)
        return any(matches)

    def _check_text(self, piece: Piece) -> None:
        try:
            piece.data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = piece.line + piece.data.count(self._dialect.end, 0, error.start)
            raise not_in(self._place, "utf-8", line) from error

    def _typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow as pa

        columns, misfits = {}, dict[str, Misfits]()
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            kind = self._types[name]
            columns[name], missed = (array, {}) if array.type == kind else fit(array, kind)
            misfits[name] = missed
        texts = rescued(misfits, batch.num_rows)
        if texts is not None:
            columns[RESCUED] = texts
        return pa.RecordBatch.from_pydict(columns)


def _direct(kind: pa.DataType) -> pa.DataType:
    """Return the type that Arrow may parse straight into: it would round a double without a word."""
    import pyarrow as pa

    return pa.string() if pa.types.is_floating(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _line_start(data: bytes, text: bytes, where: int) -> int:
    pattern = re.compile(rb"(?:(?<=[\r\n])|\A)" + re.escape(text) + rb"(?=[\r\n]|\Z)")
    found = pattern.search(data, where)
    return found.start() if found else -1
