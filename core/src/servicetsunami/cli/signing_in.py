"""Signing in at a source's own site from a terminal: a page on this machine's loopback, and the wait for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from servicetsunami.sdk import ConfigError, TransientError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.models import Connected
    from servicetsunami.operations.secrets import Wish


async def connect_by_signing_in(app: App, caller: Caller, wish: Wish) -> Connected | None:
    """Connect with what a person gives on a page, or by signing in; None where the connector knows no such way.

    Raises `ConfigError` (`missing_secret`) off a terminal, and `TransientError` (`page_expired`).
    """
    from servicetsunami.mcp.secret_page.doors import OnLoopback
    from servicetsunami.operations.models import Connected
    from servicetsunami.operations.secret_requests import LASTS, ask_for, outcome
    from servicetsunami.operations.secrets import missing_secrets, sign_in_for

    cls = app.plugins.connector(wish.connector)
    way = sign_in_for(cls, wish.config)
    missing = await missing_secrets(app, caller, wish)
    if way is None or way.refresh_field not in missing:
        return None
    _require_terminal(way.refresh_field)
    page = await ask_for(app, caller, wish, missing)
    door = OnLoopback(app, caller)
    async with door.serving():
        url = await door.url(page.token)
        _say(f"Open this page, which shows the code {page.code}, and sign in there:\n\n  {url}\n")
        request = await outcome(app, caller, page.id, LASTS.total_seconds())
    if request is None or request.status != "done":
        raise TransientError(
            "nobody signed in while the page was open, so nothing was connected",
            code="page_expired",
            fix="run the command again",
        )
    told = {"connection_id": request.connection_id, "name": request.name, "connector": request.connector}
    return Connected(**told, status="success", tables=request.tables)


def _require_terminal(field: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"the secret '{field}' is missing and there is no terminal to sign in from",
            code="missing_secret",
            field=field,
            fix=f"run the command in a terminal, or use --secret-env {field}=VARIABLE",
        )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
