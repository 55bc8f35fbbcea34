"""A task over HTTP: its client is gone, and another worker answers for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from zipfile import ZipFile

import pytest
from http_lab import serving
from task_client import ask, begin, client_of, settled

pytestmark = pytest.mark.anyio
SLOW = """
from pathlib import Path

from servicetsunami.sdk import Config, Source, Stream, hookimpl


class SlowConfig(Config):
    gate: str


class Slow(Source[SlowConfig]):
    name = "slow"

    def streams(self):
        yield Stream("drops", rows=2, key=("id",))

    def read(self, read):
        yield [{"id": 1}]
        while not Path(self.config.gate).exists():
            self.ctx.sleep(0.02)
        yield [{"id": 2}]


@hookimpl
def connectors():
    return [Slow]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a plugin that reads until a file is there."""
    folder, info = tmp_path / "site", "slow_plugin-1.0.dist-info"
    folder.mkdir()
    with ZipFile(tmp_path / "slow.whl", "w") as files:
        files.writestr("slow_plugin.py", SLOW)
        files.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: slow-plugin\nVersion: 1.0\n")
        files.writestr(f"{info}/entry_points.txt", "[servicetsunami.v1]\nslow = slow_plugin\n")
    with ZipFile(tmp_path / "slow.whl") as files:
        files.extractall(folder)
    return folder


async def test_a_task_is_answered_for_by_every_worker_after_its_client_has_gone(site: Path, tmp_path: Path) -> None:
    gate, settings = tmp_path / "gate", {"PYTHONPATH": str(site), "TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path, settings=settings) as served:
        async with client_of(served.url) as client:
            config = {"gate": str(gate)}
            connected = await client.call_tool("connect_source", {"connector": "slow", "name": "tap", "config": config})
            connection_id = connected.structured_content["connection_id"]
            task_id = await begin(client, "sync_to_bronze", connection_id=connection_id, table_name="drops")
        working = await asyncio.gather(*(status_of(served.url, task_id) for _ in range(6)))
        gate.touch()
        async with client_of(served.url) as another:
            told = await settled(another, task_id)

    assert set(working) == {"working"}
    assert told.result is not None
    assert told.result["structuredContent"]["status"] == "succeeded"
    assert told.result["structuredContent"]["rows"] == 2


async def status_of(url: str, task_id: str) -> str:
    async with client_of(url) as client:
        return (await ask(client, "tasks/get", task_id)).status
