"""`table://{catalog}/{schema}/{name}/schema`, `/preview` and `/lineage`: what a table holds and where it is from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.types import Annotations, ReadResourceResult, Resource, ResourceTemplate

from servicetsunami.mcp.resources.family import FOR_MODELS, JSON, MOST_LISTED, as_json, matching, unknown_resource
from servicetsunami.operations.lineage import lineage_of
from servicetsunami.operations.tables import describe_table, list_tables
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.lineage import Lineage
    from servicetsunami.operations.models import TableDescription, TableView

_URI = re.compile(r"table://([a-z0-9_]{1,128})/([a-z0-9_]{1,64})/([a-z0-9_]{1,255})/(schema|preview|lineage)")
_PARTS = {
    "schema": ("Schema of a table", "A table's columns, types, key, comments, size and latest changes."),
    "preview": ("Preview of a table", "Some rows of a table, and a profile of each column."),
    "lineage": ("Lineage of a table", "What a table is made of, back to its sources, and how."),
}
_PAGE = 500
_VARIABLES = ("catalog", "schema", "name")


class Tables:
    """The tables of a caller."""

    def __init__(self, app: App) -> None:
        self._app = app

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("table://")

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List three of each table, the one that changed last first."""
        newest = sorted(await self._tables(caller), key=_changed, reverse=True)[:MOST_LISTED]
        return [_resource(table, part) for table in newest for part in _PARTS]

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the templates."""
        del caller
        return [
            ResourceTemplate(
                uri_template=f"table://{{catalog}}/{{schema}}/{{name}}/{part}",
                name=f"table-{part}",
                title=title,
                description=description,
                mime_type=JSON,
                annotations=FOR_MODELS,
            )
            for part, (title, description) in _PARTS.items()
        ]

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a schema, a preview or a lineage."""
        found = _URI.fullmatch(uri)
        if found is None or found[1] != f"tenant_{caller.tenant}":
            raise unknown_resource()
        try:
            return as_json(uri, await self._told(caller, f"{found[2]}.{found[3]}", found[4]))
        except TsunamiError:
            raise unknown_resource() from None

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return names that fit those chosen so far."""
        del template
        if argument not in _VARIABLES:
            return ()
        names = [dict(zip(_VARIABLES, table.table.split("."), strict=True)) for table in await self._tables(caller)]
        chosen = {name: others[name] for name in _VARIABLES if name in others and name != argument}
        return matching((one[argument] for one in names if chosen.items() <= one.items()), begun)

    async def _told(self, caller: Caller, table: str, part: str) -> Lineage | TableDescription:
        if part == "lineage":
            return await lineage_of(self._app, caller, table)
        return await describe_table(self._app, caller, table, preview=part == "preview")

    async def _tables(self, caller: Caller) -> list[TableView]:
        found: list[TableView] = []
        cursor = None
        try:
            while True:
                page = await list_tables(self._app, caller, cursor=cursor, limit=_PAGE)
                found += page.tables
                cursor = page.next_cursor
                if cursor is None:
                    return found
        except TsunamiError:  # a warehouse that cannot be reached hides its tables, and nothing else
            return found


def _changed(table: TableView) -> float:
    return table.updated_at.timestamp() if table.updated_at else 0.0


def _resource(table: TableView, part: str) -> Resource:
    title, description = _PARTS[part]
    modified = table.updated_at.isoformat() if table.updated_at else None
    return Resource(
        uri=f"table://{table.table.replace('.', '/')}/{part}",
        name=f"{table.table}/{part}",
        title=f"{title}: {table.table}",
        description=description,
        mime_type=JSON,
        annotations=Annotations(audience=["assistant"], priority=0.6, last_modified=modified),
    )
