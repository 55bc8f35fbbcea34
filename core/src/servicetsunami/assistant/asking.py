"""Asks a warehouse about one table, in statements that went through the guard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from servicetsunami.operations.models import Cell
from servicetsunami.operations.results import rows_of
from servicetsunami.sdk import QueryLimits, TableName, Warehouse
from servicetsunami.sdk.sql import guard_databricks, quote_identifier, quote_path


@dataclass(frozen=True)
class TableAsker:
    """A warehouse, and the table in it."""

    warehouse: Warehouse
    catalog: str
    table: TableName
    timeout_seconds: float

    @property
    def name(self) -> str:
        """Return the table's name for a statement."""
        return quote_path(self.table.layer, self.table.name, dialect="databricks")

    def some(self, columns: Sequence[str], most: int) -> str:
        """Write a subquery for some columns of the first rows that come."""
        names = ", ".join(map(quoted, columns))
        return " ".join(("(SELECT", names, "FROM", self.name, "LIMIT", str(most), ") AS some"))

    def rows(self, sql: str, most: int) -> list[tuple[Cell, ...]]:
        """Run a SELECT and return its rows."""
        query = guard_databricks(sql, catalog=self.catalog, layers=(self.table.layer,))
        with closing(self.warehouse.query(query, QueryLimits(most, timeout_seconds=self.timeout_seconds))) as reader:
            return list(rows_of(reader))


def quoted(name: str) -> str:
    """Quote a column's name."""
    return quote_identifier(name, "databricks")


def literal(text: str) -> str:
    """Write a text of ours: one without a quote or a backslash."""
    if "'" in text or "\\" in text.replace("\\[", "["):
        raise ValueError("only plain texts are written here")
    return f"'{text}'"
