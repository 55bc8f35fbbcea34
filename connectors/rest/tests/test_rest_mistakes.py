"""The twelve commonest mistakes: what a person sees is what the README says they see, and holds no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import Read, Stream, TsunamiError

README = Path(__file__).parents[1] / "README.md"
CANARY = "canary"
Api = Any
Reader = Any
Mistake = Callable[[Reader, Api], None]


def wrong_path(reader: Reader, _api: Api) -> None:
    reader.rows({"name": "users", "path": "/userz"})


def wrong_records(reader: Reader, api: Api) -> None:
    api.routes["/users"] = {"data": {"items": [{"id": 1}]}}
    reader.rows({"name": "users", "path": "/users", "records": "data.rows"})


def records_not_named(reader: Reader, api: Api) -> None:
    api.routes["/users"] = {"data": [{"id": 1}]}
    reader.rows({"name": "users", "path": "/users"})


def expired_token(reader: Reader, api: Api) -> None:
    api.routes["/users"] = api.reply({}, status=401)
    reader.rows({"name": "users", "path": "/users"}, auth="bearer", token="canary")


def no_right(reader: Reader, api: Api) -> None:
    api.routes["/users"] = api.reply({}, status=403)
    reader.rows({"name": "users", "path": "/users"}, auth="bearer", token="canary")


def web_page(reader: Reader, api: Api) -> None:
    api.routes["/users"] = api.reply(b"<html>canary</html>", headers={"content-type": "text/html"})
    reader.rows({"name": "users", "path": "/users"})


def paging_that_repeats(reader: Reader, api: Api) -> None:
    api.routes["/users"] = [{"id": 1}, {"id": 2}]
    reader.rows({"name": "users", "path": "/users", "paging": {"kind": "page"}})


def password_in_the_url(reader: Reader, _api: Api) -> None:
    reader.rows({"name": "users", "path": "/users"}, base_url="https://ada:canary@example.com")


def token_among_the_headers(reader: Reader, _api: Api) -> None:
    reader.source({"name": "users", "path": "/users"}, headers={"Authorization": "Bearer canary"})


def auth_without_token(reader: Reader, _api: Api) -> None:
    reader.source({"name": "users", "path": "/users"}, auth="bearer")


def no_streams(reader: Reader, _api: Api) -> None:
    reader.source()


def mistyped_stream(reader: Reader, _api: Api) -> None:
    list(reader.source({"name": "users", "path": "/users"}).read(Read(Stream("user"))))


MISTAKES: tuple[Mistake, ...] = (
    wrong_path,
    wrong_records,
    records_not_named,
    expired_token,
    no_right,
    web_page,
    paging_that_repeats,
    password_in_the_url,
    token_among_the_headers,
    auth_without_token,
    no_streams,
    mistyped_stream,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.__name__))
def test_a_common_mistake_is_told_as_the_readme_says(mistake: Mistake, reader: Reader, api: Api) -> None:
    with pytest.raises((TsunamiError, ValidationError)) as made:
        mistake(reader, api)

    told = _told(made.value).replace(api.base_url, "https://api.example.com")
    assert told in README.read_text(encoding="utf-8")
    assert CANARY not in told


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
    assert isinstance(error, TsunamiError)
    problem = error.problem()
    return f"`{problem.code}`: {problem.message}. {problem.fix or ''}".rstrip()


def test_there_are_twelve_of_them() -> None:
    assert len(MISTAKES) == 12
