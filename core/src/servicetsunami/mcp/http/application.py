"""The server as an ASGI application: one endpoint for both protocol eras, behind a gate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mcp.server.auth.middleware.bearer_auth import RequireAuthMiddleware
from mcp.server.auth.routes import create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from opentelemetry import trace
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from servicetsunami.mcp.fronting import product_host
from servicetsunami.mcp.host import Host, RequestStateSecurity
from servicetsunami.mcp.http.gate import Gate
from servicetsunami.mcp.http.health import health_routes
from servicetsunami.mcp.http.older import older_routes
from servicetsunami.mcp.http.results import result_routes
from servicetsunami.mcp.http.sessions import Sessions
from servicetsunami.mcp.http.shares import IDLE_SECONDS, MOST_SESSIONS, SessionShares
from servicetsunami.mcp.http.verifying import Verifier, make_checker, verified_caller
from servicetsunami.mcp.secret_page.doors import Beside
from servicetsunami.mcp.secret_page.routes import secret_routes
from servicetsunami.mcp.upload_page import upload_routes
from servicetsunami.operations.caller import SCOPES, Caller
from servicetsunami.runtime.exposure import authenticates, endpoint_of, hosts_of, origins_of

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from servicetsunami.mcp.host import SubscriptionBus
    from servicetsunami.mcp.http.workers import Worker
    from servicetsunami.mcp.product import Who
    from servicetsunami.operations.app import App
    from servicetsunami.runtime import Settings

PATH = "/mcp"
_ANONYMOUS = "This server does not check who calls it and serves this machine only, as tenant '{tenant}'."
_TRACING = "OpenTelemetryMiddleware"
_CALLERS_HEADERS = ("authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name")
_TALKATIVE = ("mcp.server.sse", "sse_starlette.sse")
_STATES = "mcp/request-state/v1"


class HttpServer:
    """What is served over HTTP: `host`, behind authentication, limits and a gate."""

    def __init__(self, app: App, host: Host, worker: Worker | None = None) -> None:
        _keep_messages_out_of_the_log()
        settings, auth = app.settings, _authentication(app.settings)
        self.host = _without_idle_tracing(host)
        allowed = TransportSecuritySettings(
            allowed_hosts=list(hosts_of(settings)), allowed_origins=list(origins_of(settings))
        )
        inner = host.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=settings.mcp_max_request_bytes,
            max_sessions=MOST_SESSIONS,
            session_idle_timeout=IDLE_SECONDS,
            transport_security=allowed,
            auth=auth,
            token_verifier=Verifier(app, make_checker(settings)) if authenticates(settings) else None,
            custom_starlette_routes=[
                *health_routes(app, lambda: self.gate.is_closing),
                *result_routes(app),
                *secret_routes(app, hosts_of(settings), endpoint_of(settings)),
                *upload_routes(app, hosts_of(settings)),
            ],
        )
        _share_sessions(inner)
        # Before the SDK's own, which would name only the scope that every call needs.
        inner.router.routes[:0] = _resource_routes(settings)
        if settings.mcp_allowed_origins:
            inner.add_middleware(CORSMiddleware, **_of_browsers(settings))
        if settings.mcp_transport == "sse":
            inner.router.routes += older_routes(host, allowed, auth, max_request_bytes=settings.mcp_max_request_bytes)
        self.gate = Gate(inner if worker is None else Sessions(inner, worker))

    async def close(self, patience_seconds: float) -> None:
        """Serve nobody new, and wait until those who were let in are answered or time is up."""
        await self.gate.close(self.host.end_streams, patience_seconds)


def _keep_messages_out_of_the_log() -> None:
    """Silence what logs whole messages: at debug, and one that is malformed as an error."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _of_browsers(settings: Settings) -> dict[str, Any]:
    """Return what browsers are told, so that they let pages of the allowed origins call."""
    return {
        "allow_origins": settings.mcp_allowed_origins,
        "allow_methods": ("GET", "POST", "DELETE"),
        "allow_headers": (*_CALLERS_HEADERS, "mcp-session-id", "last-event-id"),
        "expose_headers": ("mcp-session-id", "www-authenticate"),
    }


def _without_idle_tracing(host: Host) -> Host:
    """Take the SDK's tracing out where nobody installed what takes traces: it is a tenth of a short call's time."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        host.middleware = [one for one in host.middleware if type(one).__name__ != _TRACING]
    return host


def _share_sessions(application: Starlette) -> None:
    """Put each caller's share behind authentication, which knows who calls."""
    for route in application.router.routes:
        if isinstance(route, Route) and isinstance(route.endpoint, RequireAuthMiddleware) and route.path == PATH:
            route.endpoint.app = SessionShares(route.endpoint.app)


async def make_host(app: App, bus: SubscriptionBus | None = None) -> Host:
    """Return the server for everybody who can prove who they are, or for this machine's one tenant."""
    # The same in every worker, so that each opens what another sealed.
    states = RequestStateSecurity(keys=[await app.records.derived_key(_STATES)])
    if authenticates(app.settings):
        return product_host(app, verified_caller, Beside(app), local=False, bus=bus, request_state=states)
    told = f"\n{_ANONYMOUS.format(tenant=app.settings.tenant)}"
    return product_host(
        app, _anonymous(app.settings.tenant), Beside(app), local=False, told=told, bus=bus, request_state=states
    )


def _anonymous(tenant: str) -> Who:
    caller = Caller(tenant, local=False, subject="anonymous")
    return lambda _context: caller


def _authentication(settings: Settings) -> AuthSettings | None:
    if not authenticates(settings):
        return None
    told = {"issuer_url": settings.mcp_auth_issuer, "resource_server_url": endpoint_of(settings)}
    return AuthSettings.model_validate({**told, "required_scopes": ["read"], "validate_token_resource": True})


def _resource_routes(settings: Settings) -> list[Route]:
    """Return what tells clients whose tokens are taken and which scopes there are (RFC 9728)."""
    told = _authentication(settings)
    if told is None or told.resource_server_url is None:
        return []
    return create_protected_resource_routes(told.resource_server_url, [told.issuer_url], list(SCOPES))
