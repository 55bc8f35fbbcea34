"""Tracing over HTTP: there where somebody takes traces, and no cost where nobody does."""

from __future__ import annotations

import pytest
from opentelemetry import trace

from servicetsunami.mcp.host import InMemorySubscriptionBus
from servicetsunami.mcp.http.application import HttpServer, make_host
from servicetsunami.operations.app import open_app
from servicetsunami.runtime import load_settings

pytestmark = pytest.mark.anyio


async def traced(home: str) -> tuple[bool, bool]:
    """Tell whether calls are traced before and after a host is served over HTTP."""
    async with open_app(load_settings({"home": home})) as app:
        host = await make_host(app, InMemorySubscriptionBus())
        before = len(host.middleware)
        names = [type(one).__name__ for one in HttpServer(app, host).host.middleware]
    return before > len(names), "OpenTelemetryMiddleware" in names


async def test_calls_are_not_traced_where_nobody_takes_traces(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert await traced(str(tmp_path_factory.mktemp("home"))) == (True, False)


async def test_calls_are_traced_where_somebody_takes_traces(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)

    assert await traced(str(tmp_path_factory.mktemp("home"))) == (False, True)
