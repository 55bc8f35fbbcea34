"""How the sink's statements are put together: names are quoted, texts escaped, the rest is ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from servicetsunami.sdk.delta import Column, to_databricks
from servicetsunami.sdk.sql import quote_identifier

KEY = "servicetsunami.key"
SOURCE_TYPES = "servicetsunami.source_types"
_NEEDED = {"delta.enableTypeWidening": "true", "delta.columnMapping.mode": "name"}
"""Properties without which a column gets no wider type, and no name with a space."""
_CLUSTERED = 4
"""Columns that a table may be clustered by."""
_UNCLUSTERED = ("boolean", "binary")


def words(*parts: str) -> str:
    """Join the parts of a statement, leaving empty ones out."""
    return " ".join(part for part in parts if part)


def listed(parts: Iterable[str]) -> str:
    """Join parts with commas."""
    return ", ".join(parts)


def name(identifier: str) -> str:
    """Quote one name."""
    return quote_identifier(identifier, "databricks")


def text(value: str) -> str:
    """Write a text: Databricks escapes by a backslash."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def definition(column: Column) -> str:
    """Write a column as a table is made or widened with it."""
    required = "" if column.nullable else "NOT NULL"
    comment = words("COMMENT", text(column.comment)) if column.comment else ""
    return words(name(column.name), to_databricks(column.type), required, comment)


def options(columns: Sequence[Column], key: Sequence[str], comment: str) -> str:
    """Write what a new table has beside its columns: clustering, comment, properties."""
    known = {column.name.casefold(): column for column in columns}
    by = [known[one.casefold()] for one in key if one.casefold() in known]
    usable = [one.name for one in by if isinstance(one.type, str) and one.type not in _UNCLUSTERED][:_CLUSTERED]
    clustering = words("CLUSTER BY", f"({listed(map(name, usable))})") if usable else ""
    told = words("COMMENT", text(comment)) if comment else ""
    return words(clustering, told, "TBLPROPERTIES", f"({properties(columns, key)})")


def properties(columns: Sequence[Column], key: Sequence[str]) -> str:
    """Write the properties of a table: what Unity Catalog has no place for."""
    kinds = {column.name: column.source_type for column in columns if column.source_type}
    return pairs({**_NEEDED, KEY: json.dumps(list(key)), SOURCE_TYPES: json.dumps(kinds)})


def pairs(values: Mapping[str, str]) -> str:
    """Write texts by their names, as properties and tags are."""
    return listed(f"{text(one)} = {text(value)}" for one, value in values.items())


def constraint(place_name: str, columns: Sequence[Column], key: Sequence[str]) -> str:
    """Write the key as an informational constraint; nothing where a column of it may be null."""
    required = {column.name.casefold(): column.name for column in columns if not column.nullable}
    if not key or any(one.casefold() not in required for one in key):
        return ""
    keys = listed(name(required[one.casefold()]) for one in key)
    return words("CONSTRAINT", name(f"{place_name}_pk"), "PRIMARY KEY", f"({keys})")
