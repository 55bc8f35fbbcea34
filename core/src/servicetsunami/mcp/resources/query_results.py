"""Kept results of queries: pages of rows as CSV, and beside each what there is to know of it as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mcp.types import ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from servicetsunami.mcp.surface import unknown_resource
from servicetsunami.operations.answers.reading import read_result, result_ids
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

TEMPLATE = "query-result://{result_id}{?offset,limit}"
_URI = re.compile(r"query-result://(res_[0-9a-f]{32})(?:\?(.{1,100}))?")
_NUMBER = re.compile(r"[0-9]{1,12}")


class QueryResults:
    """The resources `query-result://{result_id}` of a caller; they are named by answers and not listed."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List none: there are many, and each is gone after an hour."""
        del caller
        return ()

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the template."""
        template = ResourceTemplate(
            uri_template=TEMPLATE,
            name="query-result",
            title="The whole result of a query",
            description="Rows of a result that query_sql kept, from `offset` on; 200 unless `limit` says otherwise.",
            mime_type="text/csv",
        )
        return [template] if caller.may("read") else []

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("query-result://")

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a page; raises `MCPError` for any that the caller cannot read, in the same words."""
        found = _URI.fullmatch(uri)
        if found is None:
            raise unknown_resource()
        wanted = _numbers(found[2] or "")
        try:
            told, rows = await read_result(
                self._app, caller, found[1], offset=wanted.get("offset", 0), limit=wanted.get("limit")
            )
        except TsunamiError:
            raise unknown_resource() from None
        about = told.model_dump_json(exclude_none=True)
        return ReadResourceResult(
            contents=[
                TextResourceContents(uri=uri, mime_type="text/csv", text=rows),
                TextResourceContents(uri=uri, mime_type="application/json", text=about),
            ]
        )

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return the ids of the caller's own results."""
        del others
        if template != TEMPLATE or argument != "result_id" or not caller.may("read"):
            return ()
        return [one for one in await result_ids(self._app, caller) if one.startswith(begun)]


def _numbers(query: str) -> Mapping[str, int]:
    pairs = parse_qsl(query, keep_blank_values=True)
    for name, value in pairs:
        if name not in ("offset", "limit") or not _NUMBER.fullmatch(value):
            raise unknown_resource()
    return {name: int(value) for name, value in pairs}
