"""The route of the page: whoever has its address sees what is asked, and may answer until the connection works."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from servicetsunami.mcp.secret_page.page import HEADERS, Asked, Field, connected, form, void
from servicetsunami.operations import secret_requests
from servicetsunami.sdk import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from servicetsunami.operations.app import App
    from servicetsunami.records import SecretRequest

PATH = "secrets/"
"""Where pages are, beside the server's endpoint."""
_MOST_BYTES = 512 * 1024
_MOST_FIELDS = 100
_PREFIX = "secret."
_FORM = "application/x-www-form-urlencoded"
_BUSY = Problem(
    code="busy", message="what was given before is still being tested", fix="wait a moment and load this page again"
)


def secret_routes(app: App, hosts: Sequence[str]) -> list[Route]:
    """Return the routes of the pages; `hosts` are the values of `Host` that are served, `name:*` for any port."""

    async def answer(request: Request) -> Response:
        if not _is_served(request.headers.get("host", ""), hosts):
            return Response(status_code=421)
        if request.method != "POST":
            return await _shown(app, request.path_params["token"])
        return await _answered(app, request, request.path_params["token"])

    return [Route(f"/{PATH}{{token}}", answer, methods=["GET", "POST"])]


async def _shown(app: App, token: str, *, problem: Problem | None = None, status: int = 200) -> Response:
    request = await secret_requests.opened(app, token)
    if request is None:
        return _html(void(), 404)
    return _html(form(await _asked(app, request, token, problem)), status)


async def _answered(app: App, request: Request, token: str) -> Response:
    given = await _fields(request)
    if await secret_requests.opened(app, token) is None:
        return _html(void(), 404)
    own = await secret_requests.form_token(app, token)
    if _is_foreign(request) or not hmac.compare_digest(given.get("form", "").encode(), own.encode()):
        return _html(void(), 403)
    secrets = {name.removeprefix(_PREFIX): text for name, text in given.items() if name.startswith(_PREFIX)}
    answered = await secret_requests.give(app, token, secrets)
    if answered is None:
        return await _shown(app, token, problem=_BUSY, status=409)
    if answered.status == "done":
        return _html(connected(answered.name, answered.tables))
    return await _shown(app, token, status=422)


async def _asked(app: App, request: SecretRequest, token: str, problem: Problem | None) -> Asked:
    cls = app.plugins.connector(request.connector)
    known = cls.config_type.model_fields
    fields = []
    for name in request.fields:
        about = known[name].description or "" if name in known else ""
        long = "PEM" in about or "JSON" in about
        fields.append(Field(name, about, long=long, required=name in known and known[name].is_required()))
    last = Problem.model_validate(request.problem) if request.problem else None
    references = {name: f"read from {place}" for name, place in request.secret_refs.items()}
    return Asked(
        tenant=request.tenant,
        subject=request.subject,
        connector=cls.title or cls.name,
        name=request.name,
        settings={**request.settings, **references},
        fields=fields,
        code=secret_requests.code_of(token),
        minutes=max(1, -(-int((request.expires_at - datetime.now(UTC)).total_seconds()) // 60)),
        form_token=await secret_requests.form_token(app, token),
        problem=problem or last,
    )


async def _fields(request: Request) -> Mapping[str, str]:
    """Return what a form holds, refused before it is read if it is too long or is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise HTTPException(400) from None
    # Browsers end each line of a text area with two characters.
    return {name: text.replace("\r\n", "\n") for name, text in pairs}


def _is_foreign(request: Request) -> bool:
    """Tell whether a browser says that a form lay on another site. Our policy makes browsers send the origin null."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return True
    origin = request.headers.get("origin", "null")
    return origin != "null" and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


def _is_served(host: str, hosts: Sequence[str]) -> bool:
    name, _, port = host.rpartition(":")
    return host in hosts or (port.isdigit() and f"{name}:*" in hosts)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, HEADERS)
