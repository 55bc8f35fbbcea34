"""What MCP costs over HTTP: a trivial tool beside a bare Starlette endpoint, and a real tool beside its operation.

    uv run --all-packages --all-extras python benchmarks/mcp_overhead.py [--rounds 9] [--requests 400]

Every arm is served by uvicorn in the same way; each round asks all of them in turn over one connection that stays open:
once with a socket that sends ready-made bytes, whose own time does not soften the ratios, and once with an HTTP client
as programs use it. Callers of the tools prove who they are with a token; the bare endpoints ask for none.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

    from servicetsunami.mcp.host import Host, SubscriptionBus
    from servicetsunami.operations.app import App

_SECRET = "a-shared-secret-of-at-least-32-bytes"
_ISSUER, _AUDIENCE = "https://idp.example.com", "https://mcp.example.com/mcp"
_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def main() -> None:
    """Print one JSON document with the p50 of every arm and the ratios; as a child, serve one arm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--serve", choices=["bare", "mcp"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        sys.exit(_serve_bare() if chosen.serve == "bare" else _serve_mcp())
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_compare(Path(folder), chosen.rounds, chosen.requests), indent=2))


def _compare(folder: Path, rounds: int, requests: int) -> dict[str, Any]:
    with _served("bare", folder) as bare, _served("mcp", folder) as mcp:
        asked = {
            "bare": (bare, _bare_request("/trivial")),
            "trivial 2026-07-28": (mcp, _modern_request("trivial")),
            "trivial 2025-11-25": (mcp, _legacy_request(mcp, "trivial")),
            "bare operation": (bare, _bare_request("/connections")),
            "list_connections 2026-07-28": (mcp, _modern_request("list_connections")),
            "list_connections 2025-11-25": (mcp, _legacy_request(mcp, "list_connections")),
        }
        return {
            "socket": _compare_arms({name: Asker(*arm) for name, arm in asked.items()}, rounds, requests),
            "client": _compare_arms({name: ClientAsker(*arm) for name, arm in asked.items()}, rounds, requests),
        }


def _compare_arms(arms: Mapping[str, Asker], rounds: int, requests: int) -> dict[str, Any]:
    measured = _measure(arms, rounds, requests)
    floors = {name: "bare" if name.startswith("trivial") else "bare operation" for name in arms if " 20" in name}
    return {
        "p50_microseconds": {name: round(statistics.median(values)) for name, values in measured.items()},
        "ratio": {name: _ratio(measured[name], measured[floor]) for name, floor in floors.items()},
    }


def _measure(arms: Mapping[str, Asker], rounds: int, requests: int) -> dict[str, list[float]]:
    for arm in arms.values():
        arm.p50(requests)
    found: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            found[name].append(arm.p50(requests))
    return found


def _ratio(values: list[float], floor: list[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(values, floor, strict=True)), 2)


@dataclass
class Asker:
    """Sends one request again and again over one connection."""

    port: int
    request: bytes

    def p50(self, requests: int) -> float:
        """Return the median time of an answer in microseconds."""
        with self.connected() as connection:
            return statistics.median(self._timed(connection) for _ in range(requests)) * 1e6

    def connected(self) -> socket.socket:
        """Open a connection to ask over."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _timed(self, connection: socket.socket) -> float:
        begun = time.perf_counter()
        self.ask(connection)
        return time.perf_counter() - begun

    def ask(self, connection: socket.socket) -> bytes:
        """Return one whole answer."""
        connection.sendall(self.request)
        answer = b""
        while not _is_whole(answer):
            more = connection.recv(65_536)
            answer += more
            if not more:
                break
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(answer.decode() or "no answer")
        return answer


class ClientAsker(Asker):
    """Asks the same with an HTTP client."""

    def p50(self, requests: int) -> float:
        """Return the median time of an answer in microseconds."""
        import httpx2

        head, _, body = self.request.partition(b"\r\n\r\n")
        start, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        url = f"http://127.0.0.1:{self.port}{start.split()[1]}"
        with httpx2.Client(trust_env=False) as client:
            return statistics.median(self._took(client, url, body, headers) for _ in range(requests)) * 1e6

    def _took(self, client: httpx2.Client, url: str, body: bytes, headers: dict[str, str]) -> float:
        begun = time.perf_counter()
        answer = client.post(url, content=body, headers=headers)
        took = time.perf_counter() - begun
        if answer.status_code != 200:
            raise SystemExit(answer.text)
        return took


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return body.endswith(b"0\r\n\r\n")


def _http(path: str, body: dict[str, Any], **headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        f"content-length: {len(content)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _bare_request(path: str) -> bytes:
    return _http(path, {"arguments": {}})


def _modern_request(tool: str) -> bytes:
    params = {"name": tool, "arguments": {}, "_meta": _ENVELOPE}
    return _http(
        "/mcp",
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        authorization=f"Bearer {_token()}",
        mcp_protocol_version="2026-07-28",
        mcp_method="tools/call",
        mcp_name=tool,
    )


def _legacy_request(port: int, tool: str) -> bytes:
    started = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}
    known = {"authorization": f"Bearer {_token()}", "mcp_protocol_version": "2025-11-25"}
    opening = _http("/mcp", {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": started}, **known)
    asker = Asker(port, opening)
    with asker.connected() as connection:
        head = asker.ask(connection).decode().lower()
    session = next(line for line in head.split("\r\n") if line.startswith("mcp-session-id:")).partition(": ")[2]
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    return _http("/mcp", call, **known, mcp_session_id=session)


def _token() -> str:
    import jwt

    now = int(time.time())
    said = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "ada", "tenant": "default", "scope": "read", "iat": now}
    return jwt.encode({**said, "exp": now + 3600}, _SECRET, "HS256")


@contextmanager
def _served(arm: str, folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "TSUNAMI_HOME": str(folder / arm),
        "MCP_TRANSPORT": "streamable-http",
        "MCP_PORT": str(port),
        "TSUNAMI_MCP_AUTH_ISSUER": _ISSUER,
        "TSUNAMI_MCP_AUTH_AUDIENCE": _AUDIENCE,
        "TSUNAMI_MCP_AUTH_KEY": _SECRET,
        "TSUNAMI_MCP_AUTH_ALGORITHMS": "HS256",
    }
    process = subprocess.Popen([sys.executable, __file__, "--serve", arm], env=environment)
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _wait(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server does not start")


def _serve_mcp() -> int:
    from servicetsunami.mcp.http.serving import serve
    from servicetsunami.runtime import load_settings

    return serve(load_settings(), _make_host)


async def _make_host(app: App, bus: SubscriptionBus) -> Host:
    """Return the product with one more tool, which does nothing."""
    from servicetsunami.mcp.arguments import Arguments
    from servicetsunami.mcp.catalog import catalog_of
    from servicetsunami.mcp.host import Host
    from servicetsunami.mcp.http.verifying import verified_caller
    from servicetsunami.mcp.product import Product
    from servicetsunami.mcp.spec import Catalog, ToolCall, ToolSpec
    from servicetsunami.operations.models import ConnectionList

    async def nothing(_call: ToolCall, _arguments: Arguments) -> ConnectionList:
        return ConnectionList(connections=())

    trivial = ToolSpec(
        "trivial", "Do nothing", "Do nothing.", Arguments, ConnectionList, nothing, lambda _: "nothing", scope="read"
    )
    catalog = Catalog.of(*catalog_of(app).listed, trivial)
    return Host(Product(app, catalog, verified_caller), version="1", instructions="", bus=bus)


def _serve_bare() -> int:
    import asyncio

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from servicetsunami.mcp.http.serving import listen
    from servicetsunami.operations.app import local_caller, open_app
    from servicetsunami.operations.connections import list_connections
    from servicetsunami.runtime import load_settings

    loaded = load_settings()

    async def trivial(request: Request) -> JSONResponse:
        await request.json()
        return JSONResponse({"connections": []})

    async def serve() -> None:
        async with open_app(loaded) as app:

            async def connections(request: Request) -> JSONResponse:
                await request.json()
                found = await list_connections(app, local_caller(app))
                return JSONResponse(found.model_dump(mode="json", exclude_none=True))

            routes = [_post("/trivial", trivial), _post("/connections", connections)]
            config = uvicorn.Config(
                Starlette(routes=routes), http="h11", ws="none", log_config=None, access_log=False, server_header=False
            )
            await uvicorn.Server(config).serve([listen(loaded.settings)])

    def _post(path: str, endpoint: Callable[[Request], Any]) -> Route:
        return Route(path, endpoint, methods=["POST"])

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    main()
