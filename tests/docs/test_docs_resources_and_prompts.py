"""The page of resources and prompts says what the code says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from servicetsunami.mcp.prompts import Prompts
from servicetsunami.mcp.resources import Resources
from servicetsunami.mcp.resources.guides import Guides
from servicetsunami.mcp.spec import Catalog
from servicetsunami.operations.caller import Caller
from servicetsunami.plugins import discover

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

CALLER = Caller("default")
PAGE = (Path(__file__).parents[2] / "docs/reference/resources-and-prompts.md").read_text(encoding="utf-8")
NO_APP = cast("App", None)
"""What is listed here asks nothing of an app."""


def catalog() -> Catalog:
    from servicetsunami.mcp.catalog import build_catalog
    from servicetsunami.sdk import Warehouse

    plugins = discover()
    warehouses = [cls for cls in plugins.sinks.values() if issubclass(cls, Warehouse)]
    return build_catalog(plugins.connectors, warehouses[0])


def test_every_template_is_on_the_page() -> None:
    templates = Resources(NO_APP, catalog()).templates(CALLER)

    rows = [f"| `{one.uri_template}` | {one.title} | {one.description} |" for one in templates]

    table = PAGE.partition("## Prompts")[0]

    assert [line for line in table.splitlines() if line.startswith("| `") and "{" in line] == rows


async def _listed(guides: Guides) -> list[str]:
    return [f"| `{one.uri}` | {one.title} | {one.description} |" for one in await guides.listed(CALLER)]


def test_the_guide_is_on_the_page() -> None:
    import asyncio

    rows = asyncio.run(_listed(Guides(NO_APP, catalog())))

    assert [row for row in rows if row not in PAGE] == []


def test_every_prompt_is_on_the_page_in_order() -> None:
    rows = []
    for prompt in Prompts(NO_APP, catalog()).listed(CALLER):
        names = ", ".join(f"`{one.name}`{'' if one.required else '?'}" for one in prompt.arguments or ())
        rows.append(f"| `{prompt.name}` | {prompt.title} | {names} | {prompt.description} |")

    table = PAGE.partition("## Prompts")[2]

    assert [line for line in table.splitlines() if line.startswith("| `")] == rows
