"""`serve` and `demo`: the MCP server, and the whole story told with it."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from signal import SIGINT, SIGTERM
from signal import signal as on_signal
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.session import log_to_stderr, settings_of

if TYPE_CHECKING:
    from servicetsunami.runtime import LoadedSettings


def serve(
    context: typer.Context,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP, whatever MCP_TRANSPORT says; see --port.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="Port to serve HTTP on, instead of MCP_PORT.")] = None,
    conformance: Annotated[
        bool,
        typer.Option("--conformance", help="Serve fixtures for the official MCP conformance suite over HTTP instead."),
    ] = False,
) -> None:
    """Serve MCP clients such as Claude: over stdio, or over HTTP where MCP_TRANSPORT says so."""
    if conformance:
        _serve_conformance(port or 0)
        return
    loaded = settings_of(context, **_chosen(http=http, port=port))
    if loaded.settings.mcp_transport == "stdio":
        _serve_stdio(loaded)
    else:
        _serve_http(loaded)


def _chosen(*, http: bool, port: int | None) -> dict[str, str]:
    transport = {"mcp_transport": "streamable-http"} if http else {}
    return transport if port is None else {**transport, "mcp_port": str(port)}


def _serve_stdio(loaded: LoadedSettings) -> None:
    from servicetsunami.mcp.stdio import serve_stdio
    from servicetsunami.operations.app import open_app

    if sys.stdin.isatty():
        typer.echo("tsunami serve speaks MCP with a program, not with a person; end it with Ctrl-C", err=True)

    async def run() -> None:
        async with open_app(loaded) as app:
            log_to_stderr(app)
            await serve_stdio(app)

    asyncio.run(run())


def _serve_http(loaded: LoadedSettings) -> None:
    from servicetsunami.mcp.http.serving import serve as serve_http
    from servicetsunami.runtime.exposure import endpoint_of

    if sys.stderr.isatty():
        typer.echo(f"serving MCP at {endpoint_of(loaded.settings)}; end it with Ctrl-C", err=True)
    raise typer.Exit(serve_http(loaded))


def _serve_conformance(port: int) -> None:
    from servicetsunami.mcp.conformance.serving import listen_on_loopback, serve_conformance

    listening = listen_on_loopback(port)
    typer.echo(f"serving conformance fixtures at http://{':'.join(map(str, listening.getsockname()))}/mcp", err=True)
    asyncio.run(serve_conformance(listening))


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


def lookalike(
    port: Annotated[int, typer.Option(help="Port to serve on; by default one that is free.")] = 0,
) -> None:
    """Serve a stand-in for a Databricks workspace on this machine, to try things out without an account.

    Prints what a client needs to know as lines for the environment. Nothing stays behind.
    """
    try:
        module = import_module("servicetsunami_lookalike")
    except ModuleNotFoundError:
        from servicetsunami.sdk import ConfigError

        raise ConfigError(
            "the look-alike of a Databricks workspace is not installed",
            code="lookalike_missing",
            fix="pip install servicetsunami-lookalike",
        ) from None
    with module.Lookalike(port) as server:
        for name, value in server.environment().items():
            typer.echo(f"export {name}={value}")
        typer.echo("serving until Ctrl-C", err=True)
        ended = Event()
        for signal in (SIGINT, SIGTERM):
            on_signal(signal, lambda *_: ended.set())
        ended.wait()


_SECRET_WORDS = ("key", "token", "password", "client_secret", "client-secret", "sink_options", "sink-options")
"""What is in the name of a setting that holds a secret, or may."""


def open_settings(given: list[tuple[str, str]]) -> dict[str, str]:
    """Return settings given as options; raises `ConfigError` for a secret, which others could read in the process list.

    A name that is no setting is left for the settings themselves to refuse.
    """
    secret = next((name for name, _ in given if any(word in name for word in _SECRET_WORDS)), None)
    if secret is None:
        return {name.replace("-", "_"): value for name, value in given}
    from servicetsunami.sdk import ConfigError

    raise ConfigError(
        f"the setting '{secret}' holds a secret, so it is not taken from the command line, where others can read it",
        code="secret_on_command_line",
        field=secret,
        fix="set it in the environment or in a file that only you can read",
    )
