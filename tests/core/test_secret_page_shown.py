"""The page shows where a secret will go, runs nothing, and is served on loopback only while it is needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from servicetsunami.mcp.secret_page import loopback
from servicetsunami.mcp.secret_page.loopback import Loopback
from servicetsunami.mcp.secret_page.page import HEADERS, Asked, Field, connected, form, void
from servicetsunami.sdk import Problem

ASKED = Asked(
    tenant="acme",
    subject="ada",
    connector="PostgreSQL",
    name="shop",
    settings={"host": "db.example.com", "port": 5432, "schemas": ["public", "sales"]},
    fields=[Field("password", "Password of the role."), Field("ssl_key", long=True, required=False)],
    code="KEEN-4127",
    minutes=9,
    form_token="f0",
)


def test_a_person_sees_who_asks_and_where_the_secret_will_go() -> None:
    page = form(ASKED)

    for shown in ("acme", "ada", "PostgreSQL", "shop", "db.example.com", "5432", "public, sales", "KEEN-4127"):
        assert shown in page
    assert '<input type="password" name="secret.password"' in page
    assert '<textarea rows="8" name="secret.ssl_key"' in page
    assert "<script" not in page


def test_what_others_chose_cannot_become_markup_or_hide() -> None:
    hostile = '"><script>alert(1)</script>\u202e'

    page = form(replace(ASKED, name=hostile, subject=hostile, settings={hostile: hostile}, fields=[Field(hostile)]))

    assert "<script" not in page
    assert "\u202e" not in page
    assert page.count("<form") == 1


def test_a_failure_says_what_to_do() -> None:
    problem = Problem(code="password_wrong", message="the server refused the password", fix="type it again")

    page = form(replace(ASKED, problem=problem))

    assert "the server refused the password" in page
    assert "type it again" in page


def test_the_end_says_what_can_be_read_and_the_void_says_nothing() -> None:
    assert "1 table." in connected("shop", 1)
    assert "2,000 tables." in connected("shop", 2000)
    assert "shop" not in void()


def test_no_browser_runs_keeps_or_frames_it() -> None:
    policy = HEADERS["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert HEADERS["Cache-Control"] == "no-store"
    assert HEADERS["Referrer-Policy"] == "no-referrer"


def test_it_listens_on_loopback_only_while_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "_LOOKS_SECONDS", 0.01)
    monkeypatch.setattr(loopback, "_LINGER_SECONDS", 0.01)
    application = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("here"))])

    async def job() -> tuple[bool, str, str, str, bool]:
        needed = True

        async def is_needed() -> bool:
            return needed

        page = Loopback(application, is_needed)
        before = page.is_open
        first, again = await page.base_url(), await page.base_url()
        async with httpx2.AsyncClient(trust_env=False) as client:
            said = (await client.get(first)).text
        needed = False
        async with asyncio.timeout(20):
            await page.ended()
        return before, first, again, said, page.is_open

    before, first, again, said, after = asyncio.run(job())

    assert (before, after, said) == (False, False, "here")
    assert first == again
    assert first.startswith("http://127.0.0.1:")
