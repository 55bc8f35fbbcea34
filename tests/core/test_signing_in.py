"""A person signs in at a source's own site, and the connection gets a refresh token that nobody typed."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from token_lab import CLIENT_SECRET, FIRST, PLUGINS, Endpoint, opened

from servicetsunami.mcp.secret_page.routes import PATH, secret_routes
from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.secret_requests import Page, ask_for, outcome
from servicetsunami.operations.secrets import Wish, missing_secrets

BASE = "http://127.0.0.1:8085"
SITE = "https://accounts.example.com/authorize"
ADA = Caller("default", local=True, subject="ada")
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": "null", "sec-fetch-site": "same-origin"}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.syspath_prepend(PLUGINS)
    with closing(Endpoint()) as found:
        yield found


@dataclass
class Browser:
    """Someone who was sent to the page."""

    app: App
    client: httpx2.AsyncClient
    page: Page

    async def press(self, act: str = "sign-in", **secrets: str) -> httpx2.Response:
        address = f"/{PATH}{self.page.token}"
        found = re.search(r'name="form" value="([^"]+)"', (await self.client.get(address)).text)
        fields = {"form": found[1] if found else "", "act": act}
        fields |= {f"secret.{name}": value for name, value in secrets.items()}
        return await self.client.post(address, content=urlencode(fields), headers=FORM)

    async def leave(self, **secrets: str) -> str:
        """Press the button and return where its page leads."""
        page = (await self.press(client_secret=CLIENT_SECRET, **secrets)).text
        found = re.search(r'href="([^"]+)"', page)
        assert found is not None, page
        return html.unescape(found[1])

    async def status(self) -> Any:
        return await outcome(self.app, ADA, self.page.id, 0)


Job = Callable[[Browser], Awaitable[Any]]


def browse(home: Path, endpoint: Endpoint, job: Job, **settings: Any) -> Any:
    async def run() -> Any:
        async with opened(home) as app:
            wish = Wish("tokened", "mine", {"url": endpoint.url, "authorize_url": SITE, **settings})
            page = await ask_for(app, ADA, wish, ("refresh_token", "client_secret"))
            transport = httpx2.ASGITransport(app=Starlette(routes=secret_routes(app, ("127.0.0.1:*",))))
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
                return await job(Browser(app, client, page))

    return asyncio.run(run())


def test_who_signs_in_is_connected_without_typing_a_token(tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> Any:
        back = endpoint.sign_in(await browser.leave())
        landed = await browser.client.get(back)
        (connection,) = await browser.app.records.connections("default")
        return landed, await browser.status(), await browser.app.records.reveal_secrets("default", connection.id)

    landed, request, stored = browse(tmp_path, endpoint, job)

    assert (landed.status_code, request.status) == (200, "done")
    assert "The connection 'mine' works" in landed.text
    assert stored == {"refresh_token": "canary-refresh-1", "client_secret": CLIENT_SECRET}
    assert "canary" not in landed.text


def test_the_site_is_asked_as_the_connector_says(tmp_path: Path, endpoint: Endpoint) -> None:
    url = browse(tmp_path, endpoint, lambda browser: browser.leave())

    asked = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith(f"{SITE}?")
    assert (asked["client_id"], asked["scope"], asked["access_type"]) == ("client 1", "read write", "offline")
    assert (asked["redirect_uri"], asked["code_challenge_method"]) == (f"{BASE}/signed-in", "S256")
    assert "canary" not in url


def test_the_page_says_where_one_can_sign_in_and_asks_for_no_token_then(tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> str:
        return (await browser.client.get(f"/{PATH}{browser.page.token}")).text

    offered, not_offered = (
        browse(tmp_path / "a", endpoint, job),
        browse(tmp_path / "b", endpoint, job, authorize_url=""),
    )

    assert "Sign in at accounts.example.com" in offered
    assert not re.search(r'name="secret.refresh_token"[^>]* required', offered)
    assert "Sign in at" not in not_offered
    assert re.search(r'name="secret.refresh_token"[^>]* required', not_offered)


@pytest.mark.parametrize("stranger", ["another browser", "another state", "no state", "strange state"])
def test_what_a_stranger_comes_back_with_counts_for_nothing(stranger: str, tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> Any:
        back = endpoint.sign_in(await browser.leave())
        if stranger == "another browser":
            browser.client.cookies.clear()
        states = {"another state": "0" * 64, "no state": "", "strange state": "\ud800.\ud800"}
        if stranger in states:
            query = urlencode({"code": "x", "state": states[stranger]}, errors="surrogatepass")
            back = f"{BASE}/signed-in?{query}"
        return await browser.client.get(back), await browser.status()

    landed, request = browse(tmp_path, endpoint, job)

    assert (landed.status_code, request.status) == (404, "pending")


def test_a_way_back_is_used_once(tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> Any:
        back = endpoint.sign_in(await browser.leave())
        return [(await browser.client.get(back)).status_code for _ in range(2)]

    assert browse(tmp_path, endpoint, job) == [200, 404]


def test_who_refuses_can_begin_again(tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> Any:
        state = dict(parse_qsl(urlsplit(await browser.leave()).query))["state"]
        query = urlencode({"error": "access_denied", "error_description": "<b>canary</b>", "state": state})
        refused, between = await browser.client.get(f"{BASE}/signed-in?{query}"), await browser.status()
        landed = await browser.client.get(endpoint.sign_in(await browser.leave()))
        return refused, between, landed

    refused, between, landed = browse(tmp_path, endpoint, job)

    assert (refused.status_code, between.problem["code"], landed.status_code) == (422, "sign_in_refused", 200)
    assert "access_denied" in refused.text
    assert "canary" not in refused.text


def test_a_sign_in_without_a_refresh_token_says_what_to_do(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.forgets = True

    async def job(browser: Browser) -> Any:
        return await browser.client.get(endpoint.sign_in(await browser.leave())), await browser.status()

    landed, request = browse(tmp_path, endpoint, job)

    assert (landed.status_code, request.problem["code"]) == (422, "no_refresh_token")
    assert "allow offline access" in landed.text


def test_a_wrong_client_secret_is_told_without_it(tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> Any:
        page = (await browser.press(client_secret="canary-wrong")).text
        found = re.search(r'href="([^"]+)"', page)
        back = endpoint.sign_in(html.unescape(found[1] if found else ""))
        return await browser.client.get(back), await browser.status()

    landed, request = browse(tmp_path, endpoint, job)

    assert (landed.status_code, request.problem["code"]) == (422, "token_refused")
    assert "canary" not in f"{landed.text}{request}"


def test_where_nobody_can_sign_in_the_button_does_nothing(tmp_path: Path, endpoint: Endpoint) -> None:
    async def job(browser: Browser) -> Any:
        return await browser.press(), await browser.status()

    pressed, request = browse(tmp_path, endpoint, job, authorize_url="")

    assert (pressed.status_code, request.status) == (409, "pending")


def test_a_refresh_token_is_missing_where_one_can_sign_in(tmp_path: Path, endpoint: Endpoint) -> None:
    async def run() -> list[tuple[str, ...]]:
        async with opened(tmp_path) as app:
            wishes = [
                Wish("tokened", "mine", {"url": endpoint.url, "authorize_url": SITE, **given})
                for given in ({}, {"refresh_token": FIRST})
            ]
            return [await missing_secrets(app, ADA, wish) for wish in wishes]

    assert asyncio.run(run()) == [("refresh_token",), ()]
