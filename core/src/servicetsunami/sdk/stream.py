"""What a source offers (`Stream`) and what the host asks of it (`Read`, `Split`)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk.items import Json

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Stream:
    """One table, sheet, endpoint or file set of a connection."""

    name: str
    _: KW_ONLY
    namespace: str | None = None
    """Schema, database or folder the stream lies in; None for the source's default one."""
    schema: pa.Schema | None = None
    """Arrow schema of the rows; None where the host is to infer it from them."""
    key: tuple[str, ...] = ()
    """Columns that identify a row, unique and never null; () where there are none: rows are then only appended."""
    cursor: str | None = None
    """A column that grows whenever a row changes; makes incremental reads possible."""
    cursor_candidates: tuple[str, ...] = ()
    """Columns a person may choose as cursor, the likeliest first."""
    ordered: bool = False
    """True if `read()` yields rows in cursor order, so that every batch is a checkpoint."""
    resumable: bool = False
    """True if a full read that broke off can go on later, by another process, although the source has changed since.

    Each part then holds the rows of certain values of the key, and a checkpoint's state means the same to any later
    instance; parts of places or of a moment must be made readable again by `Splittable.replan`. Rows that changed
    meanwhile are brought by the host.
    """
    rows: int | None = None
    """Estimate of the number of rows, for progress and planning; None if unknown."""
    size_bytes: int | None = None
    """Estimate of the size at the source; None if unknown."""
    kind: str = "table"
    """What the source calls it: table, view, sheet, endpoint."""
    description: str = ""
    """The source's own comment."""

    @property
    def id(self) -> str:
        """The name people use: `customers`, or `sales.orders` outside the default namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Split:
    """A part of a stream that can be read alone. `params` must survive JSON."""

    id: str
    params: Json = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True)
class Read:
    """One request for the rows of a stream, or of one split of it."""

    stream: Stream
    _: KW_ONLY
    since: Any = None
    """Only rows whose cursor is at or after this value (inclusive), as the Python value of the cursor's Arrow type."""
    state: Json = field(default_factory=dict)
    """The last `Checkpoint.state` whose rows are durably stored; {} at the first read."""
    split: Split | None = None
    columns: tuple[str, ...] | None = None
    """Only these columns; None for all."""
    limit: int | None = None
    """Stop after this many rows, for a preview."""
    batch_rows: int = 65_536
    """A hint for the size of the batches; a source may use its own."""
