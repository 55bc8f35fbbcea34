"""SOQL: names as Salesforce described them, values written by one function."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from servicetsunami_salesforce.objects import CURSOR, Described

LONGEST_URL = 12_000
"""How long a query may be in an address; Salesforce takes about 16,000 characters of it."""


def query(found: Described, fields: Sequence[str], since: datetime | None, limit: int | None) -> str:
    """Return the query for an object's rows, those that changed at `since` among them."""
    order = () if since is None else ("ORDER BY", f"{CURSOR}, Id")
    most = () if limit is None else ("LIMIT", str(limit))
    return " ".join(("SELECT", ", ".join(fields), "FROM", found.name, *_where(since), *order, *most))


def count(found: Described, since: datetime | None) -> str:
    """Return the query for how many rows there are."""
    return " ".join(("SELECT COUNT() FROM", found.name, *_where(since)))


def _where(since: datetime | None) -> tuple[str, ...]:
    return () if since is None else ("WHERE", CURSOR, ">=", moment(since))


def moment(value: datetime) -> str:
    """Write a moment as SOQL has it, to the millisecond, never later."""
    utc = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"
