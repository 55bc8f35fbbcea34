"""Where things lie: catalog, schemas, tables, stage."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from servicetsunami.sdk import TableName
from servicetsunami.sdk.sql import quote_identifier, quote_path

LAYERS = ("bronze", "silver", "gold")
OPS = "_ops"
"""Schema of our own: the ledger, and tables that are loaded aside."""
STAGE = "_stage"
LEDGER = "commits"


@dataclass(frozen=True)
class Place:
    """A table that rows are loaded into: one of the tenant's, or a generation of it that is loaded aside."""

    catalog: str
    table: TableName
    generation: str = ""

    @property
    def schema(self) -> str:
        """Return the schema it lies in."""
        return OPS if self.generation else self.table.layer

    @property
    def name(self) -> str:
        """Return its name within the schema."""
        if not self.generation:
            return self.table.name
        mark = hashlib.sha256(f"{self.table} {self.generation}".encode()).hexdigest()[:16]
        return f"aside_{mark}"

    @property
    def quoted(self) -> str:
        """Return its whole name for a statement."""
        return quote_path(self.catalog, self.schema, self.name, dialect="databricks")


@dataclass(frozen=True)
class Places:
    """The places of one tenant."""

    tenant: str

    @property
    def catalog(self) -> str:
        """Return the tenant's catalog."""
        return f"tenant_{self.tenant}"

    @property
    def ledger(self) -> str:
        """Return the ledger's name for a statement."""
        return quote_path(self.catalog, OPS, LEDGER, dialect="databricks")

    def of(self, table: TableName, generation: str | None = None) -> Place:
        """Return where a table lies, or a generation of it."""
        return Place(self.catalog, table, generation or "")

    def information(self, name: str) -> str:
        """Return a table of the catalog's information schema for a statement."""
        return f"{quote_identifier(self.catalog, 'databricks')}.information_schema.{name}"

    def stage(self, table: TableName) -> str:
        """Return the folder of the volume that all loads of a table are uploaded to."""
        return f"/Volumes/{self.catalog}/bronze/{STAGE}/{table.layer}.{table.name}"

    def loads(self, place: Place) -> str:
        """Return the folder for the loads of a table itself, or of one generation of it."""
        return f"{self.stage(place.table)}/{place.name if place.generation else 'table'}"
