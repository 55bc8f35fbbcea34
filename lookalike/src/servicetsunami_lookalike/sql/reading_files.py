"""Files of a volume, read as a table: `read_files('/Volumes/…')` and a path behind the name of its format."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from sqlglot import exp

from servicetsunami_lookalike.sql.duck import Name, quoted
from servicetsunami_lookalike.sql.errors import SqlError, unsupported
from servicetsunami_lookalike.sql.session import Session

_FORMATS = ("parquet",)


def is_files(table: exp.Table) -> bool:
    """Tell whether what stands in FROM is files."""
    return _call(table) is not None or (table.db.casefold() in _FORMATS and table.name.startswith("/"))


def catalog_of(table: exp.Table) -> str:
    """Return the catalog whose volume the files lie in."""
    call = _call(table)
    path = _options(call)["path"] if call is not None else table.name
    parts = path.split("/")
    if len(parts) < 3 or parts[1] != "Volumes":
        raise SqlError("INVALID_PARAMETER_VALUE", f"'{path}' is not a path in a volume.", "22023")
    return parts[2].casefold()


def files_view(session: Session, table: exp.Table, name: Name) -> None:
    """Make a view of the files' rows, with `_metadata`."""
    call = _call(table)
    options = _options(call) if call is not None else {"path": table.name, "format": table.db.casefold()}
    if options.get("format", "").casefold() not in _FORMATS:
        raise unsupported(f"files of the format '{options.get('format', '')}'")
    found = files_of(session, options["path"], pattern=options.get("filenamepattern", "*"))
    if not found:
        raise SqlError("CF_EMPTY_DIR_FOR_SCHEMA_INFERENCE", "Cannot infer a schema: there are no files.", "42000")
    text = " ".join(("CREATE VIEW", quoted(name), "AS SELECT * FROM", parquet(found)))
    session.catalogs.cursor().execute(text)


def files_of(session: Session, path: str, *, pattern: str = "*") -> list[tuple[str, Path]]:
    """Return the files at or below a path of a volume, as a name clients know and where they lie.

    Names that begin with `_` or `.` are passed over, as Databricks does.
    """
    session.require_volume("READ VOLUME", path)
    place = session.catalogs.volume_path(path.rstrip("/"))
    if place.is_file():
        return [(path, place)]
    found = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else []
    shown = [file for file in found if not any(part[0] in "_." for part in file.relative_to(place).parts)]
    return [
        (f"{path.rstrip('/')}/{file.relative_to(place).as_posix()}", file)
        for file in shown
        if fnmatch.fnmatch(file.name, pattern)
    ]


def parquet(files: Sequence[tuple[str, Path]]) -> str:
    """Write what reads Parquet files in DuckDB's SQL: their columns, and `_metadata` with where each row lay."""
    paths = ", ".join(_text(str(place)) for _, place in files)
    names = ", ".join(f"{_text(str(place))}: {_text(name)}" for name, place in files)
    read = f"read_parquet([{paths}], union_by_name = true, file_row_number = true, filename = '__file')"
    metadata = f"{{'file_path': map_extract_value(MAP {{{names}}}, __file), 'row_index': file_row_number}} AS _metadata"
    return " ".join(("(SELECT * EXCLUDE (__file, file_row_number),", metadata, "FROM", read + ")"))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _call(table: exp.Table) -> exp.Expr | None:
    found = table.this
    return found if isinstance(found, exp.Anonymous) and found.name.casefold() == "read_files" else None


def _options(call: exp.Expr) -> dict[str, str]:
    path, *rest = call.expressions
    if not isinstance(path, exp.Literal) or not all(isinstance(one, exp.Kwarg) for one in rest):
        raise unsupported("these arguments of read_files")
    known = {"format", "filenamepattern", "schemaevolutionmode"}
    options = {one.this.name.casefold(): one.expression.name for one in rest}
    if unknown := set(options) - known:
        raise unsupported(f"the option {min(unknown)} of read_files")
    return {"path": path.name, **options}
