"""A server over HTTP as a process of its own, and clients that prove who they are."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from servicetsunami.records import open_records, open_vault

ISSUER = "https://idp.example.com"
AUDIENCE = "https://mcp.example.com/mcp"
SECRET = "a-shared-secret-of-at-least-32-bytes"
AUTHENTICATED = {
    "TSUNAMI_MCP_AUTH_ISSUER": ISSUER,
    "TSUNAMI_MCP_AUTH_AUDIENCE": AUDIENCE,
    "TSUNAMI_MCP_AUTH_KEY": SECRET,
    "TSUNAMI_MCP_AUTH_ALGORITHMS": "HS256",
}
SERVE = ("-m", "servicetsunami.cli", "serve")
STAGE = (str(Path(__file__).with_name("http_stage.py")),)
EVERYTHING = "read sync secrets:write admin"
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


def token(tenant: str = "acme", *, scope: str = EVERYTHING, **changes: Any) -> str:
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": now,
        "exp": now + 600,
        "tenant": tenant,
        "scope": scope,
    }
    return jwt.encode({**said, **changes}, SECRET, "HS256")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    log: Path

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8")


async def make_tenants(home: Path, *tenants: str) -> None:
    """Create tenants before a server starts, each with a connection."""
    records = await open_records(f"sqlite:///{home / 'records.db'}", open_vault(home, master_key=None))
    for tenant in tenants:
        await records.create_tenant(tenant)
        await records.create_connection(
            tenant, name=f"shop_of_{tenant}", connector="postgres", settings={}, secrets={}, streams={}
        )
    await records.close()


@contextmanager
def serving(
    folder: Path, *tenants: str, settings: Mapping[str, str] | None = None, command: Sequence[str] = SERVE
) -> Iterator[Served]:
    """Serve from a home in `folder` until the block ends; the tenants exist."""
    home, log, port = folder / "home", folder / "server.log", free_port()
    home.mkdir(parents=True, exist_ok=True)
    if tenants:
        asyncio.run(make_tenants(home, *tenants))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
    environment = {
        **inherited,
        "TSUNAMI_HOME": str(home),
        "MCP_TRANSPORT": "streamable-http",
        "MCP_PORT": str(port),
        "TSUNAMI_LOG_LEVEL": "info",
        **(settings or {}),
    }
    with log.open("wb") as target:
        process = subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=folder, stdout=target, stderr=target
        )
        served = Served(process, port, home, log)
        try:
            _wait_until_ready(served)
            yield served
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and served.process.poll() is None:
        with suppress(httpx2.HTTPError):
            if httpx2.get(f"{served.origin}/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(served.logged())


@asynccontextmanager
async def client_of(url: str, bearer: str | None, era: str = "2026-07-28", **options: Any) -> AsyncIterator[Client]:
    """A client of the SDK that sends a token."""
    headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, **options) as client,
    ):
        yield client


def post(served: Served, body: Any = None, *, path: str = "/mcp", **headers: str) -> httpx2.Response:
    """Send one request of the newer era, `tools/list` if no body is given."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(
        f"{served.origin}{path}",
        content=body,
        json=None if body is not None else request,
        headers={
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/list",
            **named,
        },
        trust_env=False,
    )
