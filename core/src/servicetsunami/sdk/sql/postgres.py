"""The guard of PostgreSQL's SQL: one SELECT, made of what the allow-lists name, written anew from its syntax tree.

A READ ONLY transaction is no guard: a COMMIT ends it, and functions reach files, settings and other servers from
inside it. So each node, function and type is looked at wherever it stands, and what is unknown is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from typing import Any

from servicetsunami.sdk.errors import ConfigError, nearest
from servicetsunami.sdk.sql.postgres_allowed import FUNCTIONS, NODE_NAMES, NODES, SAMPLE_METHODS, TYPES

# Their type stubs do not parse, so the checker must not follow these imports.
postgast: Any = import_module("postgast")
_DecodeError: type[Exception] = import_module("google.protobuf.message").DecodeError

_SYSTEM = "pg_catalog"
# The parser is recursive and dies, with the process, of a sum of 24,000 terms; this leaves it a fourth of that.
_MOST_CHARACTERS = 10_000
_MOST_DEPTH = 400
_FIX = "ask with one SELECT over tables, using PostgreSQL's ordinary operators and functions"


def guard(sql: str, *, schemas: Collection[str] = ()) -> str:
    """Return `sql` regenerated if it is one harmless SELECT.

    Functions come back qualified with `pg_catalog`, so that none made by a user of the database can take their place.
    `schemas`, where given, are the only ones a table may be named with.
    Raises `ConfigError` with code `sql_refused` for what may never run, `sql_invalid` for what does not parse.
    """
    tree = _parse(sql)
    _check_statement(tree)
    for _, node in postgast.walk(tree):
        _check_node(node)
        if schemas:
            _check_schema(node, schemas)
    _prove(postgast.fingerprint(sql).hex == postgast.fingerprint(_written(tree)).hex)
    for call in _calls(tree):
        _qualify(call)
    return _regenerate(tree)


def _parse(sql: str) -> Any:
    if "\0" in sql or len(sql) > _MOST_CHARACTERS or _depth(sql) > _MOST_DEPTH:
        raise _refused(
            f"the statement holds a NUL character, is longer than {_MOST_CHARACTERS} characters, or is too nested"
        )
    try:
        return postgast.parse(sql)
    except postgast.PgQueryError as error:
        raise ConfigError(
            f"the statement is not PostgreSQL's SQL: {error.message}",
            code="sql_invalid",
            field="sql",
            fix=f"correct it near character {error.cursorpos}" if error.cursorpos else "correct it",
        ) from error
    except (_DecodeError, UnicodeEncodeError) as error:
        raise _refused("the statement is nested too deeply, or holds characters that are no text") from error


def _depth(sql: str) -> int:
    """Return how deeply parentheses nest at most: the parser is recursive and must not run out of stack."""
    deepest = depth = 0
    for character in sql:
        if character in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]":
            depth -= 1
    return deepest


def _check_statement(tree: Any) -> None:
    if len(tree.stmts) != 1:
        raise _refused(f"there are {len(tree.stmts)} statements; exactly one may run")
    kind = type(postgast.unwrap_node(tree.stmts[0].stmt)).__name__
    if kind != "SelectStmt":
        raise _refused(f"only SELECT may run at a source, and this is {kind.removesuffix('Stmt').upper()}")


def _check_node(node: Any) -> None:
    kind = type(node).__name__
    if kind not in NODES:
        raise _refused(f"{NODE_NAMES.get(kind, kind)} may not run at a source")
    check = _CHECKS.get(kind)
    if check is not None:
        check(node)


def _check_schema(node: Any, schemas: Collection[str]) -> None:
    schema = node.schemaname if type(node).__name__ == "RangeVar" else ""
    if schema and schema not in schemas:
        raise ConfigError(
            f"schema {schema} is not among those this connection may read",
            code="sql_refused",
            field="sql",
            fix=f"read tables of: {', '.join(schemas)}",
            did_you_mean=nearest(schema, schemas),
        )


def _check_table(table: Any) -> None:
    names = (table.catalogname, table.schemaname, table.relname)
    system = any(name.lower().startswith("pg_") or name.lower() == "information_schema" for name in names)
    if system or table.catalogname:
        shown = ".".join(name for name in names if name)
        raise _refused(f"{shown} is a system table or lies in another database; only the data's own tables may be read")


def _check_function(call: Any) -> None:
    *schema, name = _strings(call.funcname)
    if schema not in ([], [_SYSTEM]) or name not in FUNCTIONS:
        raise ConfigError(
            f"function {'.'.join((*schema, name))} may not run at a source",
            code="sql_refused",
            field="sql",
            fix=_FIX,
            did_you_mean=nearest(name, FUNCTIONS),
        )


def _check_type(kind: Any) -> None:
    *schema, name = _strings(kind.names)
    if schema not in ([], [_SYSTEM]) or name not in TYPES or kind.setof or kind.pct_type:
        raise _refused(f"type {'.'.join((*schema, name))} may not be named at a source")


def _check_operator(expression: Any) -> None:
    for names in (getattr(expression, field, ()) for field in ("name", "oper_name", "use_op")):
        if list(_strings(names))[:-1] not in ([], [_SYSTEM]):
            raise _refused("an operator of another schema may not run at a source")


def _check_sample(sample: Any) -> None:
    if tuple(_strings(sample.method))[-1:] not in {(name,) for name in SAMPLE_METHODS} or len(sample.method) != 1:
        raise _refused("only the sampling methods BERNOULLI and SYSTEM may run at a source")


def _check_fields(reference: Any) -> None:
    """Refuse `row.function`, which calls a function as if it were a column."""
    for name in _strings(getattr(reference, "fields", None) or getattr(reference, "indirection", ())):
        if name.lower().startswith("pg_"):
            raise _refused(f"the name {name} belongs to the system")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "RangeVar": _check_table,
    "FuncCall": _check_function,
    "TypeName": _check_type,
    "A_Expr": _check_operator,
    "SubLink": _check_operator,
    "SortBy": _check_operator,
    "RangeTableSample": _check_sample,
    "ColumnRef": _check_fields,
    "A_Indirection": _check_fields,
}


def _calls(tree: Any) -> Iterator[Any]:
    return (node for _, node in postgast.walk(tree) if type(node).__name__ == "FuncCall")


def _qualify(call: Any) -> None:
    if len(call.funcname) == 1:
        name = call.funcname[0].string.sval
        call.funcname.add().string.sval = name
        call.funcname[0].string.sval = _SYSTEM


def _regenerate(tree: Any) -> str:
    text = _written(tree)
    _prove(_written(postgast.parse(text)) == text)
    return text


def _written(tree: Any) -> str:
    try:
        return str(postgast.deparse(tree))
    except postgast.PgQueryError as error:
        raise _refused("the statement cannot be written anew") from error


def _prove(same: bool) -> None:
    """Refuse what the writer of SQL would not write as it was read."""
    if not same:
        raise _refused("the statement cannot be written anew with the same meaning")


def _strings(nodes: Any) -> Iterator[str]:
    return (node.string.sval for node in nodes if node.HasField("string"))


def _refused(found: str) -> ConfigError:
    return ConfigError(found, code="sql_refused", field="sql", fix=_FIX)
