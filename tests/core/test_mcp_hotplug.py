"""Plugins that are installed and uninstalled while the server runs, as its client sees it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from venv import EnvBuilder
from zipfile import ZipFile

import anyio
import pytest
from http_lab import serving
from mcp import Client, StdioServerParameters

pytestmark = pytest.mark.anyio
_PATIENCE_SECONDS = 30
PLUGIN = '''
from servicetsunami.sdk import Config, Source, Stream, hookimpl


class {cls}Config(Config):
    """Nothing to set."""


class {cls}(Source[{cls}Config]):
    """Tell the {name}s of a day."""

    name = "{name}"

    def streams(self):
        yield Stream("{name}s", rows={rows}, key=("id",))

    def read(self, read):
        yield [{{"id": number}} for number in range({rows})]


@hookimpl
def connectors():
    return [{cls}]
'''


def build(folder: Path, name: str, *, version: str = "1.0", rows: int = 3) -> Path:
    """Write the wheel of a plugin with one connector."""
    wheel, info = folder / f"{name}_plugin-{version}-py3-none-any.whl", f"{name}_plugin-{version}.dist-info"
    with ZipFile(wheel, "w") as files:
        files.writestr(f"{name}_plugin/__init__.py", PLUGIN.format(cls=name.title(), name=name, rows=rows))
        files.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: {version}\n")
        files.writestr(f"{info}/entry_points.txt", f"[servicetsunami.v1]\n{name} = {name}_plugin\n")
        files.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        files.writestr(f"{info}/RECORD", "")
    return wheel


def install(wheel: Path, into: Path) -> None:
    """Unpack a wheel, which is how one is installed."""
    with ZipFile(wheel) as files:
        files.extractall(into)


def uninstall(name: str, from_folder: Path) -> None:
    """Remove what was installed of a plugin."""
    for folder in [*from_folder.glob(f"{name}_plugin-*.dist-info"), from_folder / f"{name}_plugin"]:
        shutil.rmtree(folder)


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


class Watched:
    """A client of a server process, which hears when the list of tools changes."""

    def __init__(self) -> None:
        self.client: Client
        self._changed = asyncio.Event()

    async def message(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._changed.set()

    async def follow(self, stream: AsyncIterator[object]) -> None:
        async for _ in stream:
            self._changed.set()

    async def tools_after(self, change: Callable[[], None]) -> set[str]:
        """Return the tools that are listed once the server has told of a change."""
        self._changed.clear()
        change()
        with anyio.fail_after(_PATIENCE_SECONDS):
            await self._changed.wait()
        return {tool.name for tool in (await self.client.list_tools()).tools}

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert isinstance(result.structured_content, dict)
        return result.structured_content


@asynccontextmanager
async def watched(site: Path, era: str, python: str = sys.executable) -> AsyncIterator[Watched]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
    environment = {**inherited, "TSUNAMI_HOME": str(site.parent / "home"), "PYTHONPATH": str(site)}
    server = StdioServerParameters(
        command=python, args=["-m", "servicetsunami.cli", "serve"], env=environment, cwd=site.parent
    )
    watched = Watched()
    async with Client(server, mode=era, message_handler=watched.message) as client:
        watched.client = client
        await client.list_tools()
        if era == "legacy":
            yield watched
            return
        async with client.listen(tools_list_changed=True) as stream:
            following = asyncio.create_task(watched.follow(stream))
            yield watched
            following.cancel()


async def test_a_plugin_serves_as_soon_as_it_is_installed_and_no_longer_than_that(site: Path, era: str) -> None:
    tide = build(site.parent, "tide")
    async with watched(site, era) as served:
        after_install = await served.tools_after(lambda: install(tide, site))
        connected = await served.call("connect_source", connector="tide", name="sea", config={})
        synced = await served.call("sync_to_bronze", connection_id=connected["connection_id"], table_name="tides")
        after_uninstall = await served.tools_after(lambda: uninstall("tide", site))
        refused = await served.call("sync_to_bronze", connection_id=connected["connection_id"], table_name="tides")
        listed = await served.call("list_connections")
        rows = await served.call("query_sql", sql=f"select count(*) from {synced['bronze_table']}")

    assert "connect_tide" in after_install
    assert (synced["status"], synced["rows"]) == ("succeeded", 3)
    assert "connect_tide" not in after_uninstall
    assert refused["error"]["code"] == "connector_not_found"
    assert [one["connection_id"] for one in listed["connections"]] == [connected["connection_id"]]
    assert rows["rows"] == [[3]]


async def test_uninstalling_one_plugin_disables_only_its_own_connections(site: Path, era: str) -> None:
    install(build(site.parent, "tide"), site)
    install(build(site.parent, "moon", rows=2), site)
    async with watched(site, era) as served:
        sea = await served.call("connect_source", connector="tide", name="sea", config={})
        sky = await served.call("connect_source", connector="moon", name="sky", config={})
        await served.tools_after(lambda: uninstall("tide", site))
        refused = await served.call("test_connection", connection_id=sea["connection_id"])
        tested = await served.call("test_connection", connection_id=sky["connection_id"])
        synced = await served.call("sync_to_bronze", connection_id=sky["connection_id"], table_name="moons")

    assert (refused["status"], refused["problem"]["code"]) == ("failed", "connector_not_found")
    assert tested["status"] == "success"
    assert (synced["status"], synced["rows"]) == ("succeeded", 2)


async def test_a_newer_release_takes_over_from_the_one_before(site: Path) -> None:
    install(build(site.parent, "tide"), site)
    newer = build(site.parent, "tide", version="2.0", rows=5)

    def upgrade() -> None:
        uninstall("tide", site)
        install(newer, site)

    async with watched(site, "2026-07-28") as served:
        sea = await served.call("connect_source", connector="tide", name="sea", config={})
        await served.call("sync_to_bronze", connection_id=sea["connection_id"], table_name="tides")
        await served.tools_after(upgrade)
        synced = await served.call("sync_to_bronze", connection_id=sea["connection_id"], table_name="tides")

    assert (synced["status"], synced["rows"]) == ("succeeded", 5)


async def test_every_worker_over_http_serves_what_is_installed(site: Path) -> None:
    tide = build(site.parent, "tide")
    settings = {"PYTHONPATH": str(site), "TSUNAMI_MCP_WORKERS": "2"}
    with serving(site.parent, settings=settings) as served:
        async with Client(served.url, mode="2026-07-28") as client, client.listen(tools_list_changed=True) as stream:
            before = await lists(client)
            install(tide, site)
            with anyio.fail_after(_PATIENCE_SECONDS):
                await anext(stream)
                while not all("connect_tide" in names for names in await lists(client)):
                    await anext(stream)

    assert not any("connect_tide" in names for names in before)


async def lists(client: Client) -> list[set[str]]:
    """List the tools several times at once, so that every worker answers."""
    answers = await asyncio.gather(*(client.list_tools(cache_mode="bypass") for _ in range(8)))
    return [{tool.name for tool in answer.tools} for answer in answers]


async def test_an_editable_install_serves_without_a_restart(site: Path) -> None:
    sources = site.parent / "sources"
    wheel = build(site.parent, "tide")
    environment = site.parent / "environment"
    EnvBuilder(symlinks=True).create(environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    ours = Path(pytest.__file__).parent.parent
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({str(ours)!r})", encoding="utf-8")

    def install_editable() -> None:
        install(wheel, sources)
        (packages / "tide.pth").write_text(str(sources), encoding="utf-8")
        (sources / "tide_plugin-1.0.dist-info").rename(packages / "tide_plugin-1.0.dist-info")

    async with watched(site, "2026-07-28", str(environment / "bin" / "python")) as served:
        tools = await served.tools_after(install_editable)
        connected = await served.call("connect_source", connector="tide", name="sea", config={})
        tested = await served.call("test_connection", connection_id=connected["connection_id"])

    assert "connect_tide" in tools
    assert tested["status"] == "success"
