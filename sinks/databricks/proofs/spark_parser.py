"""Spark's own parser reads the statements that this sink sends to Databricks.

    uv run --no-project --with-editable core --with-editable lookalike --with-editable sinks/lakehouse \
        --with-editable sinks/databricks --with-editable connectors/files --with pyspark==4.3.0 \
        python sinks/databricks/proofs/spark_parser.py

Needs Java 17. It uses the sink in every way there is, against the look-alike, and gives each statement that came to
Spark's parser. What only Databricks has is listed with the reason; anything else that is refused ends it with an error.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from mcp import Client

from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import open_app
from servicetsunami.runtime import load_settings
from servicetsunami.sdk import Load, TableName
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_lookalike import Lookalike
from servicetsunami_sink_databricks import DatabricksConfig, DatabricksSink

ONLY_DATABRICKS = {
    r"^CREATE CATALOG": "catalogs of Unity Catalog",
    r"^CREATE VOLUME": "volumes of Unity Catalog",
    r"^GRANT ": "rights of Unity Catalog",
    r"^COPY INTO": "loads of files, each once",
    r"^DESCRIBE (DETAIL|HISTORY)": "Delta's descriptions, read by its extension of Spark",
    r"DEEP CLONE": "clones of Delta tables",
    r"SET TAGS": "tags of Unity Catalog",
    r"\bQUALIFY\b": "QUALIFY",
}
MESSY = 'id,email,day,doc\n1, Ada@x.org ,31/10/2026,"{""a"": 1}"\n2,N/A,2026-11-01,\n2,b@x.org,soon,\n'
STEPS: list[dict[str, Any]] = [
    {"op": "trim", "columns": ["email"]},
    {"op": "case", "columns": ["email"], "to": "lower"},
    {"op": "nullify", "columns": ["email"]},
    {"op": "parse_date", "column": "day", "formats": ["yyyy-MM-dd", "dd/MM/yyyy"]},
    {"op": "extract_json", "column": "doc", "path": "$.a", "to": "a"},
    {"op": "deduplicate", "key": ["id"], "order_by": ["id"]},
]
CHECKS = [{"check": "not_null", "columns": ["email"], "action": "quarantine"}]
CHANGES = pa.schema(
    [("id", pa.int64()), ("name", pa.string()), ("_op", pa.string()), ("_unchanged", pa.list_(pa.string()))]
)


def collected() -> list[str]:
    """Use the sink in every way, and return the statements it sent, each once."""
    with Lookalike() as server, tempfile.TemporaryDirectory() as folder:
        config = DatabricksConfig(
            host=server.host, warehouse_id="w", token=server.token, loader_principal="l", reader_principal="r"
        )
        sink = DatabricksSink(config, LocalContext(data_dir=Path(folder), tenant="proof"))
        sink.provision()
        use(sink)
        sink.close()
        asyncio.run(converse(server, Path(folder)))
        texts = [label.removeprefix("ExecuteStatement ") for label in server.faults.seen if label.startswith("Exec")]
    return sorted({plain(text) for text in texts})


def use(sink: DatabricksSink) -> None:
    """Load in every mode, with every change of a schema; describe and list."""
    table = TableName("bronze", "t")
    first = pa.schema([pa.field("id", pa.int32(), nullable=False, metadata={"comment": "It's", "source_type": "int4"})])
    wider = pa.schema([("id", pa.int64()), ("more", pa.struct([("a b", pa.list_(pa.string()))]))])
    write(sink, Load(table, first, app="a", comment="A table."), [{"id": 1}])
    write(sink, Load(table, wider, app="a", evolve="widen", mode="merge", key=("id",)), [{"id": 2, "more": None}], 2)
    for deletes in ("hard", "soft"):
        name = TableName("bronze", f"c_{deletes}")
        load = Load(name, CHANGES, app="a", mode="apply", key=("id",), deletes=deletes)  # type: ignore[arg-type]
        write(sink, load, [{"id": 1, "name": "a", "_op": "c"}])
        changes = [{"_op": "t"}, {"id": 1, "_op": "u", "_unchanged": ["name"]}, {"id": 2, "_op": "d"}]
        write(sink, load, changes, 2)
    aside = Load(table, wider, app="a", generation="g")
    write(sink, aside, [{"id": 5, "more": None}])
    sink.replace(aside, 9, {})
    sink.discard(table, "g")
    sink.describe(table)


def write(sink: DatabricksSink, load: Load, rows: list[dict[str, Any]], seq: int = 1) -> None:
    """Stage and commit rows."""
    transaction = sink.begin(load)
    transaction.stage(pa.RecordBatch.from_pylist(rows, schema=load.schema))
    transaction.commit(seq, {})
    transaction.abort()


async def converse(server: Lookalike, home: Path) -> None:
    """Clean a file, make a view and ask, as a model does."""
    settings = load_settings({"home": str(home)}, environ=server.environment(), cwd=home)
    async with open_app(settings) as app, Client(make_host(app)) as client:
        content = base64.b64encode(MESSY.encode()).decode()
        await ask(client, "upload_file", file_name="p.csv", dataset_name="people", file_content=content)
        asked = {"bronze_table": "bronze.people", "transformations": STEPS, "checks": CHECKS}
        await ask(client, "transform_to_silver", **asked, preview=True)
        await ask(client, "transform_to_silver", **asked)
        await ask(client, "create_gold_view", name="v", sql="select day, count(*) as n from silver.people group by day")
        await ask(client, "query_sql", sql="select * from gold.v where day > date'2026-01-01' order by n")
        await ask(client, "describe_table", table="silver.people", preview=True)


async def ask(client: Client, tool: str, **arguments: Any) -> None:
    """Call a tool; raises if it is refused."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool}: {result.structured_content}")


def plain(text: str) -> str:
    """Write a statement without what differs from run to run."""
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{16}", "20260101T000000Z-0000000000000000", text)
    return re.sub(r"aside_[0-9a-f]{16}|run_[0-9a-f]{32}", "x", text)


def refused(texts: list[str]) -> dict[str, str]:
    """Return the statements that Spark's parser refuses, with the beginning of what it says."""
    from pyspark.java_gateway import launch_gateway

    gateway: Any = launch_gateway()
    parser = gateway.jvm.org.apache.spark.sql.execution.SparkSqlParser()
    found = {}
    for text in texts:
        try:
            parser.parsePlan(text)
        except Exception as error:  # noqa: BLE001  # whatever the gateway makes of Java's
            found[text] = str(getattr(error, "java_exception", error)).partition("\n")[0][:160]
    gateway.shutdown()
    return found


def main() -> None:
    """Print the report."""
    logging.disable(logging.CRITICAL)
    texts = collected()
    found = refused(texts)
    by_reason: dict[str, int] = {}
    for text in found:
        reason = next((why for pattern, why in ONLY_DATABRICKS.items() if re.search(pattern, text)), None)
        if reason is None:
            sys.stdout.write(f"refused, and not known to be Databricks' own:\n{text}\n{found[text]}\n\n")
        by_reason[reason or "unknown"] = by_reason.get(reason or "unknown", 0) + 1
    sys.stdout.write(f"{len(texts)} statements, {len(texts) - len(found)} read by Spark's parser\n")
    for reason, count in sorted(by_reason.items()):
        sys.stdout.write(f"| {reason} | {count} |\n")
    if "unknown" in by_reason:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
