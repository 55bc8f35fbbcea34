"""The pages of the MCP Apps extension, each assembled into one text: a page in a sandbox has nobody to fetch from."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mcp.types import ReadResourceResult, Resource, TextResourceContents

from servicetsunami.mcp.host import Extension

RUN = "ui://servicetsunami/run"
TABLE = "ui://servicetsunami/table"
MIME_TYPE = "text/html;profile=mcp-app"
_META: dict[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}
"""Asks the client for nothing: no address may be reached."""
_POLICY = "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'"


class Pages(Extension):
    """Tells clients that some tools have a page; which one, each tool says in the list."""

    identifier = "io.modelcontextprotocol/ui"

    def settings(self) -> dict[str, Any]:
        """Return what pages are written in."""
        return {"mimeTypes": [MIME_TYPE]}


@dataclass(frozen=True)
class _Page:
    """A page: one element, and the scripts it is made of."""

    name: str
    title: str
    description: str
    element: str
    script: str


_PAGES = {
    RUN: _Page("run", "A run", "Shows how far a run is, live.", "tsunami-run", "run.js"),
    TABLE: _Page("table", "A table", "Shows a table's columns, profile and some rows.", "tsunami-table", "table.js"),
}


def listed() -> Sequence[Resource]:
    """List the pages as resources."""
    return [
        Resource(
            uri=uri,
            name=page.name,
            title=page.title,
            description=page.description,
            mime_type=MIME_TYPE,
            _meta=_META,
        )
        for uri, page in _PAGES.items()
    ]


def read(uri: str) -> ReadResourceResult | None:
    """Return a page; None if there is none of that address."""
    if uri not in _PAGES:
        return None
    page = TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=html(uri), _meta=_META)
    return ReadResourceResult(contents=[page])


@cache
def html(uri: str) -> str:
    """Return a page as one text that loads nothing; its policy allows this script and this style and no other."""
    page = _PAGES[uri]
    style = _file("style.css")
    script = "\n".join(_file(name) for name in ("parts.js", page.script, "bridge.js", "start.js"))
    script = f'"use strict";\n{script}'
    filled = {
        "policy": _POLICY.format(script=_digest(script), style=_digest(style)),
        "title": page.title,
        "style": style,
        "element": page.element,
        "script": script,
    }
    return re.sub(r"\[\[(\w+)\]\]", lambda found: filled[found[1]], _file("page.html"))


def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
