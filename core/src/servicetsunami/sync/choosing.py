"""Which columns of a stream land, under which names, and how they may be masked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from servicetsunami.sdk import DELETED_AT, OP, RESCUED, UNCHANGED, Json

Mask: TypeAlias = Literal["null", "redact", "last4", "email"]
RESERVED = frozenset({OP, UNCHANGED, RESCUED, DELETED_AT, "_synced_at", "_sync_id"})
"""Names the host keeps for columns of its own."""


@dataclass(frozen=True)
class Choice:
    """The columns a stream's settings take, and their new names."""

    only: tuple[str, ...] | None = None
    """Only these columns; None for all."""
    excluded: frozenset[str] = frozenset()
    renames: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Json) -> Choice:
        """Read the choice from the settings of a stream."""
        only = settings.get("columns")
        return cls(tuple(only) if only else None, frozenset(settings.get("exclude", ())), settings.get("rename", {}))

    def __bool__(self) -> bool:
        return self.hides or bool(self.renames)

    @property
    def hides(self) -> bool:
        """Tell whether there are columns that do not land."""
        return self.only is not None or bool(self.excluded)

    def takes(self, column: str) -> bool:
        """Tell whether a column, named as at the source, lands."""
        return column not in self.excluded and (self.only is None or column in self.only)

    def target(self, column: str) -> str:
        """Return the name a column lands under."""
        return self.renames.get(column, column)

    def hidden(self, columns: Iterable[str]) -> set[str]:
        """Return the names in the table of columns that do not land any more."""
        names = {*columns, *self.excluded}
        landing = {self.target(name) for name in names if self.takes(name)}
        return {self.target(name) for name in names if not self.takes(name)} - landing
