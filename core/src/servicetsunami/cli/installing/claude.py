"""The command of Claude Code, which looks after its own file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from servicetsunami.sdk import PermanentError

if TYPE_CHECKING:
    from servicetsunami.cli.installing.clients import Machine
    from servicetsunami.sdk import Json

_SECONDS = 60


def adding(name: str, scope: str, entry: Json) -> list[str]:
    """Return the arguments that add a server."""
    head = ["mcp", "add", name, "--scope", scope]
    if "url" in entry:
        return [*head, "--transport", "http", entry["url"]]
    variables = [part for pair in entry.get("env", {}).items() for part in ("--env", "=".join(pair))]
    return [*head, *variables, "--", entry["command"], *entry["args"]]


def removing(name: str, scope: str) -> list[str]:
    """Return the arguments that remove a server."""
    return ["mcp", "remove", name, "--scope", scope]


def run(program: str, arguments: list[str], machine: Machine) -> None:
    """Run the command; raises `PermanentError` if it fails."""
    try:
        code = asyncio.run(_run(program, arguments, machine))
    except (OSError, TimeoutError) as error:
        raise refused(type(error).__name__) from None
    if code != 0:
        raise refused(f"it ended with {code}")


async def _run(program: str, arguments: list[str], machine: Machine) -> int:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=dict(machine.environ),
        cwd=machine.folder,
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
    )
    try:
        return await asyncio.wait_for(process.wait(), _SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


def refused(why: str) -> PermanentError:
    """Return the error for a command that did not do what it was asked for."""
    return PermanentError(
        "the command claude mcp did not change its configuration as asked",
        code="claude_refused",
        why=why,
        fix="run `tsunami install claude-code --print`, and then what it prints, to see what claude says",
    )
