"""What a read yields: rows, checkpoints and changes, in one stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

Json: TypeAlias = dict[str, Any]

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
    """Row changes of one stream, for change feeds.

    Column `op` holds c, u or d (a delete needs only the key columns); column `seq` orders the changes of one key.
    """

    stream: str
    rows: Rows
    op: str = "_op"
    seq: str = "_seq"


Item: TypeAlias = "Rows | Checkpoint | Changes"
