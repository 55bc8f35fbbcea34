"""A sync that outlives the client that began it: the client is killed in the middle, another one watches the end.

    uv run --all-packages --all-extras python benchmarks/dropped_client.py [--rows 6000000]

In each protocol era: one client process calls `sync_to_bronze` over HTTP and is ended by SIGKILL once it has seen
progress; a second client reads the run's resource while it goes on, waits for it with `get_run`, and counts the rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.types import TextResourceContents
from ten_million import fill

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres

_TSUNAMI = str(Path(sys.executable).with_name("tsunami"))
_ERAS = ("legacy", "2026-07-28")


def main() -> None:
    """Print one JSON document with what became of the run in each era."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--begin", nargs=2, metavar=("URL", "ERA"), help="Be the client that is killed.")
    wanted = parser.parse_args()
    if wanted.begin:
        asyncio.run(_begin(*wanted.begin))
        return
    with throwaway_postgres(settings={"shared_buffers": "256MB", "max_wal_size": "4GB"}) as server:
        asyncio.run(fill(server, wanted.rows))
        print(json.dumps({era: _dropped(server, wanted.rows, era) for era in _ERAS}, indent=2))


async def _begin(url: str, era: str) -> None:
    """Begin a sync, say its id and how far it is once some of it is read, and wait for it."""

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        print(int(progress), flush=True)

    async with Client(url, mode=era) as client:
        (connection,) = (await client.call_tool("list_connections", {})).structured_content["connections"]
        arguments = {"connection_id": connection["connection_id"], "table_name": "narrow", "wait_seconds": 300}
        await client.call_tool("sync_to_bronze", arguments, progress_callback=on_progress)


def _dropped(server: ThrowawayServer, rows: int, era: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home, _serving(home, server) as url:
        seen = _killed_client(url, era)
        found = asyncio.run(_watched(url, era))
    if found["rows_in_table"] != rows or found["status"] != "succeeded":
        raise SystemExit(f"the run did not complete: {found}")
    return {"rows": rows, "rows_read_when_its_client_was_killed": seen, **found}


@contextmanager
def _serving(home: str, server: ThrowawayServer) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "TSUNAMI_HOME": home, "BENCHMARK_PASSWORD": server.password}
    environ |= {"MCP_TRANSPORT": "streamable-http", "MCP_PORT": str(port), "NO_PROXY": "127.0.0.1"}
    place = {"host": server.host, "port": server.port, "database": server.database, "user": server.user}
    settings = [part for name, value in place.items() for part in ("--set", f"{name}={value}")]
    connect = ["connect", "postgres", "--name", "bench", "--secret-env", "password=BENCHMARK_PASSWORD", *settings]
    subprocess.run([_TSUNAMI, *connect], env=environ, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen([_TSUNAMI, "serve"], env=environ) as process:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/ready")
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def _wait_until_ready(url: str) -> None:
    for _ in range(600):
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def _killed_client(url: str, era: str) -> int:
    """Start the client that begins the sync, and kill it once it has seen progress; returns how far that was."""
    command = [sys.executable, __file__, "--begin", url, era]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        seen = int(client.stdout.readline())
        client.send_signal(signal.SIGKILL)
    return seen


async def _watched(url: str, era: str) -> dict[str, Any]:
    """Be a new client: find the run among the resources, read how far it is, and wait for its end."""
    progress: list[int] = []
    async with Client(url, mode=era) as client:
        listed = (await client.list_resources()).resources
        (uri,) = [resource.uri for resource in listed if resource.uri.startswith("run://")]
        while True:
            (content,) = (await client.read_resource(uri)).contents
            assert isinstance(content, TextResourceContents)
            run = json.loads(content.text)
            progress.append(run["rows_read"])
            if run["status"] not in ("queued", "running"):
                break
            await client.call_tool("get_run", {"run_id": run["run_id"], "wait_seconds": 1})
        counted = await client.call_tool("query_sql", {"sql": "select count(*) as n from bronze.narrow"})
    return {
        "status": run["status"],
        "progress_read_by_the_new_client": progress,
        "seconds": run["elapsed_seconds"],
        "rows_in_table": counted.structured_content["result"],
    }


if __name__ == "__main__":
    main()
