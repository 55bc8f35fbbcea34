"""DuckDB for the sink's own work on its own files; it never sees anybody's SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_MEMORY = "SET memory_limit = '768MB'"


@contextmanager
def scratch_database(spill_to: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield an empty database that spills into `spill_to` and closes at the end."""
    import duckdb

    options: dict[str, str | bool | int | float | list[str]] = {
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "temp_directory": str(spill_to),
    }
    connection = duckdb.connect(":memory:", config=options)
    try:
        for setting in (_MEMORY, "SET threads = 2", "SET TimeZone = 'UTC'", "SET preserve_insertion_order = false"):
            connection.execute(setting)
        yield connection
    finally:
        connection.close()
