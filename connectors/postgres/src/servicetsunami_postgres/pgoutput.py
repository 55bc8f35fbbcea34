"""The messages of PostgreSQL's plugin pgoutput, protocol version 1, as its manual describes them (chapter 55.9).

Texts stay the bytes that the server sent: in UTF-8, or in anything where the database has no encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from servicetsunami.sdk import PermanentError


class Toast(Enum):
    """What stands for a value that an update left as it was and the log does not repeat."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Toast.UNCHANGED
Cell: TypeAlias = "bytes | Literal[Toast.UNCHANGED] | None"
Cells: TypeAlias = "tuple[Cell, ...]"

_COPY_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_SHORT = struct.Struct("!h")
_INT = struct.Struct("!i")
_OID = struct.Struct("!I")
_BEGIN = struct.Struct("!QqI")
_COMMIT = struct.Struct("!bQQq")
_TYPE = struct.Struct("!Ii")


@dataclass(frozen=True)
class Begin:
    """A transaction begins; `lsn` is where its commit record begins."""

    lsn: int


@dataclass(frozen=True)
class Commit:
    """A transaction ends; `end_lsn` is where its commit record ends."""

    end_lsn: int


@dataclass(frozen=True)
class RelationColumn:
    """A column as it was when the changes that follow were made."""

    name: str
    type: int
    modifier: int


@dataclass(frozen=True)
class Relation:
    """A table as it was when the changes that follow were made."""

    oid: int
    schema: str
    name: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True)
class Change:
    """One row was inserted (c), updated (u) or deleted (d).

    `old` holds the columns of the replica identity, the others None; the whole row where the identity is full. An
    update that leaves the identity as it was has no `old`.
    """

    op: str
    relation: int
    old: Cells | None
    new: Cells | None
    size: int


@dataclass(frozen=True)
class Truncate:
    """Tables were emptied."""

    relations: tuple[int, ...]


Message: TypeAlias = "Begin | Commit | Relation | Change | Truncate"


def messages(chunk: bytes) -> Iterator[Message]:
    """Yield the messages in a chunk of a binary COPY of one column; those of no concern are left out."""
    position = _behind_header(chunk)
    while position < len(chunk):
        if _SHORT.unpack_from(chunk, position)[0] < 0:
            return
        (size,) = _INT.unpack_from(chunk, position + 2)
        position += 6
        message = decode(chunk[position : position + size])
        if message is not None:
            yield message
        position += size


def decode(data: bytes) -> Message | None:
    """Return the message; None for those that tell of types, origins and the writers' own remarks."""
    kind = data[:1]
    if kind in (b"Y", b"O", b"M"):
        return None
    reader = _READERS.get(kind)
    if reader is None:
        raise PermanentError(
            f"the server's log holds a message of an unknown kind ({kind!r}), so the changes behind it cannot be told",
            code="unknown_change",
        )
    return reader(data)


def _behind_header(chunk: bytes) -> int:
    if not chunk.startswith(_COPY_SIGNATURE):
        return 0
    flags_end = len(_COPY_SIGNATURE) + 4
    (extension,) = _INT.unpack_from(chunk, flags_end)
    return flags_end + 4 + int(extension)


def _begin(data: bytes) -> Begin:
    return Begin(_BEGIN.unpack_from(data, 1)[0])


def _commit(data: bytes) -> Commit:
    return Commit(_COMMIT.unpack_from(data, 1)[2])


def _relation(data: bytes) -> Relation:
    (oid,) = _OID.unpack_from(data, 1)
    schema, position = _text(data, 5)
    name, position = _text(data, position)
    # Behind the names stands the replica identity, one byte, and the number of columns.
    (count,) = _SHORT.unpack_from(data, position + 1)
    position += 3
    columns = []
    for _ in range(count):
        column, position = _text(data, position + 1)
        columns.append(RelationColumn(column, *_TYPE.unpack_from(data, position)))
        position += _TYPE.size
    return Relation(oid, schema or "pg_catalog", name, tuple(columns))


def _insert(data: bytes) -> Change:
    new, _ = _tuple(data, 6)
    return Change("c", _OID.unpack_from(data, 1)[0], None, new, len(data))


def _update(data: bytes) -> Change:
    old, position = None, 5
    if data[position : position + 1] in (b"K", b"O"):
        old, position = _tuple(data, position + 1)
    new, _ = _tuple(data, position + 1)
    return Change("u", _OID.unpack_from(data, 1)[0], old, new, len(data))


def _delete(data: bytes) -> Change:
    old, _ = _tuple(data, 6)
    return Change("d", _OID.unpack_from(data, 1)[0], old, None, len(data))


def _truncate(data: bytes) -> Truncate:
    (count,) = _INT.unpack_from(data, 1)
    return Truncate(struct.unpack_from(f"!{count}I", data, 6))


def _tuple(data: bytes, position: int) -> tuple[Cells, int]:
    (count,) = _SHORT.unpack_from(data, position)
    position += 2
    cells: list[Cell] = []
    for _ in range(count):
        kind = data[position]
        position += 1
        if kind == 0x74:  # t: the value as text
            start = position + 4
            position = start + _INT.unpack_from(data, position)[0]
            cells.append(data[start:position])
        else:  # n: null; u: unchanged
            cells.append(UNCHANGED if kind == 0x75 else None)
    return tuple(cells), position


def _text(data: bytes, position: int) -> tuple[str, int]:
    end = data.index(0, position)
    return data[position:end].decode(errors="backslashreplace"), end + 1


_READERS: dict[bytes, Callable[[bytes], Message]] = {
    b"B": _begin,
    b"C": _commit,
    b"R": _relation,
    b"I": _insert,
    b"U": _update,
    b"D": _delete,
    b"T": _truncate,
}
