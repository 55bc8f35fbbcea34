"""The columns of a table: from a load's Arrow schema, and how they may change from load to load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from servicetsunami.sdk.delta.lowering import lower_type
from servicetsunami.sdk.delta.types import DeltaType, delta_field, from_arrow, to_arrow, to_databricks
from servicetsunami.sdk.delta.widening import WidensError, unify
from servicetsunami.sdk.errors import ConfigError, DataError
from servicetsunami.sdk.items import DELETED_AT
from servicetsunami.sdk.sink import Evolve

_SOURCE_TYPE = "servicetsunami.source_type"
_NULLABLE = "servicetsunami.nullable"
_FULL_REFRESH = "run a full refresh, which gives the table the new type"


@dataclass(frozen=True)
class Column:
    """A column; `untyped` while nothing but nulls was seen of it, which Delta keeps as text."""

    name: str
    type: DeltaType
    nullable: bool = True
    comment: str = ""
    source_type: str = ""
    untyped: bool = field(default=False, compare=False)

    @property
    def arrow(self) -> pa.Field:
        """Return the field that Parquet files of the table have for it."""
        return pa.field(self.name, to_arrow(self.type))

    @classmethod
    def of(cls, source: pa.Field) -> Column:
        """Take a column from the field of a load's schema."""
        metadata = {key.decode(): value.decode("utf-8", "replace") for key, value in (source.metadata or {}).items()}
        lowered = lower_type(source.type)
        kept = "" if lowered.equals(source.type) else str(source.type)
        return cls(
            source.name,
            from_arrow(lowered),
            source.nullable,
            metadata.get("comment", ""),
            metadata.get("source_type", kept),
            pa.types.is_null(source.type),
        )

    def to_delta(self) -> dict[str, Any]:
        """Write the column as the Delta log has it."""
        metadata: dict[str, Any] = {"comment": self.comment} if self.comment else {}
        if self.source_type:
            metadata[_SOURCE_TYPE] = self.source_type
        if not self.nullable:
            metadata[_NULLABLE] = False
        return delta_field(self.name, self.type, metadata)

    @classmethod
    def from_delta(cls, entry: dict[str, Any]) -> Column:
        """Read a column of the Delta log."""
        metadata = entry.get("metadata", {})
        return cls(
            entry["name"],
            entry["type"],
            bool(entry.get("nullable", True)) and metadata.get(_NULLABLE, True) is not False,
            str(metadata.get("comment", "")),
            str(metadata.get(_SOURCE_TYPE, "")),
        )


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns a load brings; raises `DataError` where two names differ in case only."""
    seen: dict[str, str] = {}
    for name in schema.names:
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            raise DataError(
                f"the columns '{other}' and '{name}' differ in upper and lower case only, and Databricks SQL cannot "
                "tell them apart",
                code="duplicate_columns",
                fix="rename one of them at the source, or sync a view that does",
            )
    return tuple(Column.of(source) for source in schema)


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the schema of Parquet files with these columns."""
    return pa.schema([column.arrow for column in columns])


def evolved(table: Sequence[Column], incoming: Sequence[Column], evolve: Evolve) -> tuple[Column, ...]:
    """Return the table's columns once `incoming` ones were written to it.

    Raises `ConfigError` with code `schema_frozen`, or `DataError` with code `schema_conflict`, where they may not be.
    """
    known = {column.name.casefold(): column for column in table}
    arriving = {column.name.casefold(): column for column in incoming}
    if evolve == "freeze":
        _refuse_if_different(known, arriving)
    kept = tuple(_one(column, arriving.get(key), evolve) for key, column in known.items())
    return kept + tuple(column for key, column in arriving.items() if key not in known)


def _refuse_if_different(known: dict[str, Column], arriving: dict[str, Column]) -> None:
    # The sink adds and keeps `_deleted_at` by itself; only what the source brings is frozen.
    gone = [column.name for key, column in known.items() if key not in arriving and key != DELETED_AT]
    new = [column.name for key, column in arriving.items() if key not in known and key != DELETED_AT]
    if gone or new:
        names = ", ".join(f"'{name}'" for name in new or gone)
        raise ConfigError(
            f"the table's schema is frozen and the source {'brought new' if new else 'lost'} columns: {names}",
            code="schema_frozen",
            field="evolve",
            fix="allow the schema to evolve, or leave the columns out of the sync",
        )


def _one(column: Column, incoming: Column | None, evolve: Evolve) -> Column:
    if incoming is None:
        return replace(column, nullable=True)
    if column.untyped and not incoming.untyped:
        return replace(incoming, name=column.name)
    kind = column.type if incoming.untyped else _unified(column, incoming, evolve)
    return replace(
        column,
        type=kind,
        nullable=column.nullable and incoming.nullable,
        comment=incoming.comment or column.comment,
        source_type=incoming.source_type or column.source_type,
        untyped=column.untyped and incoming.untyped,
    )


def _unified(column: Column, incoming: Column, evolve: Evolve) -> DeltaType:
    try:
        return unify(column.type, incoming.type, widen=evolve == "widen", add=evolve != "freeze")
    except WidensError as error:
        raise _conflict(column, incoming, evolve, could_widen=error.possible) from error


def _conflict(column: Column, incoming: Column, evolve: Evolve, *, could_widen: bool) -> ConfigError | DataError:
    found = (
        f"column '{column.name}' is {to_databricks(column.type)} in the table, "
        f"but the source now sends {to_databricks(incoming.type)}"
    )
    if evolve == "freeze":
        return ConfigError(
            f"the table's schema is frozen: {found}", code="schema_frozen", field="evolve", fix=_FULL_REFRESH
        )
    fix = f"let the sync widen types, or {_FULL_REFRESH}" if could_widen else _FULL_REFRESH
    return DataError(found, code="schema_conflict", field=column.name, fix=fix)
