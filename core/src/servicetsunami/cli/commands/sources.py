"""Commands about connections: connect, test, list, delete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.exits import Exit
from servicetsunami.cli.options import AsJson, Connection
from servicetsunami.cli.session import emit, perform

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.models import Connected

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting; repeat it. NAME=@PATH takes a file's text."),
]
SecretEnv = Annotated[
    list[str] | None,
    typer.Option("--secret-env", metavar="NAME=VARIABLE", help="A secret that an environment variable holds."),
]
SecretStdin = Annotated[
    str | None, typer.Option("--secret-stdin", metavar="NAME", help="A secret to read from standard input.")
]
SecretRef = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME=REFERENCE",
        help="Where a secret lies that is not to be stored: env:NAME, file:/PATH or keyring:SERVICE/NAME.",
    ),
]
StreamSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--stream",
        metavar="TABLE:NAME=VALUE",
        help="A setting of one source table, such as cursor=updated_at or exclude=notes; may be repeated.",
    ),
]


def connect(  # noqa: PLR0913, PLR0917 - each option of a command is a parameter
    context: typer.Context,
    connector: Annotated[str, typer.Argument(help="Which connector; `tsunami plugins` lists them.")],
    name: Annotated[str, typer.Option("--name", help="A name for the connection, of your choice.")],
    settings: Settings = None,
    secret_env: SecretEnv = None,
    secret_stdin: SecretStdin = None,
    secret: SecretRef = None,
    stream: StreamSettings = None,
    as_json: AsJson = False,
) -> None:
    """Connect a source and test it.

    Its settings are stored, its secrets encrypted. Secrets are asked for without echo; off a terminal they come from
    --secret-env or --secret-stdin, and are never taken from --set. With --secret they are not stored, but read where
    they lie each time. Connecting again under the same name replaces the settings.
    """
    from servicetsunami.cli.connecting import Given, gather
    from servicetsunami.cli.show.sources import show_connected
    from servicetsunami.cli.signing_in import connect_by_signing_in
    from servicetsunami.operations.connections import connect_source
    from servicetsunami.operations.secrets import Wish

    given = Given.parse(
        settings=settings, secret_env=secret_env, secret_stdin=secret_stdin, secret=secret, stream=stream
    )

    async def work(app: App, caller: Caller) -> Connected:
        config = gather(app.plugins.connector(connector), given)
        wish = Wish(connector, name, config, given.streams, given.secret_refs)
        return await connect_by_signing_in(app, caller, wish) or await connect_source(app, caller, **vars(wish))

    result = perform(context, work)
    emit(result, show_connected, as_json=as_json)
    _end(result.status)


def try_out(context: typer.Context, connection: Connection, as_json: AsJson = False) -> None:
    """Test a connection step by step."""
    from servicetsunami.cli.show.sources import show_tested
    from servicetsunami.operations.connections import test_connection

    result = perform(context, lambda app, caller: test_connection(app, caller, connection))
    emit(result, show_tested, as_json=as_json)
    _end(result.status)


def connections(context: typer.Context, as_json: AsJson = False) -> None:
    """List the connections, or delete one."""
    if context.invoked_subcommand is not None:
        return
    from servicetsunami.cli.show.sources import show_connections
    from servicetsunami.operations.connections import list_connections

    emit(perform(context, list_connections), show_connections, as_json=as_json)


def delete(
    context: typer.Context,
    connection: Connection,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a connection and its secrets; the tables it filled stay."""
    from servicetsunami.cli.show.sources import show_deleted
    from servicetsunami.operations.deleting import delete_connection

    if not yes:
        _confirm(connection)
    result = perform(context, lambda app, caller: delete_connection(app, caller, connection))
    emit(result, show_deleted, as_json=as_json)


def _end(status: str) -> None:
    if status == "failed":
        raise typer.Exit(Exit.CONNECTION)


def _confirm(connection: str) -> None:
    if sys.stdin.isatty():
        typer.confirm(f"Delete the connection '{connection}' and its secrets?", abort=True, err=True)
        return
    from servicetsunami.sdk import ConfigError

    raise ConfigError(
        "there is no terminal to ask whether the connection may be deleted, so it was not",
        code="confirmation_needed",
        fix="add --yes",
    )
