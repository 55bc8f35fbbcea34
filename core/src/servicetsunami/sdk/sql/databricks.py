"""The guard of Databricks SQL: lets one SELECT through, over the tenant's own tables, and writes it anew.

Everything is denied that is not on a list: characters, kinds of syntax, functions, names of tables. What runs in the
end is what this module wrote from the syntax tree, never the text that came.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from servicetsunami.sdk.errors import ConfigError, nearest
from servicetsunami.sdk.sink import TableName
from servicetsunami.sdk.sql.databricks_dialect import GuardedDatabricks, keep_meaning
from servicetsunami.sdk.sql.databricks_syntax import NAMED_FUNCTIONS, SYNTAX, TABLE_FUNCTIONS
from servicetsunami.sdk.sql.guarded import GuardedQuery, sealed

_LONGEST = 50_000
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_TEMPLATE = re.compile(r"\$\{|\{\{|\{%")
_SPACES = "\n\r\t "
_ONE_SELECT = "send one SELECT over tables of the lakehouse"


def guard(sql: str, *, catalog: str, layers: Collection[str]) -> GuardedQuery:
    """Return the query written anew; raises `ConfigError` with code `sql_refused` or `sql_invalid`.

    Tables may be written as name of a WITH query, `layer.name` or `catalog.layer.name`, of `catalog` and `layers` only.
    """
    _check_text(sql)
    try:
        tree = _parsed(sql)
        keep_meaning(tree)
        _check_nodes(tree)
        tables = _qualify_tables(tree, catalog, layers)
        regenerated = _written(tree, catalog, tables)
    except RecursionError as error:
        raise _refused(
            "an expression is nested too deeply", "write it flatter, or split it into WITH queries"
        ) from error
    return sealed(regenerated, tables)


def _check_text(sql: str) -> None:
    if len(sql) > _LONGEST:
        raise _refused(f"the query is longer than {_LONGEST} characters", "send a shorter one")
    if template := _TEMPLATE.search(sql):
        raise _refused(f"templates such as {template[0]} are not filled in here", "write the value itself")
    for character in sql:
        if character not in _SPACES and unicodedata.category(character)[0] in "CZ":
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            raise _refused(
                f"the query holds an invisible character ({name})", "remove it, or use chr() for it in a text"
            )


def _parsed(sql: str) -> exp.Expr:
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect=GuardedDatabricks) if statement is not None]
    except (SqlglotError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise _invalid(error) from error
    if len(statements) != 1:
        raise _refused(f"{len(statements)} statements were sent where one may run", _ONE_SELECT)
    (statement,) = statements
    if not isinstance(statement, exp.Query):
        raise _refused(f"a statement of kind {_spoken(statement)} may not run", _ONE_SELECT)
    return statement


def _written(tree: exp.Expr, catalog: str, tables: tuple[TableName, ...]) -> str:
    """Write the query, read that again and see that it still is what was allowed: no quoting went wrong."""
    text = _write(tree)
    try:
        again = _parsed(text)
    except ConfigError as error:
        raise _unstable() from error
    _check_nodes(again)
    if _qualify_tables(again, catalog, {table.layer for table in tables}) != tables or _write(again) != text:
        raise _unstable()
    return text


def _unstable() -> ConfigError:
    return _refused("it cannot be written in a form that reads the same", "use plain names and write it simpler")


def _write(tree: exp.Expr) -> str:
    return tree.sql(dialect=GuardedDatabricks, identify=True, comments=False)


def _invalid(error: Exception) -> ConfigError:
    """Say where the query stops to make sense, without repeating it."""
    details = getattr(error, "errors", None) or [{}]
    described = str(details[0].get("description") or "the text cannot be read as SQL")
    found = re.sub(r"\s+", " ", described.partition(" but got <Token")[0]).rstrip(". ")
    line, column = details[0].get("line"), details[0].get("col")
    where = f" at line {line}, column {column}" if line else ""
    return ConfigError(
        f"the query is not valid Databricks SQL{where}: {found[:200]}",
        code="sql_invalid",
        field="sql",
        fix="correct the query and send it again",
    )


def _check_nodes(tree: exp.Expr) -> None:
    for node in tree.walk():
        name = type(node).__name__
        if isinstance(node, exp.Anonymous):
            _check_named_function(node)
        elif name not in SYNTAX:
            raise _refused(f"{_spoken(node)} may not be used in a query", "leave it out, or say it with plain SQL")
        else:
            _check_node(node)


def _check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Var | exp.Lateral) and not _PLAIN_WORDS.fullmatch(_bare_name(node)):
        raise _refused(f"{_bare_name(node)[:40]!r} is not a plain name", "use letters, digits and _ only")
    if isinstance(node, exp.Dot) and not isinstance(node.expression, exp.Identifier | exp.Star):
        raise _refused("functions of a catalog or schema may not be called", "use a built-in function")
    if isinstance(node, exp.Limit | exp.Offset) and not _is_whole_number(node.expression):
        raise _refused(f"{_spoken(node)} takes a number only", "write the number itself")
    if isinstance(node, exp.Version) and not isinstance(node.expression, exp.Literal):
        raise _refused("a version of a table may be named by a literal only", "write the version or the time itself")
    if isinstance(node, exp.Join) and node.args.get("kind", "").upper() not in _JOINS:
        raise _refused(f"a join of kind {node.args['kind']} may not be used", "use INNER, LEFT, RIGHT, FULL or CROSS")
    if isinstance(node, exp.Select) and not node.expressions:
        raise ConfigError("the query selects nothing", code="sql_invalid", field="sql", fix="name what to select")
    if isinstance(node, exp.Select) and (node.args.get("kind") or node.args.get("operation_modifiers")):
        raise _refused("a modifier of SELECT may not be used", "write a plain SELECT")


def _bare_name(node: exp.Expr) -> str:
    """Return the name that the generator writes without quotes."""
    return str(node.alias if isinstance(node, exp.Lateral) else node.name)


_JOINS = ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI")


def _check_named_function(node: exp.Anonymous) -> None:
    """Check a function that the parser knows by its name only."""
    name = node.name.casefold()
    plain = isinstance(node.this, str)
    if isinstance(node.parent, exp.Table):
        if name not in TABLE_FUNCTIONS or not plain:
            raise _refused(f"the table function {node.name} may not be used", "read a table of the lakehouse instead")
    elif name not in NAMED_FUNCTIONS or not plain:
        raise ConfigError(
            f"the function {node.name} is unknown or may not be used in a query",
            code="sql_refused",
            field="sql",
            fix="use a built-in function that only computes",
            did_you_mean=nearest(name, NAMED_FUNCTIONS),
        )


def _is_whole_number(node: object) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.name.isdecimal()


def _qualify_tables(tree: exp.Expr, catalog: str, layers: Collection[str]) -> tuple[TableName, ...]:
    """Give every table its quoted name of three parts; return the tables, each once."""
    found: dict[TableName, None] = {}
    for node in list(tree.find_all(exp.Table)):
        if isinstance(node.this, exp.Func):
            _check_table_function(node)
        elif not _is_with_query(node):
            found[_qualify(node, catalog, layers)] = None
    return tuple(found)


def _check_table_function(node: exp.Table) -> None:
    if node.args.get("db") or node.args.get("catalog"):
        raise _refused("table functions of a catalog or schema may not be called", "read a table of the lakehouse")
    if not isinstance(node.this, exp.Anonymous) and type(node.this).__name__ not in TABLE_FUNCTIONS:
        raise _refused(f"{_spoken(node.this)} may not stand in FROM", "read a table of the lakehouse instead")


def _is_with_query(node: exp.Table) -> bool:
    """Tell whether a name of one part is that of a WITH query which can be seen from there."""
    if node.args.get("db") or node.args.get("catalog") or not isinstance(node.this, exp.Identifier):
        return False
    if node.args.get("version"):
        return False
    return node.name.casefold() in _visible_names(node)


def _visible_names(node: exp.Expr) -> Iterator[str]:
    inside: exp.CTE | None = None  # the WITH query that the walk came out of last
    child, parent = node, node.parent
    while parent is not None:
        if isinstance(child, exp.CTE):
            inside = child
        with_ = parent.args.get("with_")
        if isinstance(with_, exp.With):
            yield from _names(with_, inside if child is with_ else None)
        child, parent = parent, parent.parent


def _names(with_: exp.With, inside: exp.CTE | None) -> Iterator[str]:
    """Yield the names of WITH queries before `inside`, and of itself if it may recur; of all if it is None."""
    for query in with_.expressions:
        if inside is not None and query is inside:
            if with_.args.get("recursive"):
                yield query.alias.casefold()
            return
        yield query.alias.casefold()


def _qualify(node: exp.Table, catalog: str, layers: Collection[str]) -> TableName:
    parts = node.parts
    for part in parts:
        if not isinstance(part, exp.Identifier) or not _PLAIN_NAME.fullmatch(part.name):
            raise _refused("a table is named by something that is not a plain name", f"write {catalog}.layer.name")
    names = [part.name.casefold() for part in parts]
    if len(names) not in (2, 3):
        raise _wrong_table(names, catalog, layers)
    if (len(names) == 3 and names[0] != catalog.casefold()) or names[-2] not in layers:
        raise _wrong_table(names, catalog, layers)
    table = TableName(names[-2], names[-1])
    node.set("catalog", exp.to_identifier(catalog, quoted=True))
    node.set("db", exp.to_identifier(table.layer, quoted=True))
    node.set("this", exp.to_identifier(table.name, quoted=True))
    return table


def _wrong_table(names: list[str], catalog: str, layers: Collection[str]) -> ConfigError:
    return ConfigError(
        f"'{'.'.join(names)}' is not a table of {catalog}",
        code="sql_refused",
        field="sql",
        fix=f"write layer.name; the layers are {', '.join(sorted(layers))}",
        did_you_mean=tuple(f"{layer}.{names[-1]}" for layer in sorted(layers)) if len(names) == 1 else (),
    )


def _spoken(node: exp.Expr) -> str:
    """Name a piece of syntax as a person would: TABLE SAMPLE for TableSample."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__.lstrip("_")).upper()


def _refused(found: str, fix: str) -> ConfigError:
    return ConfigError(f"the query was refused: {found}", code="sql_refused", field="sql", fix=fix)
