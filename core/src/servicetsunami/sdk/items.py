"""What a read yields: rows, checkpoints and changes, in one stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

Json: TypeAlias = dict[str, Any]

OP = "_op"
"""Name of the text column that says what a change did to its row: c, u, d, or t for a table that was emptied."""

UNCHANGED = "_unchanged"
"""Name of the list<string> column that names the columns an update left as they were and did not send."""

DELETED_AT = "_deleted_at"
"""Name of the timestamp column that says when a row that is kept was deleted at the source."""

RESCUED = "_rescued"
"""Name of the text column that holds a JSON object of the cells that did not fit their column; null if all fit."""


class ArrowStream(Protocol):
    """Anything that exports Arrow data: a polars or pandas frame, a DuckDB relation, an ADBC result."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the rows as an Arrow C stream capsule."""


Rows: TypeAlias = "pa.RecordBatch | pa.Table | list[dict[str, Any]] | ArrowStream"
"""Rows of one stream. A batch may bring its own `_rescued` column; the host adds one where it is missing."""


@dataclass(frozen=True)
class Checkpoint:
    """Say that `state` covers every row yielded before it.

    `state` must survive JSON. It is committed together with those rows and given back as `Read.state`. A checkpoint
    may come with no rows before it.
    """

    state: Json


@dataclass(frozen=True)
class Changes:
    """Row changes of one stream, for change feeds, in the order in which they happened.

    Column `op` holds c (created), u (updated), d (deleted; needs only the key columns) or t (the whole table was
    emptied; needs no column). An update of the key is a d of the old key and a c of the new one. Column `seq`
    orders the changes of one key where their order here does not. Where a column `unchanged` is present, it lists the
    columns whose value an update left as it was and the log does not repeat.
    """

    stream: str
    rows: Rows
    op: str = "_op"
    seq: str = "_seq"
    unchanged: str = UNCHANGED


@dataclass(frozen=True)
class Watermark:
    """Say how far the cursor is settled: every row at or below `value` was yielded, and no open transaction adds one.

    `value` is a Python value of the cursor's type. The next incremental read begins at the least of it and the
    greatest cursor value seen; None says that nothing more is settled than before. A read that yields no watermark is
    taken to have seen all up to its greatest cursor value, less the `lag` its stream is given in the settings.
    """

    value: Any


Item: TypeAlias = "Rows | Checkpoint | Changes | Watermark"
