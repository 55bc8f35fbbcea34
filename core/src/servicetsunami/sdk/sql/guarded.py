"""The value that proves a query went through the guard."""

from __future__ import annotations

from dataclasses import dataclass, field

from servicetsunami.sdk.sink import TableName

_SEAL = object()


@dataclass(frozen=True)
class GuardedQuery:
    """One SELECT in Databricks SQL that the guard parsed, allowed and wrote anew. Only the guard can make one."""

    sql: str
    """The regenerated statement; every table is a quoted catalog.layer.name."""
    tables: tuple[TableName, ...]
    """Every table it reads, each once."""
    _seal: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse to exist without the guard's seal."""
        if self._seal is not _SEAL:
            raise TypeError("a GuardedQuery is made by servicetsunami.sdk.sql.guard_databricks only")


def sealed(sql: str, tables: tuple[TableName, ...]) -> GuardedQuery:
    """Make a `GuardedQuery`; called by the guard alone, which an architecture test holds."""
    return GuardedQuery(sql, tables, _SEAL)
