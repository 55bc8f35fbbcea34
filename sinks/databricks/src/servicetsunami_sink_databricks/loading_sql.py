"""The statements that bring a load's files into its table. Each gives the same table when it is run again."""

from __future__ import annotations

from collections.abc import Sequence

from servicetsunami.sdk import DELETED_AT
from servicetsunami.sdk.delta import STAGED_OP, STAGED_UNCHANGED, to_databricks
from servicetsunami_sink_databricks.places import Place
from servicetsunami_sink_databricks.work import Work
from servicetsunami_sink_databricks.writing_sql import listed, name, options, text, words

ROW = "__ts_row"
"""Column of the files: the order in which rows were staged."""
WHEN = "__ts_when"
"""Column of the files: when a change was synced."""
_DELETED = name(DELETED_AT)


def copy_into(place: Place, work: Work, folder: str) -> str:
    """Append the files that were not appended before: COPY INTO remembers which were."""
    return words(
        *("COPY INTO", place.quoted, "FROM (SELECT", listed(map(name, work.arriving)), "FROM", text(folder), ")"),
        "FILEFORMAT = PARQUET COPY_OPTIONS ('mergeSchema' = 'false')",
    )


def merge(place: Place, work: Work, folder: str) -> str:
    """Replace rows by key; of several rows with one key the last one staged stays."""
    keys = listed(map(name, work.key))
    last = words("QUALIFY row_number() OVER (PARTITION BY", keys, f"ORDER BY {ROW} DESC) = 1")
    source = words("SELECT * FROM", files(folder), last)
    return words(
        *("MERGE INTO", place.quoted, "AS t USING (", source, ") AS s ON", same_key(work.key)),
        *("WHEN MATCHED THEN UPDATE SET", assigned(work, _whole(work))),
        *("WHEN NOT MATCHED THEN INSERT", inserted(work, _whole(work))),
    )


def derive_whole(place: Place, work: Work) -> str:
    """Put the rows of a query in the place of the table."""
    described = options(work.columns, work.key, work.comment)
    return words("CREATE OR REPLACE TABLE", place.quoted, described, "AS", work.query)


def derive_merged(place: Place, work: Work) -> str:
    """Merge the rows of a query by key, and remove those whose keys another query selects."""
    keys = listed(map(name, work.key))
    last = words("QUALIFY row_number() OVER (PARTITION BY", keys, "ORDER BY 1) = 1")
    columns = listed(map(name, work.arriving))
    rows = words("SELECT", columns, ", false AS __ts_gone FROM (", work.query, ") AS rows", last)
    if work.gone:
        key = {one.casefold() for one in work.key}
        known = {column.name.casefold(): column for column in work.columns}
        nothing = [
            name(one) if one.casefold() in key else f"CAST(NULL AS {to_databricks(known[one.casefold()].type)})"
            for one in work.arriving
        ]
        gone = words("SELECT", listed(nothing), ", true AS __ts_gone FROM (", work.gone, ") AS gone")
        rows = words(rows, "UNION ALL", gone)
    return words(
        *("MERGE INTO", place.quoted, "AS t USING (", rows, ") AS s ON", same_key(work.key)),
        *("WHEN MATCHED AND s.__ts_gone THEN DELETE WHEN MATCHED THEN UPDATE SET", assigned(work, _whole(work))),
        *("WHEN NOT MATCHED AND NOT s.__ts_gone THEN INSERT", inserted(work, _whole(work))),
    )


def files(folder: str) -> str:
    """Read the files of a load."""
    return f"read_files({text(folder)}, format => 'parquet')"


def same_key(key: Sequence[str]) -> str:
    """Compare the keys of table and source; null is equal to null."""
    return " AND ".join(f"t.{name(one)} <=> s.{name(one)}" for one in key)


def assigned(work: Work, values: dict[str, str]) -> str:
    """Write what an update sets."""
    return listed(f"t.{name(column.name)} = {values[column.name]}" for column in work.columns)


def inserted(work: Work, values: dict[str, str]) -> str:
    """Write what an insert gives."""
    names = listed(name(column.name) for column in work.columns)
    return f"({names}) VALUES ({listed(values[column.name] for column in work.columns)})"


def _whole(work: Work) -> dict[str, str]:
    """Return the value of each column of the table: the source's, or null where it has none."""
    arriving = {one.casefold() for one in work.arriving}
    return {
        column.name: f"s.{name(column.name)}" if column.name.casefold() in arriving else "NULL"
        for column in work.columns
    }


def apply(place: Place, work: Work, folder: str) -> str:
    """Carry out changes in the order in which they were staged, each key's once."""
    steps = _soft_steps(work) if work.deletes == "soft" else _hard_steps(work)
    return words(
        "MERGE INTO", place.quoted, "AS t USING (", _changes(work, folder), ") AS s ON", same_key(work.key), *steps
    )


def _changes(work: Work, folder: str) -> str:
    """Write the query for what became of each key: one row, the last that is left, or its delete.

    `__ts_last` is the place of that row, null if only deletes came; `__ts_dead` and `__ts_gone` place and time of the
    last delete; `__ts_since` where the row began: no value is from before.
    """
    keys = listed(map(name, work.key))
    after = f"AND {ROW} > {work.emptied[0]}" if work.emptied else ""
    staged = words("SELECT * FROM", files(folder), f"WHERE {STAGED_OP} <> 't'", after)
    last = _of_key(f"max(CASE WHEN {STAGED_OP} <> 'd' THEN {ROW} END)", keys)
    dead = _of_key(f"max(CASE WHEN {STAGED_OP} = 'd' THEN {ROW} END)", keys)
    gone = _of_key(f"max(CASE WHEN {STAGED_OP} = 'd' THEN {WHEN} END)", keys)
    ended = words(
        "SELECT *,", f"{last} AS __ts_last, {dead} AS __ts_dead, {gone} AS __ts_gone FROM (", staged, ") AS staged"
    )
    began = _of_key(f"max(CASE WHEN {STAGED_OP} IN ('c', 'd') AND {ROW} <= __ts_last THEN {ROW} END)", keys)
    known = words("SELECT *,", listed([f"{began} AS __ts_since", *_pieces(work, keys)]), "FROM (", ended, ") AS ended")
    return words("SELECT * FROM (", known, f") AS known WHERE {ROW} = coalesce(__ts_last, __ts_dead)")


def _pieces(work: Work, keys: str) -> list[str]:
    """Write, for each column that some change does not repeat, where its last value lies, and the value."""
    found = []
    for index, column in enumerate(work.partial):
        kept = f"array_contains(coalesce({STAGED_UNCHANGED}, CAST(array() AS ARRAY<STRING>)), {text(column)})"
        place = f"CASE WHEN {STAGED_OP} <> 'd' AND {ROW} <= __ts_last AND NOT {kept} THEN {ROW} END"
        found.append(f"{_of_key(f'max({place})', keys)} AS __ts_from_{index}")
        order = f"PARTITION BY {keys} ORDER BY {place} DESC NULLS LAST"
        found.append(f"first_value({name(column)}) OVER ({order}) AS __ts_value_{index}")
    return found


def _of_key(aggregate: str, keys: str) -> str:
    return f"{aggregate} OVER (PARTITION BY {keys})"


def _updated(work: Work, *, held: bool) -> dict[str, str]:
    """Return the value each column gets from the changes; with `held` what they lack stays as the table has it."""
    values = _whole(work)
    spelled = {column.name.casefold(): column.name for column in work.columns}
    for index, one in enumerate(work.partial):
        column = spelled[one.casefold()]
        stays = f"WHEN s.__ts_since IS NULL THEN t.{name(column)}" if held and not work.emptied else ""
        sent = f"WHEN s.__ts_from_{index} >= coalesce(s.__ts_since, -1) THEN s.__ts_value_{index}"
        values[column] = words("CASE", sent, stays, "END")
    return values


def _hard_steps(work: Work) -> list[str]:
    left = "s.__ts_last > coalesce(s.__ts_dead, -1)"
    steps = [
        words("WHEN MATCHED AND", left, "THEN UPDATE SET", assigned(work, _updated(work, held=True))),
        "WHEN MATCHED THEN DELETE",
        words("WHEN NOT MATCHED AND", left, "THEN INSERT", inserted(work, _updated(work, held=False))),
    ]
    return [*steps, "WHEN NOT MATCHED BY SOURCE THEN DELETE"] if work.emptied else steps


def _soft_steps(work: Work) -> list[str]:
    mark = "CASE WHEN s.__ts_dead > s.__ts_last THEN s.__ts_gone END"
    updated = {**_updated(work, held=True), DELETED_AT: mark}
    made = {**_updated(work, held=False), DELETED_AT: mark}
    steps = [
        words("WHEN MATCHED AND s.__ts_last IS NOT NULL THEN UPDATE SET", assigned(work, updated)),
        f"WHEN MATCHED THEN UPDATE SET t.{_DELETED} = s.__ts_gone",
        words("WHEN NOT MATCHED AND s.__ts_last IS NOT NULL THEN INSERT", inserted(work, made)),
    ]
    if work.emptied:
        moment = f"CAST({text(work.emptied[1])} AS TIMESTAMP)"
        steps.append(f"WHEN NOT MATCHED BY SOURCE AND t.{_DELETED} IS NULL THEN UPDATE SET t.{_DELETED} = {moment}")
    return steps
