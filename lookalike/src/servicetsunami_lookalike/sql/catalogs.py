"""The catalogs: what DuckDB keeps of them, and beside it what it has no place for."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from servicetsunami.sdk.delta import Column, from_arrow
from servicetsunami.sdk.sql import quote_identifier, quote_path
from servicetsunami_lookalike.grants import Grants
from servicetsunami_lookalike.sql.duck import Name, quoted, words
from servicetsunami_lookalike.sql.errors import SqlError, no_catalog, no_schema, no_table
from servicetsunami_sink_lakehouse.macros import MACROS
from servicetsunami_sink_lakehouse.results import databricks_schema

SCRATCH = "_lookalike"
"""Schema of each catalog for what a single statement needs; nobody sees it."""


@dataclass
class Table:
    """What Unity Catalog and Delta keep of a table or a view beside its rows."""

    owner: str
    definition: str = ""
    comment: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    column_comments: dict[str, str] = field(default_factory=dict)
    column_tags: dict[tuple[str, str], str] = field(default_factory=dict)
    clustered_by: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    copied: set[str] = field(default_factory=set)
    history: list[dict[str, Any]] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    columns: tuple[Column, ...] | None = None
    """Its columns, once somebody asked; every version may have others."""

    def record(self, operation: str, **metrics: int) -> None:
        """Add a version."""
        told = {name: str(count) for name, count in metrics.items()}
        entry = {"version": len(self.history), "timestamp": time.time_ns() // 1000, "operation": operation}
        self.columns = None
        self.history.append({**entry, "operationMetrics": told})


@dataclass
class Schema:
    """A schema with its tables and volumes."""

    owner: str
    comment: str = ""
    tables: dict[str, Table] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    """Comments of the managed volumes, by name."""


@dataclass
class Catalog:
    """A catalog with its schemas."""

    owner: str
    comment: str = ""
    isolated: bool = False
    """Whether it is seen in this workspace alone."""
    schemas: dict[str, Schema] = field(default_factory=dict)


class Catalogs:
    """All catalogs of a metastore; one lock makes every change of them a step of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.grants = Grants()
        self._catalogs: dict[str, Catalog] = {}
        self._database = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
        for macro in MACROS:
            self._database.execute(macro)
        self.add_catalog("workspace", "lookalike")

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own, with a session's settings."""
        cursor = self._database.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("SET ieee_floating_point_ops = false")
        return cursor

    def volume_path(self, path: str) -> Path:
        """Return where a file of `/Volumes/catalog/schema/volume/…` lies; raises `SqlError` for any other path."""
        parts = [part for part in path.split("/") if part]
        if len(parts) < 4 or parts[0] != "Volumes" or ".." in parts:
            raise SqlError("INVALID_PARAMETER_VALUE", f"'{path}' is not a path in a volume.", "22023")
        catalog, schema, volume = (part.casefold() for part in parts[1:4])
        if volume not in self.schema(catalog, schema).volumes:
            raise SqlError("VOLUME_NOT_FOUND", f"Volume '{catalog}.{schema}.{volume}' does not exist.", "42704")
        return self.folder.joinpath("volumes", catalog, schema, volume, *parts[4:])

    def names(self) -> list[str]:
        """Return the catalogs' names."""
        return sorted(self._catalogs)

    def catalog(self, name: str) -> Catalog:
        """Return a catalog."""
        if name not in self._catalogs:
            raise no_catalog(name)
        return self._catalogs[name]

    def schema(self, catalog: str, name: str) -> Schema:
        """Return a schema."""
        schemas = self.catalog(catalog).schemas
        if name not in schemas:
            raise no_schema(quote_path(catalog, name, dialect="databricks"))
        return schemas[name]

    def table(self, name: Name) -> Table:
        """Return a table or a view."""
        tables = self.schema(*name[:2]).tables
        if name[2] not in tables:
            raise no_table(quote_path(*name, dialect="databricks"))
        return tables[name[2]]

    def tables(self, catalog: str) -> Iterator[tuple[Name, Table]]:
        """Yield the tables and views of a catalog by name."""
        for schema, found in sorted(self.catalog(catalog).schemas.items()):
            for name, table in sorted(found.tables.items()):
                yield (catalog, schema, name), table

    def add_catalog(self, name: str, owner: str, comment: str = "") -> None:
        """Make a catalog, with schemas `default` and `information_schema`."""
        file = self.folder / f"{uuid.uuid4().hex}.duckdb"
        cursor = self.cursor()
        cursor.execute(f"ATTACH '{file}' AS {quote_identifier(name, 'duckdb')}")
        self._catalogs[name] = Catalog(owner, comment)
        self.add_schema(name, "default", owner)
        cursor.execute(f"CREATE SCHEMA {quote_path(name, SCRATCH, dialect='duckdb')}")

    def drop_catalog(self, name: str) -> None:
        """Remove a catalog with all it holds."""
        del self._catalogs[name]
        self.cursor().execute(f"DETACH {quote_identifier(name, 'duckdb')}")
        self.grants.forget(name)

    def add_schema(self, catalog: str, name: str, owner: str, comment: str = "") -> None:
        """Make a schema."""
        self.cursor().execute(f"CREATE SCHEMA {quote_path(catalog, name, dialect='duckdb')}")
        self.catalog(catalog).schemas[name] = Schema(owner, comment)

    def drop_schema(self, catalog: str, name: str) -> None:
        """Remove a schema with all it holds."""
        self.cursor().execute(f"DROP SCHEMA {quote_path(catalog, name, dialect='duckdb')} CASCADE")
        del self.catalog(catalog).schemas[name]
        self.grants.forget(f"{catalog}.{name}")

    def columns(self, name: Name) -> Sequence[Column]:
        """Return the columns of a table or view, with their types and comments."""
        if name[1] == SCRATCH:
            return self._columns(name, {})
        table = self.table(name)
        if table.columns is None:
            table.columns = self._columns(name, table.column_comments)
        return table.columns

    def _columns(self, name: Name, comments: Mapping[str, str]) -> tuple[Column, ...]:
        required = self._required(name)
        cursor = self.cursor()
        schema = cursor.sql(words("SELECT * FROM", quoted(name))).limit(0).to_arrow_table().schema
        return tuple(
            Column(
                one.name,
                from_arrow(one.type),
                one.name not in required,
                comments.get(one.name.casefold(), ""),
            )
            for one in databricks_schema(schema)
        )

    def count(self, name: Name) -> int:
        """Count the rows of a table."""
        (found,) = self.cursor().execute(words("SELECT count(*) FROM", quoted(name))).fetchall()
        return int(found[0])

    def _required(self, name: Name) -> set[str]:
        found = self.cursor().execute(
            "SELECT column_name FROM duckdb_columns() WHERE NOT is_nullable AND database_name = ? AND schema_name = ? "
            "AND table_name = ?",
            list(name),
        )
        return {row[0] for row in found.fetchall()}
