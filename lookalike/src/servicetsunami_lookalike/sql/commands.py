"""Statements that no SQL parser at hand reads: each a pattern and what it calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from servicetsunami_lookalike.sql import cloning, describing, granting, moving
from servicetsunami_lookalike.sql.copying import copy_into
from servicetsunami_lookalike.sql.session import Answer, Session, nothing

Found = re.Match[str]

_NAME = r"(?:`[^`]+`|[\w$]+)(?:\.(?:`[^`]+`|[\w$]+)){0,3}"
_TEXT = r"'(?:[^'\\]|\\.|'')*'"


@dataclass(frozen=True)
class Command:
    """A kind of statement."""

    pattern: re.Pattern[str]
    run: Callable[[Session, Found], Answer]


def _command(pattern: str, run: Callable[[Session, Found], Answer]) -> Command:
    """Compile a pattern in which a space is any space, `NAME` a dotted name and `TEXT` a quoted text."""
    written = pattern.replace("NAME", _NAME).replace("TEXT", _TEXT).replace(" ", r"\s+")
    return Command(re.compile(written, re.IGNORECASE | re.DOTALL), run)


def find_command(text: str) -> tuple[Command, Found] | None:
    """Return the command that a statement is, if it is one."""
    for command in _COMMANDS:
        found = command.pattern.fullmatch(text)
        if found is not None:
            return command, found
    return None


def copies(text: str) -> bool:
    """Tell whether a statement is a COPY INTO."""
    return re.match(r"COPY\s+INTO\s", text, re.IGNORECASE) is not None


def copy(session: Session, text: str, cursor: duckdb.DuckDBPyConnection) -> Answer:
    """Run a COPY INTO."""
    return copy_into(session, text, cursor)


def _set(session: Session, found: Found) -> Answer:
    session.settings[found["key"].casefold()] = found["value"].strip("'")
    return nothing()


def _maintain(session: Session, found: Found) -> Answer:
    """Take OPTIMIZE, VACUUM and ANALYZE for done: they change nothing that can be seen."""
    describing.describe_table(session, found["name"])
    return nothing()


def _use_catalog(session: Session, found: Found) -> Answer:
    name = found["name"].strip("`").casefold()
    session.catalogs.catalog(name)
    session.catalog, session.schema = name, "default"
    return nothing()


def _use_schema(session: Session, found: Found) -> Answer:
    catalog, schema = describing.schema_name(session, found["name"])
    session.catalogs.schema(catalog, schema)
    session.catalog, session.schema = catalog, schema
    return nothing()


_COMMANDS = (
    _command(
        r"CREATE CATALOG (?P<unless>IF NOT EXISTS )?(?P<name>NAME)( COMMENT (?P<comment>TEXT))?",
        lambda s, m: granting.create_catalog(s, m["name"], m["comment"], unless_exists=bool(m["unless"])),
    ),
    _command(
        r"DROP CATALOG (?P<if>IF EXISTS )?(?P<name>NAME)(?P<cascade> CASCADE)?",
        lambda s, m: granting.drop_catalog(s, m["name"], if_exists=bool(m["if"]), cascade=bool(m["cascade"])),
    ),
    _command(
        r"CREATE VOLUME (?P<unless>IF NOT EXISTS )?(?P<name>NAME)( COMMENT (?P<comment>TEXT))?",
        lambda s, m: granting.create_volume(s, m["name"], m["comment"], unless_exists=bool(m["unless"])),
    ),
    _command(
        r"DROP VOLUME (?P<if>IF EXISTS )?(?P<name>NAME)",
        lambda s, m: granting.drop_volume(s, m["name"], if_exists=bool(m["if"])),
    ),
    _command(
        r"GRANT (?P<what>[\w ,]+?) ON (?P<kind>CATALOG|SCHEMA|TABLE|VOLUME|VIEW) (?P<name>NAME) TO "
        r"(?P<who>`[^`]+`|\w+)",
        lambda s, m: granting.grant(s, m["what"], m["kind"], m["name"], m["who"], give=True),
    ),
    _command(
        r"REVOKE (?P<what>[\w ,]+?) ON (?P<kind>CATALOG|SCHEMA|TABLE|VOLUME|VIEW) (?P<name>NAME) FROM "
        r"(?P<who>`[^`]+`|\w+)",
        lambda s, m: granting.grant(s, m["what"], m["kind"], m["name"], m["who"], give=False),
    ),
    _command(
        r"SHOW GRANTS ON (?P<kind>CATALOG|SCHEMA|TABLE|VOLUME|VIEW) (?P<name>NAME)",
        lambda s, m: granting.show_grants(s, m["kind"], m["name"]),
    ),
    _command(r"(?:DESCRIBE|DESC) DETAIL (?P<name>NAME)", lambda s, m: describing.describe_detail(s, m["name"])),
    _command(
        r"(?:DESCRIBE|DESC) HISTORY (?P<name>NAME)(?: LIMIT (?P<limit>\d+))?",
        lambda s, m: describing.describe_history(s, m["name"], int(m["limit"]) if m["limit"] else None),
    ),
    _command(
        r"(?:DESCRIBE|DESC) (?:SCHEMA|DATABASE) (?:EXTENDED )?(?P<name>NAME)",
        lambda s, m: describing.describe_schema(s, m["name"]),
    ),
    _command(r"(?:DESCRIBE|DESC) CATALOG (?P<name>NAME)", lambda s, m: describing.describe_catalog(s, m["name"])),
    _command(r"(?:DESCRIBE|DESC) VOLUME (?P<name>NAME)", lambda s, m: describing.describe_volume(s, m["name"])),
    _command(
        r"(?:DESCRIBE|DESC) (?:TABLE )?EXTENDED (?P<name>NAME) AS JSON",
        lambda s, m: describing.describe_json(s, m["name"]),
    ),
    _command(
        r"(?:DESCRIBE|DESC) (?:TABLE )?(?P<more>EXTENDED )?(?P<name>NAME)",
        lambda s, m: describing.describe_table(s, m["name"], extended=bool(m["more"])),
    ),
    _command(r"SHOW CATALOGS", lambda s, _: describing.show_catalogs(s)),
    _command(
        r"SHOW (?:SCHEMAS|DATABASES)(?: (?:IN|FROM) (?P<name>NAME))?",
        lambda s, m: describing.show_schemas(s, m["name"]),
    ),
    _command(
        r"SHOW (?P<what>TABLES|VIEWS)(?: (?:IN|FROM) (?P<name>NAME))?",
        lambda s, m: describing.show_tables(s, m["name"], views=m["what"].upper() == "VIEWS"),
    ),
    _command(r"SHOW COLUMNS (?:IN|FROM) (?P<name>NAME)", lambda s, m: describing.show_columns(s, m["name"])),
    _command(r"SHOW TBLPROPERTIES (?P<name>NAME)", lambda s, m: describing.show_properties(s, m["name"])),
    _command(r"SHOW VOLUMES (?:IN|FROM) (?P<name>NAME)", lambda s, m: describing.show_volumes(s, m["name"])),
    _command(
        r"CREATE OR REPLACE TABLE (?P<name>NAME) DEEP CLONE (?P<source>NAME)",
        lambda s, m: cloning.clone(s, m["name"], m["source"]),
    ),
    _command(r"USE CATALOG (?P<name>NAME)", _use_catalog),
    _command(r"USE (?:SCHEMA |DATABASE )?(?P<name>NAME)", _use_schema),
    _command(r"SET (?P<key>[\w.]+)\s*=\s*(?P<value>TEXT|[\w.+/-]+)", _set),
    _command(r"OPTIMIZE (?P<name>NAME)(?: FULL)?", _maintain),
    _command(r"VACUUM (?P<name>NAME)(?: RETAIN \d+ HOURS)?", _maintain),
    _command(r"ANALYZE TABLE (?P<name>NAME) COMPUTE STATISTICS(?: FOR ALL COLUMNS)?", _maintain),
    _command(
        r"(?P<op>PUT) '(?P<local>[^']*)' INTO '(?P<path>[^']*)'(?P<over> OVERWRITE)?",
        lambda s, m: moving.move(s, m["op"], m["path"], m["local"], overwrite=bool(m["over"])),
    ),
    _command(
        r"(?P<op>GET) '(?P<path>[^']*)' TO '(?P<local>[^']*)'",
        lambda s, m: moving.move(s, m["op"], m["path"], m["local"]),
    ),
    _command(r"(?P<op>REMOVE) '(?P<path>[^']*)'", lambda s, m: moving.move(s, m["op"], m["path"], None)),
)
