"""A session: who speaks, where names without a catalog lead, and what was set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from sqlglot import exp

from servicetsunami_lookalike.grants import Principal
from servicetsunami_lookalike.sql.catalogs import Catalogs
from servicetsunami_lookalike.sql.duck import Name
from servicetsunami_lookalike.sql.errors import SqlError


@dataclass(frozen=True)
class Parameter:
    """A value bound to `:name`, or to the next `?` if it has no name; `value` is its text, None for NULL."""

    name: str | None
    type: str
    value: str | None


@dataclass
class Answer:
    """What came of a statement."""

    rows: pa.Table
    affected: int | None = None
    """Rows changed, for a statement that changes rows."""
    staging: bool = False
    """Tells the client to move a file itself, by the one row there is."""


@dataclass
class Session:
    """One session of one principal."""

    catalogs: Catalogs
    principal: Principal
    catalog: str = "workspace"
    schema: str = "default"
    settings: dict[str, str] = field(default_factory=dict)
    temporary: dict[str, exp.Expr] = field(default_factory=dict)
    """Queries of temporary views, by name."""
    base_url: str = ""
    """Where presigned addresses lead."""

    def name_of(self, table: exp.Table) -> Name:
        """Return the three parts of a table's name, in lower case."""
        parts = [part.name.casefold() for part in table.parts]
        if len(parts) > 3:
            raise SqlError("REQUIRES_SINGLE_PART_NAMESPACE", f"'{'.'.join(parts)}' has too many parts.", "42K05")
        return self.name([*(self.catalog, self.schema)[: 3 - len(parts)], *parts])

    @staticmethod
    def name(parts: Sequence[str]) -> Name:
        """Take exactly three parts for a name."""
        catalog, schema, table = parts
        return catalog, schema, table

    def require(self, privilege: str, name: Name) -> None:
        """Raise unless the principal may do this to a table."""
        schema = self.catalogs.schema(*name[:2])
        owners = [self.catalogs.catalog(name[0]).owner, schema.owner]
        if name[2] in schema.tables:
            owners.append(schema.tables[name[2]].owner)
        self.catalogs.grants.require(self.principal, privilege, *name, owners=tuple(owners))

    def require_schema(self, privilege: str, catalog: str, schema: str) -> None:
        """Raise unless the principal may do this in a schema."""
        owners = (self.catalogs.catalog(catalog).owner, self.catalogs.schema(catalog, schema).owner)
        self.catalogs.grants.require(self.principal, privilege, catalog, schema, owners=owners)

    def require_volume(self, privilege: str, path: str) -> None:
        """Raise unless the principal may do this to the files of a volume."""
        self.catalogs.volume_path(path)
        catalog, schema, volume = (part.casefold() for part in path.split("/")[2:5])
        owners = (self.catalogs.catalog(catalog).owner, self.catalogs.schema(catalog, schema).owner)
        self.catalogs.grants.require(self.principal, privilege, catalog, schema, volume, owners=owners)


def told(**columns: Sequence[Any] | pa.Array) -> pa.Table:
    """Make a small answer; a column of nothing but text or NULL is text."""
    arrays: Mapping[str, pa.Array] = {
        name: values
        if isinstance(values, pa.Array)
        else pa.array(values, pa.string() if all(value is None or isinstance(value, str) for value in values) else None)
        for name, values in columns.items()
    }
    return pa.table(dict(arrays))


def nothing() -> Answer:
    """Answer a statement that gives no rows."""
    return Answer(pa.table({}))


def changed(**counts: int) -> Answer:
    """Answer a statement that changed rows with how many; the first count is that of all."""
    table = pa.table({name: pa.array([count], pa.int64()) for name, count in counts.items()})
    return Answer(table, affected=next(iter(counts.values())))
