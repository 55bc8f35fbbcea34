"""`serve` and `demo`: the MCP server, and the whole story told with it."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from servicetsunami.cli.session import log_to_stderr, settings_of


def serve(context: typer.Context) -> None:
    """Serve an MCP client such as Claude, over stdio."""
    from servicetsunami.mcp.stdio import serve_stdio
    from servicetsunami.operations.app import open_app

    if sys.stdin.isatty():
        typer.echo("tsunami serve speaks MCP with a program, not with a person; end it with Ctrl-C", err=True)

    async def run() -> None:
        async with open_app(settings_of(context)) as app:
            log_to_stderr(app)
            await serve_stdio(app)

    asyncio.run(run())


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's lakehouse, to look around in it.")] = False,
    postgres_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="TSUNAMI_DEMO_POSTGRES_URL",
            help="Use this PostgreSQL, in a database of its own, instead of starting one.",
        ),
    ] = None,
) -> None:
    """See it work: the whole story, offline.

    Starts a throw-away PostgreSQL with a small shop in it, connects and syncs it through a real MCP client, asks
    questions, changes rows at the source, and syncs and asks again. Nothing stays behind.
    """
    from servicetsunami.cli.demo import run_demo

    run_demo(keep=keep, postgres_url=postgres_url)


def open_settings(given: list[tuple[str, str]]) -> dict[str, str]:
    """Return settings given as options; raises `ConfigError` for a secret, which others could read in the process list.

    A name that is no setting is left for the settings themselves to refuse.
    """
    secret = next((name for name, _ in given if any(word in name for word in ("key", "token", "password"))), None)
    if secret is None:
        return {name.replace("-", "_"): value for name, value in given}
    from servicetsunami.sdk import ConfigError

    raise ConfigError(
        f"the setting '{secret}' holds a secret, so it is not taken from the command line, where others can read it",
        code="secret_on_command_line",
        field=secret,
        fix="set it in the environment or in a file that only you can read",
    )
