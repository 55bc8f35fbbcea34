"""The list of tools as it is published: a snapshot for clients, and the table in the documentation.

Run this file to write both anew after a tool has changed, and what clients install.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from servicetsunami.mcp.catalog import build_catalog
from servicetsunami.mcp.spec import Catalog, ToolSpec
from servicetsunami.mcp.wire import wire_json
from servicetsunami.plugins import discover
from servicetsunami.sdk import Json

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "tests" / "core" / "snapshots" / "mcp_tools.json"
PAGE = ROOT / "docs" / "reference" / "tools.md"
BEGIN, END = "<!-- tools: begin -->\n", "<!-- tools: end -->\n"
AGAIN = "run `python tests/core/test_mcp_reference.py` and commit what it writes"


def test_the_list_of_tools_is_the_published_one() -> None:
    assert SNAPSHOT.read_text(encoding="utf-8") == snapshot(installed()), AGAIN


def test_the_page_of_tools_is_complete() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == with_table(page, installed()), AGAIN


def installed() -> Catalog:
    plugins = discover()
    return build_catalog(plugins.connectors, plugins.sinks["lakehouse"])


def snapshot(catalog: Catalog) -> str:
    return json.dumps([wire_json(tool) for tool in catalog.listed], indent=1, ensure_ascii=False) + "\n"


def with_table(page: str, catalog: Catalog) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(catalog)}{END}{after}"


def table(catalog: Catalog) -> str:
    rows = [f"| {' | '.join(row(tool))} |" for tool in catalog.listed]
    header = ["| tool | when to use it | arguments (**required**) | effect |", "|---|---|---|---|"]
    return "\n".join([*header, *rows]) + "\n"


def row(tool: ToolSpec) -> tuple[str, str, str, str]:
    schema = tool.input_schema
    arguments = [argument(name, one, schema) for name, one in schema["properties"].items()]
    return f"`{tool.name}`", tool.description, ", ".join(arguments) or "none", effect(tool)


def argument(name: str, schema: Json, whole: Json) -> str:
    shown = f"**`{name}`**" if name in whole.get("required", ()) else f"`{name}`"
    return f"{shown} {kind(schema)}".rstrip()


def kind(schema: Json) -> str:
    if "enum" in schema:
        return f"({', '.join(map(str, schema['enum']))})"
    default: Any = schema.get("default")
    return f"(default {json.dumps(default)})" if default is not None else ""


def effect(tool: ToolSpec) -> str:
    if tool.hints.read_only:
        return "reads"
    return "deletes or stops" if tool.hints.destructive else "writes"


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(installed()), encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), installed()), encoding="utf-8")
    subprocess.run([sys.executable, ROOT / "clients" / "generate.py"], check=True)
