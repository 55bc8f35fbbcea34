"""The route of the page: whoever has its address sees what is asked, and may answer until the connection works."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from servicetsunami.mcp.secret_page.page import HEADERS, Asked, Field, connected, form, leaving, not_signed_in, void
from servicetsunami.operations import secret_requests, signing_in
from servicetsunami.sdk import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from servicetsunami.operations.app import App
    from servicetsunami.records import SecretRequest

PATH = "secrets/"
"""Where pages are, beside the server's endpoint."""
SIGNED_IN = "signed-in"
"""Where people come back to who signed in elsewhere; what a provider has to know as the redirect URI."""
_COOKIE = "tsunami-sign-in"
_COOKIE_SECONDS = 600
_MOST_BYTES = 512 * 1024
_MOST_FIELDS = 100
_PREFIX = "secret."
_FORM = "application/x-www-form-urlencoded"
_NO_SIGN_IN = Problem(
    code="no_sign_in", message="there is no way to sign in with what was given", fix="give the token itself"
)
_BUSY = Problem(
    code="busy", message="what was given before is still being tested", fix="wait a moment and load this page again"
)


def secret_routes(app: App, hosts: Sequence[str], endpoint: str = "") -> list[Route]:
    """Return the routes of the pages; `hosts` are the values of `Host` that are served, `name:*` for any port.

    `endpoint` is the address they are beside, as a browser sees it; where it is empty, on this machine's loopback.
    """

    async def answer(request: Request) -> Response:
        if not is_served(request.headers.get("host", ""), hosts):
            return Response(status_code=421)
        if request.method != "POST":
            return await _shown(app, request.path_params["token"])
        return await _answered(app, request, request.path_params["token"], back_to(request))

    async def come_back(request: Request) -> Response:
        if not is_served(request.headers.get("host", ""), hosts):
            return Response(status_code=421)
        return await _came_back(app, request, back_to(request))

    def back_to(request: Request) -> str:
        return urljoin(endpoint or f"http://{request.headers['host']}/", SIGNED_IN)

    return [
        Route(f"/{PATH}{{token}}", answer, methods=["GET", "POST"]),
        Route(f"/{SIGNED_IN}", come_back, methods=["GET"]),
    ]


async def _shown(app: App, token: str, *, problem: Problem | None = None, status: int = 200) -> Response:
    request = await secret_requests.opened(app, token)
    if request is None:
        return _html(void(), 404)
    return _html(form(await _asked(app, request, token, problem)), status)


async def _answered(app: App, request: Request, token: str, back_to: str) -> Response:
    given = await _fields(request)
    if await secret_requests.opened(app, token) is None:
        return _html(void(), 404)
    own = await secret_requests.form_token(app, token)
    if is_foreign(request) or not hmac.compare_digest(given.get("form", "").encode(), own.encode()):
        return _html(void(), 403)
    secrets = {name.removeprefix(_PREFIX): text for name, text in given.items() if name.startswith(_PREFIX)}
    if given.get("act") == "sign-in":
        return await _departed(app, token, secrets, back_to)
    answered = await secret_requests.give(app, token, secrets)
    if answered is None:
        return await _shown(app, token, problem=_BUSY, status=409)
    if answered.status == "done":
        return _html(connected(answered.name, answered.tables))
    return await _shown(app, token, status=422)


async def _departed(app: App, token: str, secrets: Mapping[str, str], back_to: str) -> Response:
    """Send a person to sign in, by a link: a form that redirects to another site would not get past our own policy."""
    departure = await signing_in.depart(app, token, secrets, back_to)
    if departure is None:
        return await _shown(app, token, problem=_NO_SIGN_IN, status=409)
    answer = _html(leaving(_site(departure.url), departure.url))
    is_secure = back_to.startswith("https:")
    answer.set_cookie(
        _COOKIE, departure.browser, max_age=_COOKIE_SECONDS, httponly=True, secure=is_secure, samesite="lax"
    )
    return answer


async def _came_back(app: App, request: Request, back_to: str) -> Response:
    told = {name: request.query_params.get(name, "") for name in ("state", "code", "error")}
    back = signing_in.Return(**told, browser=request.cookies.get(_COOKIE, ""))
    answered = await signing_in.come_back(app, back, back_to)
    if answered is None:
        return _html(void(), 404)
    if answered.status == "done":
        return _html(connected(answered.name, answered.tables))
    return _html(not_signed_in(Problem.model_validate(answered.problem) if answered.problem else None), 422)


def _site(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


async def _asked(app: App, request: SecretRequest, token: str, problem: Problem | None) -> Asked:
    cls = app.plugins.connector(request.connector)
    known = cls.config_type.model_fields
    way = await signing_in.sign_in_of(app, request)
    fields = []
    for name in request.fields:
        about = known[name].description or "" if name in known else ""
        long = "PEM" in about or "JSON" in about
        is_required = name in known and known[name].is_required() and (way is None or name != way.refresh_field)
        fields.append(Field(name, about, long=long, required=is_required))
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
        sign_in_at=_site(way.authorize_url) if way else "",
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


def is_foreign(request: Request) -> bool:
    """Tell whether a browser says that a form lay on another site. Our policy makes browsers send the origin null."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return True
    origin = request.headers.get("origin", "null")
    return origin != "null" and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


def is_served(host: str, hosts: Sequence[str]) -> bool:
    """Tell whether a value of `Host` is one of those that are served."""
    name, _, port = host.rpartition(":")
    return host in hosts or (port.isdigit() and f"{name}:*" in hosts)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, HEADERS)
