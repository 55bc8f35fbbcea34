"""`install` and `uninstall`: setting this server up in Claude Code, Claude Desktop, Cursor and VS Code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from servicetsunami.cli.options import AsJson
from servicetsunami.cli.session import emit, settings_of

if TYPE_CHECKING:
    from servicetsunami.cli.installing.work import Place

ClientName = Annotated[
    str, typer.Argument(metavar="CLIENT", help="claude-code, claude-desktop, cursor or vscode.", show_default=False)
]
Name = Annotated[str, typer.Option("--name", help="Name of the server in the client.")]
Scope = Annotated[
    str | None,
    typer.Option("--scope", help="user, project or local (Claude Code); by default user.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def install(
    context: typer.Context,
    client: ClientName,
    name: Name = "lakehouse",
    scope: Scope = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Use a server over HTTP there, instead of one on this machine.")
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print what to paste or run, and change nothing.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set this server up in a client.

    Keeps everything else in the client's file, and the old file beside it. No secret is written down: the server
    reads its own from where they are kept.
    """
    from servicetsunami.cli.installing import work
    from servicetsunami.cli.installing.notes import notes_on
    from servicetsunami.cli.show.clients import show_client

    place = _place(client, scope, name)
    loaded = settings_of(context)
    entry = work.entry_for(place, loaded, url)
    result = work.printed(place, entry) if print_only else work.install(place, entry, dry_run=dry_run)
    emit(work.noted(result, *notes_on(result, loaded, url)), show_client, as_json=as_json)


def uninstall(
    client: ClientName,
    name: Name = "lakehouse",
    scope: Scope = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take this server out of a client; the rest of its file stays."""
    from servicetsunami.cli.installing import work
    from servicetsunami.cli.show.clients import show_client

    emit(work.uninstall(_place(client, scope, name), dry_run=dry_run), show_client, as_json=as_json)


def _place(client: str, scope: str | None, name: str) -> Place:
    from servicetsunami.cli.installing.clients import Machine, client_of, scope_of
    from servicetsunami.cli.installing.entry import check_name
    from servicetsunami.cli.installing.work import Place

    found = client_of(client)
    return Place(found, scope_of(found, scope), check_name(name), Machine.here())
