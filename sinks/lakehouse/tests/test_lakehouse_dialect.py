"""The page of the dialect says what the engine does; run as a program this writes it anew."""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from servicetsunami.sdk import ConfigError, Load
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sink_lakehouse import LakehouseConfig, LakehouseSink

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "dialect.md"
_NO_FUNCTIONS = frozenset(["as", "by", "from", "in", "over", "v", "values", "when", "x"])
INTRODUCTION = """# Databricks SQL in the local lakehouse

Queries of the lakehouse on disk are written in Databricks SQL, as they are for a SQL warehouse. The local engine
answers with exactly the meaning that Databricks gives them (ANSI rules, times in UTC), or refuses and says what to
write instead; it never answers with another value. With Databricks as the sink, every query runs on the warehouse, and
nothing here applies.

This page is made from the tests; each refusal below is what the engine said.

| compared with answers written by hand | queries |
|---|---|
| answered as Databricks answers | {right} |
| failing as on Databricks | {failing} |
| refused | {refused} |

Each of these queries is a test of its own (`test_lakehouse_parity.py`): one that is answered otherwise, by value or by
type, fails it, so that none is wrong.
"""


def parity() -> Any:
    """Return the module of the parity tests."""
    path = Path(__file__).with_name("test_lakehouse_parity.py")
    spec = importlib.util.spec_from_file_location("lakehouse_parity", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(folder: Path) -> str:
    """Write the page."""
    tests = parity()
    sink = LakehouseSink(LakehouseConfig(), LocalContext(data_dir=folder, tenant="acme"))
    rows = tests._rows()
    transaction = sink.begin(Load(tests.T, rows.schema, app="dialect"))
    for batch in rows.to_batches():
        transaction.stage(batch)
    transaction.commit(1, {})
    transaction.abort()
    counts = {"right": len(tests.EXACT), "failing": len(tests.FAILING), "refused": len(tests.REFUSED)}
    refusals = "\n".join(refusal(tests, sink, sql) for sql in tests.REFUSED)
    sink.close()
    functions = ", ".join(f"`{name}`" for name in function_names(sql for sql, _ in tests.EXACT))
    return "\n".join(
        (
            INTRODUCTION.format(**counts),
            "## What is refused\n",
            "| query | why | instead |\n|---|---|---|",
            refusals,
            "\nA function or a piece of syntax that is not known to mean the same is refused by its name.\n",
            "## Functions that were compared\n",
            functions + ".\n",
        )
    )


def refusal(tests: Any, sink: LakehouseSink, sql: str) -> str:
    """Write the row of a query that is refused, in the engine's own words."""
    try:
        tests.ask(sink, sql)
    except ConfigError as error:
        why = error.message.removeprefix("the local engine does not answer ").partition(":")[0]
        return f"| `{sql.replace('|', chr(92) + '|')}` | {why} | {error.fix} |"
    raise AssertionError(f"{sql} was answered")


def function_names(queries: Iterable[str]) -> list[str]:
    """Return the functions that queries call, by the names that people write."""
    called = {name for sql in queries for name in re.findall(r"\b([a-z][a-z0-9_]*)\s*\(", sql)}
    return sorted(called - _NO_FUNCTIONS)


def test_the_page_says_what_the_engine_does(tmp_path: Path) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(tmp_path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        PAGE.write_text(page(Path(scratch)), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
