"""Parts that are read on after the process that planned them is gone, at another moment.

The first moment is gone with its snapshot, but not what it saw. As long as a table keeps its files, a version of a row
stays on its page and under the number of the transaction that wrote it; an update writes another version elsewhere.
What was not visible at the first moment was written by a transaction that was open then or began later, and the least
number of an open transaction is kept with the parts. So at any later moment a row is either a version older than that
number, and then it lies in the part in which it lay at the first moment, or a younger one.

A part that is read later gives the older versions of its pages only, so that no row is in two parts, however it moved.
One more part gives the younger versions of the whole table: what was inserted and updated since, whatever the update
touched, to be merged by key. Together they are the table at the later moment, except for the rows of parts read
earlier that were deleted since: those are for the change feed to tell.

It fails where pages or numbers do not mean the same any more, and the parts are then planned anew: the table's files
were written anew (VACUUM FULL, CLUSTER, TRUNCATE, most changes of a type), a partition came or went, the server is
another one or went back in time, or so many transactions passed that their numbers begin to repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from servicetsunami.sdk import Json, Split, TransientError
from servicetsunami_postgres.catalog import Table

LOST = "plan_lost"
ANCHOR = "anchor"
OLDER_THAN = "older_than"
"""Of a part that is read later: only versions written by transactions before this one."""
YOUNGER_THAN = "not_older_than"
"""Of the part that holds what was written since: only the other versions."""

_LASTING = ("from_page", "to_page", "tables", ANCHOR)
_WRITTEN_SINCE = "written-since"
# Numbers of transactions are compared around a circle of 2^32, rightly up to half of it.
_FURTHEST = 2**30
_CIRCLE = 2**32
_PLACES = """
SELECT pg_catalog.bool_and(c.relkind = 'r' AND a.amname = 'heap') AS lasting,
       pg_catalog.array_agg(pg_catalog.concat_ws(
           ' ', c.oid, c.relnamespace, c.relname, pg_catalog.pg_relation_filenode(c.oid)) ORDER BY c.oid) AS places
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE c.oid = ANY (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) p WHERE p.isleaf)
   OR c.oid = $1::oid AND c.relkind <> 'p'
"""
_MOMENT = """
SELECT pg_catalog.pg_snapshot_xmin(s.now)::text AS oldest, pg_catalog.pg_snapshot_xmax(s.now)::text AS next,
       (SELECT c.system_identifier::text FROM pg_catalog.pg_control_system() c) AS server,
       pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) AS timeline
FROM (SELECT pg_catalog.pg_current_snapshot() AS now) s
"""


async def find_anchor(connection: asyncpg.Connection, table: Table) -> Json:
    """Return what must hold for parts of this transaction's moment to be read at a later one; {} where nothing can."""
    if not table.key or table.kind not in ("table", "partitioned table"):
        return {}
    found = await _find(connection, table)
    return {ANCHOR: {name: found[name] for name in ("places", "server", "oldest")}} if found else {}


async def replan_splits(connection: asyncpg.Connection, table: Table, splits: Sequence[Split]) -> Sequence[Split]:
    """Return the parts at this transaction's moment, and after them one of what was written since the first one."""
    anchors = {repr(split.params.get(ANCHOR)): split.params.get(ANCHOR) for split in splits}
    anchor = anchors.popitem()[1] if len(anchors) == 1 else None
    if anchor is None:
        raise _lost("the table was read in one part, or its rows have no lasting place")
    now = {} if table.secured else await _find(connection, table)
    if why := _differs(anchor, now):
        raise _lost(why)
    snapshot = await connection.fetchval("SELECT pg_catalog.pg_export_snapshot()")
    number = int(anchor["oldest"]) % _CIRCLE
    again = [replace(split, params=_at(snapshot, split.params, number)) for split in splits]
    tables = [path for split in splits for path in split.params.get("tables", ())]
    since = {"snapshot": snapshot, YOUNGER_THAN: number, **({"tables": tables} if tables else {})}
    return [*again, Split(_WRITTEN_SINCE, since)]


def _at(snapshot: str, params: Json, number: int) -> Json:
    lasting = {name: params[name] for name in _LASTING if name in params}
    return {**lasting, "snapshot": snapshot, OLDER_THAN: number}


def written_conditions(params: Json) -> list[str]:
    """Return the conditions on the versions of rows that a part holds."""
    compared = {OLDER_THAN: ">", YOUNGER_THAN: "<="}
    return [
        f"pg_catalog.age(xmin) {than} pg_catalog.age('{int(params[name])}'::pg_catalog.xid)"
        for name, than in compared.items()
        if name in params
    ]


async def _find(connection: asyncpg.Connection, table: Table) -> Json:
    """Return the table's places and the transaction's moment; {} where the server or the table has none that last."""
    # A server may not let everybody ask, and the transaction must outlive that.
    await connection.execute("SAVEPOINT anchor")
    try:
        places = await connection.fetchrow(_PLACES, table.oid)
        moment = await connection.fetchrow(_MOMENT)
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK TO SAVEPOINT anchor; RELEASE SAVEPOINT anchor")
        return {}
    await connection.execute("RELEASE SAVEPOINT anchor")
    return _found(places, moment) if places["lasting"] else {}


def _found(places: Any, moment: Any) -> Json:
    digest = hashlib.sha256(repr(places["places"]).encode()).hexdigest()
    server = f"{moment['server']}/{moment['timeline']}"
    return {"places": digest, "server": server, "oldest": moment["oldest"], "next": int(moment["next"])}


def _differs(anchor: Json, now: Json) -> str:
    """Say why rows are not where they were; '' if they are."""
    if not now:
        return "its rows have no lasting place any more"
    if now["server"] != anchor["server"]:
        return "the server is another one, or was set back in time"
    if now["places"] != anchor["places"]:
        return "the table was written anew, as by VACUUM FULL, CLUSTER or TRUNCATE, or its partitions changed"
    passed = now["next"] - int(anchor["oldest"])
    return "" if 0 <= passed < _FURTHEST else "too many transactions have passed"


def _lost(why: str) -> TransientError:
    return TransientError(
        "the parts that an earlier read planned do not hold every row any more",
        code=LOST,
        why=why,
        fix="begin the read anew",
    )
