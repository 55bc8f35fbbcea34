"""dlt's stock Databricks destination loads into the look-alike, which was not shaped to it.

    uv run --no-project --with-editable lookalike --with-editable sinks/lakehouse --with-editable core \
        --with 'dlt[databricks]' python lookalike/proofs/dlt_load.py

Two runs with write disposition merge, the second with a new column and a changed row, then one that replaces and one
that appends. Prints what the tables hold; ends with an error if that is not what was loaded.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from servicetsunami_lookalike import Lookalike

FIRST = [{"id": 1, "name": "Ada", "tags": ["x", "y"]}, {"id": 2, "name": "bob", "tags": []}]
SECOND = [{"id": 2, "name": "Bob", "city": "Köln", "tags": ["z"]}, {"id": 3, "name": "Zoë", "city": None, "tags": []}]


@contextmanager
def told(server: Lookalike) -> Iterator[None]:
    """Say which requests came last, if it goes wrong."""
    try:
        yield
    except BaseException:
        sys.stdout.write("\n".join(server.faults.seen[-8:]) + "\n")
        raise


def main() -> None:
    """Load, and compare."""
    with tempfile.TemporaryDirectory() as folder, Lookalike() as server, told(server):
        os.environ |= {"DLT_DATA_DIR": folder, "RUNTIME__DLTHUB_TELEMETRY": "false"}
        import dlt

        server.workspace.catalogs.add_catalog("dlt_demo", "admin@lookalike.test")
        destination = dlt.destinations.databricks(
            credentials={
                "server_hostname": "127.0.0.1",
                "http_path": server.http_path,
                "access_token": server.token,
                "catalog": "dlt_demo",
                "connection_parameters": {
                    "_connection_uri": server.host + server.http_path,
                    "enable_telemetry": False,
                },
            }
        )
        pipeline = dlt.pipeline("proof", destination=destination, dataset_name="people", pipelines_dir=folder)
        for rows in (FIRST, SECOND):
            loaded = pipeline.run(rows, table_name="people", write_disposition="merge", primary_key="id")
            loaded.raise_on_failed_jobs()
        pipeline.run(FIRST, table_name="kept", write_disposition="append").raise_on_failed_jobs()
        pipeline.run(FIRST, table_name="kept", write_disposition="append").raise_on_failed_jobs()
        pipeline.run(FIRST, table_name="fresh", write_disposition="replace").raise_on_failed_jobs()
        pipeline.run(SECOND, table_name="fresh", write_disposition="replace").raise_on_failed_jobs()
        compare(pipeline)
        sys.stdout.write(f"dlt {dlt.__version__}: {len(server.faults.seen)} requests, every table as it was loaded\n")


def compare(pipeline: Any) -> None:
    """Raise where a table is not what was loaded."""
    expected = {
        "SELECT id, name, city FROM people ORDER BY id": [(1, "Ada", None), (2, "Bob", "Köln"), (3, "Zoë", None)],
        "SELECT value FROM people__tags ORDER BY value": [("x",), ("y",), ("z",)],
        "SELECT count(*) AS n FROM kept": [(4,)],
        "SELECT id, name FROM fresh ORDER BY id": [(2, "Bob"), (3, "Zoë")],
    }
    with pipeline.sql_client() as client:
        for query, rows in expected.items():
            found = [tuple(row) for row in client.execute_sql(query)]
            sys.stdout.write(f"{query}: {found}\n")
            if found != rows:
                raise AssertionError(f"{query}: {found} is not {rows}")


if __name__ == "__main__":
    main()
