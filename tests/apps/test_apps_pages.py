"""The pages of MCP Apps: they load nothing, read nothing as markup, and show what the tools answer."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mcp import Client
from mcp.types import TextResourceContents

from servicetsunami.mcp.apps import RUN, TABLE
from servicetsunami.mcp.apps.pages import MIME_TYPE, html
from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import open_app
from servicetsunami.operations.models import (
    ColumnProfile,
    ColumnView,
    DriftFinding,
    Result,
    RunView,
    TableDescription,
    TableView,
)
from servicetsunami.runtime import load_settings
from servicetsunami.sdk import Problem

pytestmark = pytest.mark.anyio
PAGES = (RUN, TABLE)
LOADING = (
    r"https?:|//[a-z]|\bsrc=|\bhref=|url\(|@import|\bimport\b|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon"
)
MARKUP = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|\beval\b|\bFunction\(|\bon[a-z]+="


class Read(HTMLParser):
    """A page, as a browser takes it apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside: dict[str, str] = {}
        self.policy = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is not None:
            self.inside[self.cdata_elem] = self.inside.get(self.cdata_elem, "") + data


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> str:
    return html(str(request.param))


def test_a_page_loads_nothing(page: str) -> None:
    assert re.findall(LOADING, page) == []


def test_a_page_makes_nothing_of_text_but_text(page: str) -> None:
    assert re.findall(MARKUP, page) == []


def test_a_page_allows_its_own_script_and_style_and_nothing_else(page: str) -> None:
    read = Read(page)

    assert dict(rule.split(" ", 1) for rule in read.policy.split("; ")) == {
        "default-src": "'none'",
        "script-src": digest(read.inside["script"]),
        "style-src": digest(read.inside["style"]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert (read.tags.count("script"), read.tags.count("style")) == (1, 1)


def test_a_page_is_one_element_and_small(page: str) -> None:
    (element,) = [tag for tag in Read(page).tags if "-" in tag]

    assert f'customElements.define("{element}"' in page
    assert len(page.encode()) < 16_000


@pytest.mark.parametrize(
    ("uri", "name", "models"),
    [
        (RUN, "run", (RunView,)),
        (RUN, "one", (DriftFinding,)),
        (TABLE, "described", (TableDescription,)),
        (TABLE, "table", (TableView,)),
        (TABLE, "column", (ColumnView,)),
        (TABLE, "profile", (ColumnProfile,)),
    ],
)
def test_a_page_reads_only_what_the_model_has(uri: str, name: str, models: tuple[type[Result], ...]) -> None:
    read = set(re.findall(rf"\b{name}\??\.(\w+)", html(uri)))

    assert read
    assert read <= {field for model in models for field in model.model_fields}


def test_a_page_reads_only_what_a_problem_has(page: str) -> None:
    assert set(re.findall(r"\bfound\.(\w+)", page)) <= set(Problem.model_fields)


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_every_page_that_a_tool_names_can_be_read(era: str, tmp_path: Path) -> None:
    loaded = load_settings({"home": str(tmp_path)}, environ={}, cwd=tmp_path)
    async with open_app(loaded) as app, Client(make_host(app), mode=era) as client:
        tools = (await client.list_tools()).tools
        listed = {str(one.uri): one.mime_type for one in (await client.list_resources()).resources}
        named = {tool.name: tool.meta["ui"]["resourceUri"] for tool in tools if tool.meta and "ui" in tool.meta}
        read = {uri: (await client.read_resource(uri)).contents for uri in set(named.values())}

    assert named == dict.fromkeys(("sync_to_bronze", "get_run", "cancel_run"), RUN) | {"describe_table": TABLE}
    assert {uri: kind for uri, kind in listed.items() if uri.startswith("ui:")} == dict.fromkeys(PAGES, MIME_TYPE)
    for uri, contents in read.items():
        (content,) = contents
        assert isinstance(content, TextResourceContents)
        assert (content.mime_type, content.text) == (MIME_TYPE, html(uri))
        assert content.meta == {"ui": {"csp": {}, "prefersBorder": True}}


async def test_clients_are_told_of_pages(tmp_path: Path) -> None:
    loaded = load_settings({"home": str(tmp_path)}, environ={}, cwd=tmp_path)
    async with open_app(loaded) as app, Client(make_host(app), mode="auto") as client:
        assert client.server_capabilities.extensions is not None
        assert client.server_capabilities.extensions["io.modelcontextprotocol/ui"] == {"mimeTypes": [MIME_TYPE]}
