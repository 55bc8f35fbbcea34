"""The page takes secrets from whoever has its address, once, and only from itself; it says nothing to anyone else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from locked import PASSWORD, LockedApp, locked_app
from starlette.applications import Starlette

from servicetsunami.mcp.secret_page.routes import PATH, secret_routes
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.secret_requests import Page, ask_for, outcome
from servicetsunami.operations.secrets import Wish

HOST = "127.0.0.1:8085"
ADA = Caller("acme", local=False, subject="ada")
WISH = Wish("locked", "shop", {"host": "db.example.com"})
Job = Callable[["Browser"], Awaitable[Any]]


class Browser:
    """Someone who has the address of a page."""

    def __init__(self, app: LockedApp, client: httpx2.AsyncClient, page: Page) -> None:
        self.app, self.client, self.page = app, client, page
        self.address = f"/{PATH}{page.token}"

    async def look(self, **headers: str) -> httpx2.Response:
        return await self.client.get(self.address, headers=headers)

    async def give(self, password: str, *, form: str | None = None, **headers: str) -> httpx2.Response:
        found = re.search(r'name="form" value="([^"]+)"', (await self.look()).text)
        token = form if form is not None else found[1] if found else ""
        fields = {"form": token, "secret.password": password, "secret.key": ""}
        usual = {"content-type": "application/x-www-form-urlencoded", "origin": "null", "sec-fetch-site": "same-origin"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(self.address, content=urlencode(fields), headers={**usual, **named})

    async def status(self) -> str | None:
        request = await outcome(self.app, ADA, self.page.id, 0)
        return request.status if request else None


def browse(home: Path, job: Job) -> Any:
    async def run() -> Any:
        async with locked_app(home, "acme") as app:
            page = await ask_for(app, ADA, WISH, ("password", "key"))
            transport = httpx2.ASGITransport(
                app=Starlette(routes=secret_routes(app, ("127.0.0.1:*", "mcp.example.com")))
            )
            async with httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await job(Browser(app, client, page))

    return asyncio.run(run())


def test_a_person_sees_what_is_asked_for_and_by_whom(tmp_path: Path) -> None:
    seen = browse(tmp_path, lambda browser: browser.look())

    for shown in ("ada of tenant acme", "Locked door", "db.example.com", "shop", "Password of the user."):
        assert shown in seen.text
    assert '<textarea rows="8" name="secret.key"' in seen.text
    assert seen.headers["cache-control"] == "no-store"
    assert seen.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in seen.headers["content-security-policy"]


def test_the_right_secret_connects_and_uses_the_page_up(tmp_path: Path) -> None:
    async def job(browser: Browser) -> Any:
        given = await browser.give(PASSWORD)
        again, nobodys = await browser.look(), await browser.client.get(f"/{PATH}nobodys")
        connection = (await browser.app.records.connections("acme"))[0]
        revealed = await browser.app.records.reveal_secrets("acme", connection.id)
        return given, again, nobodys, await browser.status(), connection, revealed

    given, again, nobodys, status, connection, revealed = browse(tmp_path, job)

    assert (given.status_code, status) == (200, "done")
    assert "works" in given.text
    assert (connection.name, connection.settings, revealed) == (
        "shop",
        {"host": "db.example.com"},
        {"password": PASSWORD},
    )
    assert (again.status_code, again.text) == (nobodys.status_code, nobodys.text) == (404, again.text)


@pytest.mark.parametrize("wrong", ["wrong canary", "refused canary"])
def test_a_wrong_secret_is_told_without_it_and_can_be_corrected(tmp_path: Path, wrong: str) -> None:
    async def job(browser: Browser) -> Any:
        refused, between = await browser.give(wrong), await browser.status()
        kept = await outcome(browser.app, ADA, browser.page.id, 0)
        return refused, between, kept, await browser.give(PASSWORD), await browser.status()

    refused, between, kept, given, after = browse(tmp_path, job)

    assert (refused.status_code, between, after) == (422, "failed", "done")
    assert "It did not work yet" in refused.text
    assert given.status_code == 200
    assert "canary" not in refused.text
    assert "canary" not in str(kept)


@pytest.mark.parametrize(
    "changes",
    [
        {"form": ""},
        {"form": "0" * 64},
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_form_of_another_site_changes_nothing(tmp_path: Path, changes: dict[str, str]) -> None:
    async def job(browser: Browser) -> Any:
        return await browser.give(PASSWORD, **changes), await browser.status()

    refused, status = browse(tmp_path, job)

    assert (refused.status_code, status) == (403, "pending")


@pytest.mark.parametrize(
    ("host", "expected"), [(HOST, 200), ("mcp.example.com", 200), ("evil.example", 421), ("evil.example:8085", 421)]
)
def test_only_names_of_ours_are_answered(tmp_path: Path, host: str, expected: int) -> None:
    seen = browse(tmp_path, lambda browser: browser.look(host=host))

    assert seen.status_code == expected
    assert ("db.example.com" in seen.text) == (expected == 200)


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"{}", "application/json", 415),
        (b"a" * (600 * 1024), "application/x-www-form-urlencoded", 413),
        (b"a=1&" * 200, "application/x-www-form-urlencoded", 400),
        ("ä".encode(), "application/x-www-form-urlencoded", 400),
    ],
)
def test_what_is_no_form_of_ours_is_refused(tmp_path: Path, body: bytes, kind: str, expected: int) -> None:
    async def job(browser: Browser) -> Any:
        sent = await browser.client.post(browser.address, content=body, headers={"content-type": kind})
        return sent, await browser.status()

    refused, status = browse(tmp_path, job)

    assert (refused.status_code, status) == (expected, "pending")


def test_of_two_answers_at_once_one_is_taken(tmp_path: Path) -> None:
    async def job(browser: Browser) -> Any:
        answers = await asyncio.gather(*(browser.give(PASSWORD) for _ in range(4)))
        return [answer.status_code for answer in answers], await browser.app.records.connections("acme")

    codes, connections = browse(tmp_path, job)

    assert codes.count(200) == 1
    assert len(connections) == 1


def test_a_page_whose_time_is_up_looks_like_one_that_never_was(tmp_path: Path) -> None:
    async def job(browser: Browser) -> Any:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await browser.app.records.change_secret_request(browser.page.id, expires_at=past)
        return await browser.look(), await browser.give(PASSWORD, form="x"), await browser.client.get(f"/{PATH}nobodys")

    seen, given, nobodys = browse(tmp_path, job)

    assert seen.status_code == given.status_code == nobodys.status_code == 404
    assert seen.text == given.text == nobodys.text


def test_the_records_hold_neither_the_address_nor_the_secret(tmp_path: Path) -> None:
    async def job(browser: Browser) -> str:
        await browser.give("wrong canary")
        await browser.give(PASSWORD)
        return browser.page.token

    token = browse(tmp_path, job)

    for file in tmp_path.glob("records.db*"):
        content = file.read_bytes()
        assert token.encode() not in content
        assert b"canary" not in content


@pytest.mark.parametrize("other", [replace(ADA, subject="bob"), replace(ADA, tenant="default")])
def test_nobody_else_learns_how_it_went(tmp_path: Path, other: Caller) -> None:
    assert browse(tmp_path, lambda browser: outcome(browser.app, other, browser.page.id, 0)) is None
