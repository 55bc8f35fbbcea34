"""What a commit is going to do, as the ledger keeps it: enough to do it again after a crash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from servicetsunami.sdk import Deletes
from servicetsunami.sdk.delta import Column
from servicetsunami_sink_databricks.schemas import Columns

Kind = Literal["append", "merge", "apply", "replace", "derive"]


@dataclass(frozen=True)
class Work:
    """One commit's work on one table; carried out again it changes nothing more."""

    kind: Kind
    load_id: str
    """Names this attempt, and the folder its files lie in."""
    columns: Columns
    """Columns the table has afterwards."""
    arriving: tuple[str, ...] = ()
    """Columns that the files hold."""
    rows: int = 0
    key: tuple[str, ...] = ()
    comment: str = ""
    deletes: Deletes = "hard"
    partial: tuple[str, ...] = ()
    """Columns that some change does not repeat."""
    emptied: tuple[int, str] | None = None
    """Place of the last change that empties the table, and its time as a text."""
    generation: str = ""
    """What replaces the table."""
    query: str = ""
    """What a table is derived of."""
    gone: str = ""
    """What selects the keys of rows that are removed."""
    whole: bool = False
    """Whether the query's rows take the place of all rows."""

    def to_json(self) -> str:
        """Write it for the ledger."""
        plain = {name: value for name, value in vars(self).items() if name != "columns"}
        return json.dumps({**plain, "columns": [column.to_delta() for column in self.columns]})

    @classmethod
    def from_json(cls, text: str) -> Work:
        """Read it from the ledger."""
        found = json.loads(text)
        columns = tuple(Column.from_delta(entry) for entry in found.pop("columns"))
        lists = {name: tuple(found[name]) for name in ("arriving", "key", "partial")}
        emptied = tuple(found["emptied"]) if found["emptied"] else None
        fields: dict[str, Any] = {**found, **lists, "emptied": emptied, "columns": columns}
        return cls(**fields)
