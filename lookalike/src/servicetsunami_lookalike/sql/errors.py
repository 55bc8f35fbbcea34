"""What a statement is refused with, in the words of Databricks: a name in brackets, a sentence, an SQLSTATE."""

from __future__ import annotations


class SqlError(Exception):
    """A statement failed; `name` is the error class that clients tell errors apart by."""

    def __init__(self, name: str, message: str, sqlstate: str = "XX000") -> None:
        super().__init__(f"[{name}] {message} SQLSTATE: {sqlstate}")
        self.name = name
        self.sqlstate = sqlstate


def unsupported(what: str) -> SqlError:
    """Refuse what the look-alike does not know: a real workspace may do it."""
    return SqlError("UNSUPPORTED_FEATURE.LOOKALIKE", f"The look-alike does not know {what}.", "0A000")


def denied(principal: str, privilege: str, name: str) -> SqlError:
    """Say which privilege is missing, on what."""
    text = f"User '{principal}' does not have {privilege} on '{name}'."
    return SqlError("INSUFFICIENT_PERMISSIONS", f"Insufficient privileges: {text}", "42501")


def no_table(name: str) -> SqlError:
    """Say that a table is not there."""
    return SqlError("TABLE_OR_VIEW_NOT_FOUND", f"The table or view {name} cannot be found.", "42P01")


def no_schema(name: str) -> SqlError:
    """Say that a schema is not there."""
    return SqlError("SCHEMA_NOT_FOUND", f"The schema {name} cannot be found.", "42704")


def no_catalog(name: str) -> SqlError:
    """Say that a catalog is not there."""
    return SqlError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{name}' was not found.", "42704")
