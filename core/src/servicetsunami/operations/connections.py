"""Connections: make, test and list."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from servicetsunami.operations.events import Event
from servicetsunami.operations.models import Connected, ConnectionList, ConnectionStatus, TestResult
from servicetsunami.operations.opened import with_source
from servicetsunami.operations.paging import viewed_page
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.secrets import Secrets, Wish, find_connection, gather_secrets
from servicetsunami.operations.stream_settings import check_streams, parse_streams
from servicetsunami.operations.views import connection_view, run_view
from servicetsunami.records import Connection
from servicetsunami.sdk import Json, Problem, Source, TsunamiError, secret_fields

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_LATEST_RUNS = 10
PASSED_THROUGH_NOTICE = (
    "The secret passed through this conversation. It is stored encrypted and never given back; to keep secrets out of "
    "conversations, connect with `tsunami connect` in a terminal instead."
)


@changing("nothing was connected")
async def connect_source(
    app: App,
    caller: Caller,
    *,
    connector: str,
    name: str,
    config: Mapping[str, Any],
    streams: Json | None = None,
    secret_refs: Mapping[str, str] | None = None,
) -> Connected:
    """Store a connection, encrypted, and test it.

    The connection is stored even if its test fails, so that a person can correct one setting: connecting again under
    the same name replaces it. Secrets that are not given anew are kept, unless the settings lead elsewhere. Raises
    `ConfigError` for settings that are not valid, and what `gather_secrets` raises.
    """
    cls = app.plugins.connector(connector)
    wish = Wish(connector, name, config, parse_streams(streams or {}), secret_refs or {})
    secrets = await gather_secrets(app, caller, cls, wish)
    app.new_source(cls, {**config, **secrets.values}, caller.tenant, threading.Event()).close()
    connection = await _store(app, caller, wish, secrets)
    app.events.tell(Event("connection", caller.tenant, connection.id, listed=True))
    test = await test_connection(app, caller, connection.id)
    return Connected(
        connection_id=connection.id,
        name=connection.name,
        connector=connector,
        status=test.status,
        problem=test.problem,
        tables=test.tables,
    )


async def test_connection(app: App, caller: Caller, connection_id: str) -> TestResult:
    """Test a connection step by step and keep the outcome; a failed test is a result, not an error."""
    connection = await app.records.connection(caller.tenant, connection_id)
    began = time.perf_counter()
    tables, problem = None, None
    try:
        tables = await with_source(app, connection, partial(_check, connection.streams))
    except TsunamiError as error:
        problem = error.problem()
    if not app.settings.read_only:
        await app.records.record_test(
            caller.tenant, connection.id, problem.model_dump(mode="json") if problem is not None else None
        )
        app.events.tell(Event("connection", caller.tenant, connection.id))
    return TestResult(
        connection_id=connection.id,
        status="failed" if problem else "success",
        problem=problem,
        tables=tables,
        elapsed_seconds=round(time.perf_counter() - began, 3),
    )


async def list_connections(
    app: App, caller: Caller, *, cursor: str | None = None, limit: int | None = None
) -> ConnectionList:
    """List the tenant's connections by name: all of them, or with `limit` a page at a time."""
    found = await app.records.connections(caller.tenant)
    view = partial(connection_view, app)
    if limit is None:
        return ConnectionList(connections=tuple(map(view, found)))
    shown, next_cursor = viewed_page(found, cursor, limit, view)
    return ConnectionList(connections=shown, truncated=next_cursor is not None, next_cursor=next_cursor)


async def connection_status(app: App, caller: Caller, connection_id: str) -> ConnectionStatus:
    """Show a connection, what its last test found, and its latest runs."""
    connection = await app.records.connection(caller.tenant, connection_id)
    runs = await app.records.runs(caller.tenant, connection_id=connection.id, limit=_LATEST_RUNS)
    catalog = f"tenant_{caller.tenant}"
    return ConnectionStatus(
        connection=connection_view(app, connection),
        problem=Problem.model_validate(connection.test_problem) if connection.test_problem else None,
        runs=tuple(run_view(run, catalog) for run in map(app.runs.live, runs)),
    )


def _check(streams: Json, source: Source[Any]) -> int:
    source.check()
    return check_streams(streams, source.streams())


async def _store(app: App, caller: Caller, wish: Wish, secrets: Secrets) -> Connection:
    hidden = secret_fields(app.plugins.connector(wish.connector).config_type)
    settings = {name: value for name, value in wish.config.items() if name not in hidden and value is not None}
    kept: dict[str, Any] = {"settings": settings, "secrets": secrets.stored, "secret_refs": secrets.refs}
    existing = await find_connection(app, caller, wish)
    if existing is not None:
        streams = wish.streams or existing.streams
        return await app.records.replace_connection(caller.tenant, existing.id, streams=streams, **kept)
    return await app.records.create_connection(
        caller.tenant, name=wish.name, connector=wish.connector, streams=wish.streams or {}, **kept
    )
