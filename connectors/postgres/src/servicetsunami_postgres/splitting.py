"""Parts of one table that are read in parallel, all at the moment of one exported snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from servicetsunami.sdk import Split
from servicetsunami_postgres.catalog import Table
from servicetsunami_postgres.resuming import find_anchor

LEAST_BYTES = 64 * 1024 * 1024
# Before this version the server reads the whole table for every range of pages.
_SINCE = 14
_PAGES = """
SELECT pg_catalog.pg_relation_size($1::oid) AS size, pg_catalog.current_setting('block_size')::bigint AS page,
       EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = $1::oid) AS inherited
"""
_PARTITIONS = """
SELECT n.nspname::text AS schema, c.relname::text AS name, pg_catalog.pg_relation_size(c.oid) AS size,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
         AND NOT c.relrowsecurity AS readable
FROM pg_catalog.pg_partition_tree($1::oid::regclass) p
JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.isleaf ORDER BY 3 DESC, c.oid
"""


async def plan_splits(connection: asyncpg.Connection, table: Table, target: int) -> Sequence[Split]:
    """Return about `target` parts of `table`; () where it is small or cannot be read in parts.

    The transaction of `connection` exports the snapshot: it must stay open until every part has begun.
    """
    if table.secured or target < 2 or connection.get_server_version().major < _SINCE:
        return ()
    if table.kind in ("table", "materialized view"):
        parts = await _page_ranges(connection, table, target)
    elif table.kind == "partitioned table":
        parts = await _partition_groups(connection, table, target)
    else:
        return ()
    if len(parts) < 2:
        return ()
    snapshot = await connection.fetchval("SELECT pg_catalog.pg_export_snapshot()")
    anchor = await find_anchor(connection, table)
    rows = table.rows // len(parts) if table.rows else None
    return [Split(str(number), {"snapshot": snapshot, **part, **anchor}, rows) for number, part in enumerate(parts)]


async def _page_ranges(connection: asyncpg.Connection, table: Table, target: int) -> list[dict[str, Any]]:
    row = await connection.fetchrow(_PAGES, table.oid)
    pages = row["size"] // row["page"]
    if row["size"] < LEAST_BYTES or pages < target or row["inherited"]:
        return []
    cuts = [pages * number // target for number in range(target)]
    # The last range has no end: pages may have been added since.
    return [{"from_page": first, "to_page": last} for first, last in zip(cuts, [*cuts[1:], None], strict=True)]


async def _partition_groups(connection: asyncpg.Connection, table: Table, target: int) -> list[dict[str, Any]]:
    leaves = await connection.fetch(_PARTITIONS, table.oid)
    if not all(leaf["readable"] for leaf in leaves) or sum(leaf["size"] or 0 for leaf in leaves) < LEAST_BYTES:
        return []
    groups: list[tuple[int, list[list[str]]]] = [(0, []) for _ in range(min(target, len(leaves)))]
    for leaf in leaves:
        size, paths = min(groups, key=lambda group: group[0])
        groups[groups.index((size, paths))] = (size + (leaf["size"] or 0) + 1, [*paths, [leaf["schema"], leaf["name"]]])
    return [{"tables": paths} for _, paths in groups]
