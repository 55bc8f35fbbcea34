"""Names of tables in the lakehouse."""

from __future__ import annotations

import re

from servicetsunami.sdk import ConfigError, Stream, TableName

BRONZE = "bronze"
_LONGEST = 120


def identifier(text: str) -> str:
    """Fold any text to `[a-z0-9_]`: what Databricks and the local engine both take without quoting."""
    folded = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_")
    if not folded:
        folded = "t_" + text.encode("utf-8").hex()
    return (f"t_{folded}" if folded[0].isdigit() else folded)[:_LONGEST]


def wanted_tables(stream: Stream, connection_name: str, target: str | None) -> list[TableName]:
    """Return the names a stream may take, the best first; exactly one if a setting names it outright."""
    if target:
        if identifier(target) != target:
            raise ConfigError(
                f"'{target}' cannot be the name of a table",
                code="bad_table_name",
                field="target",
                fix=f"use lower-case letters, digits and _: for example '{identifier(target)}'",
            )
        return [TableName(BRONZE, target)]
    own = identifier(f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name)
    prefixed = f"{identifier(connection_name)}_{own}"
    return [TableName(BRONZE, name) for name in (own, prefixed, *(f"{prefixed}_{n}" for n in range(2, 10)))]
