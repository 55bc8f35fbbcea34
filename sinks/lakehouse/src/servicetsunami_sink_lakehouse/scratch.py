"""DuckDB for the sink's own work on its own files; it never sees anybody's SQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from servicetsunami.sdk import Cancelled

if TYPE_CHECKING:
    import duckdb

_POLL_SECONDS = 0.05
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


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Interrupt what the connection does as soon as somebody cancels; raises `Cancelled` then."""
    import duckdb
    import pyarrow as pa

    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            if cancelled():
                connection.interrupt()  # again and again: an interrupt between two statements is lost

    watching = threading.Thread(target=watch, name="load cancellation", daemon=True)
    watching.start()
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if cancelled():
            raise _cancelled() from error
        raise
    finally:
        ended.set()
        watching.join()
    if cancelled():
        raise _cancelled()


def _cancelled() -> Cancelled:
    return Cancelled("the load was cancelled; nothing of it is visible")
