"""The demo's MCP client: it starts `tsunami serve` as Claude would, and calls its tools."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from servicetsunami.cli.demo.telling import Teller
from servicetsunami.operations.models import Result
from servicetsunami.sdk import PermanentError, Problem

if TYPE_CHECKING:
    from mcp import Client

R = TypeVar("R", bound=Result)
TENANT = "demo"


class Caller:
    """Calls tools and tells each call with its answer."""

    def __init__(self, client: Client, teller: Teller) -> None:
        self._client = client
        self._teller = teller

    async def call(self, tool: str, answer: type[R], /, **arguments: Any) -> R:
        """Call a tool, show the call and the answer, and return the answer; raises `PermanentError` if it failed."""
        self._teller.call(tool, arguments)
        result = await self._client.call_tool(tool, arguments)
        if result.is_error:
            raise _failed(tool, result.structured_content)
        parsed = answer.model_validate(result.structured_content)
        problem: Problem | None = getattr(parsed, "problem", None)
        if problem is not None:
            raise _failed(tool, {"error": problem.model_dump()})
        self._teller.answer(parsed)
        return parsed


@asynccontextmanager
async def connected(home: Path, teller: Teller) -> AsyncIterator[Caller]:
    """Start a server that knows nothing but `home`, and yield who can call its tools; the server ends with it."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(
        command=sys.executable, args=["-m", "servicetsunami.cli", "serve"], env=_environment(home), cwd=home
    )
    with (home / "server.log").open("w", encoding="utf-8") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            yield Caller(client, teller)


def _environment(home: Path) -> dict[str, str]:
    # The settings of the person who runs the demo stay out of it.
    ours = {"TSUNAMI_HOME": str(home / "home"), "TSUNAMI_TENANT": TENANT, "TSUNAMI_SINK": "lakehouse"}
    elsewhere = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT") if name in os.environ}
    return {**kept, **elsewhere, **ours}


def _failed(tool: str, content: Any) -> PermanentError:
    error = content.get("error", {}) if isinstance(content, dict) else {}
    return PermanentError(
        str(error.get("message", f"{tool} failed without saying why")),
        code=str(error.get("code", "demo_failed")),
        why=error.get("why"),
        fix=error.get("fix"),
        step=error.get("step"),
    )
