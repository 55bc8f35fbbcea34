"""How far a read came along its cursor, and where the next one begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

from servicetsunami.sdk import ConfigError, Json, PermanentError
from servicetsunami.sync import cursor


@dataclass(frozen=True)
class Reach:
    """The greatest cursor value that was seen, and the source's word on how far below it all is settled."""

    greatest: Any = None
    settled: Any = None
    has_word: bool = False
    """True where the source yielded a watermark; `settled` None then says that nothing more is settled."""

    def saw(self, value: Any) -> Reach:
        """Return the reach with one more value seen."""
        return replace(self, greatest=cursor.later(self.greatest, value))

    def told(self, value: Any) -> Reach:
        """Return the reach with the source's last word."""
        return replace(self, settled=value, has_word=True)

    def joined(self, other: Reach) -> Reach:
        """Return the reach of two parts that were read at one moment."""
        reach = self.saw(other.greatest)
        if not other.has_word:
            return reach
        if not self.has_word:
            return reach.told(other.settled)
        return reach.told(_lesser(self.settled, other.settled))

    def mark(self, before: Any, lag: float = 0) -> Any:
        """Return where the next read begins, inclusively: never below `before`; None if nothing is settled.

        A source knows its transactions and not the clocks of those who write, so `lag` counts whatever it says.
        """
        try:
            reached = _lesser(self.greatest, self.settled) if self.has_word else self.greatest
            return cursor.later(before, _lagged(reached, lag))
        except TypeError as error:
            raise PermanentError(
                "the connector gave a watermark of another type than its cursor", code="plugin_misbehaved"
            ) from error

    def to_json(self, column: str) -> Json:
        """Write the reach as JSON."""
        written: Json = {} if self.greatest is None else {"greatest": cursor.encode(column, self.greatest)}
        if self.has_word:
            written["settled"] = None if self.settled is None else cursor.encode(column, self.settled)
        return written

    @staticmethod
    def from_json(written: Json, column: str) -> Reach:
        """Read a reach back."""
        reach = Reach(cursor.decode(written.get("greatest") or {}, column))
        if "settled" not in written:
            return reach
        return reach.told(cursor.decode(written["settled"] or {}, column))


def _lesser(left: Any, right: Any) -> Any:
    return None if left is None or right is None else min(left, right)


def _lagged(value: Any, lag: float) -> Any:
    if not lag or value is None:
        return value
    if isinstance(value, datetime):
        return value - timedelta(seconds=lag)
    if isinstance(value, date):
        return value - timedelta(days=ceil(lag / 86_400))
    if isinstance(value, Decimal):
        return value - Decimal(str(lag))
    if isinstance(value, int):
        return value - ceil(lag)
    if isinstance(value, float):
        return value - lag
    raise ConfigError(
        "a cursor of text cannot lag behind, because nothing says what lies so far below a text",
        code="lag_needs_a_number",
        field="lag",
        fix="choose a number, date or timestamp as cursor, or leave `lag` out",
    )
