"""What every sink with Delta tables refuses, in the same words."""

from __future__ import annotations

from collections.abc import Iterable

from servicetsunami.sdk.errors import ConfigError, NotFound, nearest
from servicetsunami.sdk.sink import Load, TableName


def check_key(load: Load) -> None:
    """Raise `ConfigError` (`key_missing`) for a load by key whose rows do not have it."""
    if load.mode == "append":
        return
    known = {name.casefold() for name in load.schema.names}
    missing = [name for name in load.key if name.casefold() not in known]
    if missing or not load.key:
        raise ConfigError(
            f"rows of {load.table} cannot be {'merged' if load.mode == 'merge' else 'changed'}: "
            + (f"the key column '{missing[0]}' is not among them" if missing else "no key is known"),
            code="key_missing",
            field="key",
            fix="name the columns that identify a row, or append instead",
        )


def table_not_found(table: TableName, known: Iterable[TableName]) -> NotFound:
    """Say that there is no such table, and which names come near."""
    names = [str(other) for other in known]
    same_name = [other for other in names if other.endswith(f".{table.name}")]
    return NotFound(
        f"there is no table {table}",
        code="table_not_found",
        field="table",
        fix="list the tables to see what there is" if names else "sync a table first; there is none yet",
        did_you_mean=dict.fromkeys((*same_name, *nearest(str(table), names))),
    )
