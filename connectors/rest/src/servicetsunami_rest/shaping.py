"""Records into Arrow: a page that looks like those before it takes the fast way, any other the careful one.

The fast way decodes a page into columns of known kinds and refuses whatever is not exactly of them. The careful way
looks at each cell, settles columns that are new, and leaves to the SDK to rescue what does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import GenericAlias
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw, UnsetType

from servicetsunami.sdk import ConfigError
from servicetsunami.sdk.infer import same_value
from servicetsunami.sdk.rows import to_batches
from servicetsunami_rest.bodies import Page
from servicetsunami_rest.columns import Column, exact, hinted, settled, shown, unknown
from servicetsunami_rest.config import StreamSettings

_NAME_MARK = b'":'
"""Follows every name of compact JSON; seen more often than there are names, the page is read strictly."""
_DECODED: dict[str, Any] = {"unknown": None, "boolean": bool | None, "integer": int | None, "text": str | None}
_MISSING = Raw(b"")


class Shape:
    """The columns of a stream, as far as they are known."""

    def __init__(self, stream: StreamSettings, columns: tuple[str, ...] | None = None) -> None:
        self._stream = stream
        self._wanted = columns
        self._columns: dict[str, Column] = {name: hinted(name, hint) for name, hint in stream.types.items()}
        for name in columns or ():
            self._columns.setdefault(name, unknown(name))
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def batches(self, page: Page) -> Iterator[pa.RecordBatch]:
        """Yield the records of a page; columns of which only nulls were seen are of the type null.

        Raises `ConfigError` where the records are no objects, `DataError` where a name comes twice.
        """
        if page.is_empty:
            return
        batch = self._fast(page) if self._decoder else None
        if batch is not None:
            yield batch
        else:
            yield from self._careful(page)

    def _fast(self, page: Page) -> pa.RecordBatch | None:
        try:
            rows = self._decoder.decode(page.records) if self._decoder else []
            lists = zip(*map(msgspec.structs.astuple, rows), strict=True)
            cut = [_cut(column, cells) for column, cells in zip(self._columns.values(), lists, strict=True)]
        except (ValueError, OverflowError, RecursionError, pa.ArrowException):
            return None
        if page.records.count(_NAME_MARK) != sum(one.names for one in cut):
            page.answer.json()  # text may look like names; a name that comes twice is refused here
        arrays = {
            column.name: one.array
            for column, one in zip(self._columns.values(), cut, strict=True)
            if self._wanted is None or column.name in self._wanted
        }
        return pa.RecordBatch.from_pydict(arrays)

    def _careful(self, page: Page) -> Iterator[pa.RecordBatch]:
        page.answer.json()
        records = _records(page)
        self._learn(records)
        kept = [column for column in self._columns.values() if self._wanted is None or column.name in self._wanted]
        rows = [{column.name: _value(column, record.get(column.name)) for column in kept} for record in records]
        yield from to_batches(rows, pa.schema([pa.field(column.name, column.type) for column in kept]))

    def _learn(self, records: Sequence[Mapping[str, bytes]]) -> None:
        """Settle the columns that these records show first, and build the decoder of pages like them."""
        names = dict.fromkeys(name for record in records for name in record)
        open_ones = [name for name in names if self._columns.get(name, unknown(name)).kind == "unknown"]
        for name in open_ones:
            cells = [record[name] for record in records if name in record]
            self._columns[name] = settled(name, cells, nested=self._stream.nested)
        if open_ones or self._decoder is None:
            self._decoder = _decoder(list(self._columns.values()))


class _Cut:
    """One column of a page: its cells, and how many names of JSON it accounts for."""

    def __init__(self, array: pa.Array, names: int) -> None:
        self.array = array
        self.names = names


def _decoder(columns: Sequence[Column]) -> msgspec.json.Decoder[Any]:
    fields = [
        (f"c{i}", _DECODED[one.kind] | UnsetType if one.kind in _DECODED else Raw, _unset(one))
        for i, one in enumerate(columns)
    ]
    names = {f"c{i}": one.name for i, one in enumerate(columns)}
    row = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(GenericAlias(list, (row,)))


def _unset(column: Column) -> Any:
    return UNSET if column.kind in _DECODED else _MISSING


def _cut(column: Column, cells: Sequence[Any]) -> _Cut:
    if column.kind == "unknown":
        return _Cut(pa.nulls(len(cells)), len(cells) - cells.count(UNSET))
    if column.kind in _DECODED:
        return _plain(column, cells)
    if column.kind in ("decimal", "json"):
        return _joined(column, cells)
    raw = [bytes(cell) for cell in cells]
    names = len(raw) - raw.count(b"") + b" ".join(raw).count(_NAME_MARK)
    return _Cut(_converted(column, [cell or b"null" for cell in raw]), names)


def _joined(column: Column, cells: Sequence[Any]) -> _Cut:
    """Take cells as they were sent. They are joined and split, which is quicker than one after another."""
    whole = b"\0".join(cells)  # JSON holds no NUL
    texts: list[str | None] = list(whole.decode().split("\0"))
    missing = texts.count("")
    if missing or "null" in texts:
        texts = [text if text not in ("", "null") else None for text in texts]
    names = len(texts) - missing + (whole.count(_NAME_MARK) if column.kind == "json" else 0)
    array = pa.array(texts, pa.string())
    return _Cut(array if column.kind == "json" else array.cast(column.type), names)


def _plain(column: Column, cells: Sequence[Any]) -> _Cut:
    try:
        return _Cut(pa.array(cells, column.type), len(cells))
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # Arrow does not know the mark of a missing cell
        missing = cells.count(UNSET)
        if not missing:
            raise
        return _Cut(pa.array([None if cell is UNSET else cell for cell in cells], column.type), len(cells) - missing)


def _converted(column: Column, cells: Sequence[bytes]) -> pa.Array:
    if column.kind == "struct":
        return _structs(column, [exact(cell) for cell in cells])
    return pa.array([shown(cell) for cell in cells], pa.string()).cast(column.type)


def _structs(column: Column, values: Sequence[Any]) -> pa.Array:
    array = pa.array(values, column.type)
    if not all(map(same_value, values, array.to_pylist())):
        raise ValueError("a nested value has a part that its column does not have")
    return array


def _records(page: Page) -> list[dict[str, bytes]]:
    try:
        records = msgspec.json.decode(page.records, type=list[dict[str, Raw]])
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            "the list of records holds something that is not an object, so no row can be made of it",
            code="records_not_found",
            field="records",
            fix="set the stream's records to the path of a list of objects",
        ) from error
    return [{name: bytes(cell) for name, cell in record.items()} for record in records]


def _value(column: Column, cell: bytes | None) -> Any:
    if cell is None or cell == b"null":
        return None
    if column.kind == "json":
        return cell.decode()
    if column.kind in ("mixed", "hinted"):
        return shown(cell)
    value = exact(cell)
    if column.kind == "struct" or not isinstance(value, Mapping | list):
        return value
    return cell.decode()
