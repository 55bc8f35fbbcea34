"""Reading CSV files: cut into pieces of whole records, each parsed by Arrow on a thread of its own, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from servicetsunami_files.batches import Parsed
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.csvparse import Parser
from servicetsunami_files.cutting import Cutter, Piece
from servicetsunami_files.dialect import Dialect, find_dialect
from servicetsunami_files.failures import refused
from servicetsunami_files.filesystem import Files
from servicetsunami_files.opening import MIB, open_bytes
from servicetsunami_files.places import Place
from servicetsunami_files.text import not_in, utf8_chunks
from servicetsunami_files.typed import find_type

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK = 8 * MIB
_SAMPLE = MIB
_LOOK = 256 * 1024
_THREADS = max(2, min(4, os.cpu_count() or 2))


@dataclass(frozen=True)
class _Opened:
    dialect: Dialect
    pieces: Iterator[Piece]


def csv_schema(files: Files, place: Place, config: FilesConfig) -> pa.Schema:
    """Return names and types of the columns, as the first MiB of the file shows them."""
    import pyarrow as pa

    with _opened(files, place, config, _SAMPLE) as opened:
        first = next((piece for piece in opened.pieces if piece.reason is None), None)
        table = Parser(place, opened.dialect, config, {}).texts(first) if first else None
        names = opened.dialect.names
    columns = {name: table.column(name).combine_chunks() if table else pa.nulls(0) for name in names}
    return pa.schema([(name, find_type(column)) for name, column in columns.items()])


def read_csv(files: Files, place: Place, config: FilesConfig, schema: pa.Schema) -> Iterator[Parsed]:
    """Yield the records of a file in order, typed by `schema`; columns it does not name are text."""
    with _opened(files, place, config, _CHUNK) as opened:
        parser = Parser(place, opened.dialect, config, {field.name: field.type for field in schema})
        yield from _in_order(parser, opened.pieces)


@contextmanager
def _opened(files: Files, place: Place, config: FilesConfig, size: int) -> Iterator[_Opened]:
    with open_bytes(files, place, config) as file:
        chunks = utf8_chunks(file, place, config.encoding, size)
        first = next(chunks, b"")
        _refuse_web_page(first, place)
        second = next(chunks, b"")
        try:
            sample = first[:_LOOK].decode("utf-8", "strict" if len(first) <= _LOOK and not second else "ignore")
        except UnicodeDecodeError as error:
            raise not_in(place, "utf-8", first.count(b"\n", 0, error.start) + 1) from error
        dialect = find_dialect(sample, whole=len(first) <= _LOOK and not second, place=place, config=config)
        cutter = Cutter(place.name, dialect.delimiter, dialect.quote, end=dialect.end)
        start, line = _after_skipped(first, dialect)
        cutter.line = line
        yield _Opened(dialect, cutter.pieces(chain([first[start:], second], chunks)))


def _refuse_web_page(data: bytes, place: Place) -> None:
    """Refuse what was saved instead of a file by whoever was not signed in."""
    if data[:1024].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise refused(
            place.name,
            "it is a web page, not the file that it should be",
            code="web_page",
            fix="download the file again while you are signed in there",
        )


def _after_skipped(data: bytes, dialect: Dialect) -> tuple[int, int]:
    """Return where the data begin, behind the rows that are skipped, and the line that is."""
    start = 0
    for _ in range(dialect.skip):
        start = (data.find(dialect.end, start) + 1) or len(data)
    return start, dialect.skip + 1


def _in_order(parser: Parser, pieces: Iterator[Piece]) -> Iterator[Parsed]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="csv") as pool:
        waiting: deque[Future[Parsed]] = deque()
        try:
            for number, piece in enumerate(pieces):
                waiting.append(pool.submit(parser.parse, piece, is_first=number == 0))
                if len(waiting) > _THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for job in waiting:
                job.cancel()
