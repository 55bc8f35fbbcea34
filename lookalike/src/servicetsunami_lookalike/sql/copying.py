"""COPY INTO: files of a volume into a table, each file once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
from sqlglot import exp

from servicetsunami.sdk.sql import quote_identifier
from servicetsunami_lookalike.sql.duck import Name, quoted, words
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.queries import explained, parsed
from servicetsunami_lookalike.sql.reading_files import files_of, parquet
from servicetsunami_lookalike.sql.session import Answer, Session, changed

_COPY = re.compile(
    r"COPY\s+INTO\s+(?P<table>\S+)\s+FROM\s+(?:\(\s*SELECT\s+(?P<select>.*?)\s+FROM\s+'(?P<inner>[^']+)'\s*\)|'(?P<path>[^']+)')"
    r"\s+FILEFORMAT\s*=\s*(?P<format>\w+)(?P<options>.*)",
    re.IGNORECASE | re.DOTALL,
)
_OPTION = re.compile(
    r"\s*(?P<name>FILES|PATTERN|FORMAT_OPTIONS|COPY_OPTIONS)\s*(?:=\s*)?(?P<value>\((?:[^()']|'[^']*')*\)|'[^']*')",
    re.IGNORECASE | re.DOTALL,
)


def copy_into(session: Session, text: str, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Load the files that were not loaded before."""
    found = _COPY.fullmatch(text)
    if found is None:
        raise SqlError("PARSE_SYNTAX_ERROR", "Syntax error in COPY INTO.", "42601")
    if found["format"].upper() != "PARQUET":
        raise unsupported(f"COPY INTO from {found['format']}")
    options = _options(found["options"])
    name = session.name_of(exp.to_table(found["table"], dialect="databricks"))
    table = session.catalogs.table(name)
    session.require("MODIFY", name)
    files = _chosen(session, found["inner"] or found["path"], options)
    copying = _pairs(options.get("COPY_OPTIONS", "()"))
    new = files if copying.get("force") == "true" else [one for one in files if one[0] not in table.copied]
    rows = _load(session, name, cursor, new, found["select"] or "*", merging=copying.get("mergeSchema") == "true")
    table.copied |= {path for path, _ in new}
    if new:
        table.record("COPY INTO", numOutputRows=rows, numFiles=len(new))
    return changed(num_affected_rows=rows, num_inserted_rows=rows, num_skipped_corrupt_files=0)


def _load(
    session: Session,
    name: Name,
    cursor: duckdb.DuckDBPyConnection,
    files: Sequence[tuple[str, Path]],
    select: str,
    *,
    merging: bool,
) -> int:
    if not files:
        return 0
    target = quoted(name)
    with explained():
        cursor.execute("BEGIN")
        try:
            cursor.execute(
                words("CREATE OR REPLACE TEMP VIEW _copy AS SELECT", _select(select), "FROM", parquet(files))
            )
            _fit(session, name, cursor, merging=merging)
            (count,) = cursor.execute(words("INSERT INTO", target, "BY NAME SELECT * FROM _copy")).fetchall()
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
            raise
    return int(count[0])


def _fit(session: Session, name: Name, cursor: duckdb.DuckDBPyConnection, *, merging: bool) -> None:
    """Add the columns that the table lacks if it may be, else refuse them."""
    known = {column.name.casefold() for column in session.catalogs.columns(name)}
    for column, kind, *_ in cursor.execute("DESCRIBE _copy").fetchall():
        if column.casefold() in known:
            continue
        if not merging:
            text = f"A schema mismatch detected when writing to the Delta table: column {column} is new."
            raise SqlError("COPY_INTO_SCHEMA_MISMATCH_WITH_TARGET_TABLE", text, "42KDG")
        target = quoted(name)
        cursor.execute(f"ALTER TABLE {target} ADD COLUMN {quote_identifier(column, 'duckdb')} {kind}")


def _select(select: str) -> str:
    """Write what COPY INTO selects in DuckDB's SQL; without a choice, all but the metadata."""
    if select == "*":
        return "* EXCLUDE (_metadata)"
    written = parsed(f"SELECT {select}").expressions
    return ", ".join(one.sql(dialect="duckdb", identify=True) for one in written)


def _chosen(session: Session, path: str, options: dict[str, str]) -> list[tuple[str, Path]]:
    if "FILES" in options:
        names = re.findall(r"'([^']*)'", options["FILES"])
        if len(names) > 1000:
            raise SqlError("COPY_INTO_SOURCE_FILE_LIMIT", "FILES takes at most 1000 names.", "22023")
        return [one for name in names for one in _file(session, f"{path.rstrip('/')}/{name}")]
    return files_of(session, path, pattern=options.get("PATTERN", "*").strip("'"))


def _file(session: Session, path: str) -> list[tuple[str, Path]]:
    found = files_of(session, path)
    if not found:
        raise SqlError("PATH_NOT_FOUND", f"Path does not exist: {path}.", "42K03")
    return found


def _options(text: str) -> dict[str, str]:
    options, at = {}, 0
    while text[at:].strip():
        found = _OPTION.match(text, at)
        if found is None:
            raise SqlError("PARSE_SYNTAX_ERROR", "Syntax error in the options of COPY INTO.", "42601")
        options[found["name"].upper()] = found["value"]
        at = found.end()
    return options


def _pairs(text: str) -> dict[str, str]:
    return dict(re.findall(r"'([^']*)'\s*=\s*'([^']*)'", text))
