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
Desk = Any


def refusing(code: str, status: int = 403) -> Callable[[Desk], None]:
    def mistake(desk: Desk) -> None:
        desk.org.faults.append(lambda _, path: None if "oauth2" in path else desk.refusal(status, code))
        desk.source().check()

    mistake.__name__ = code.lower()
    return mistake


def ended_sign_in(desk: Desk) -> None:
    desk.source(refresh_token="canary").check()


def wrong_secret(desk: Desk) -> None:
    desk.source(refresh_token=None, client_secret="canary").check()


def mistyped_object(desk: Desk) -> None:
    list(desk.source(objects=["Acount"]).streams())


def no_object_any_more(desk: Desk) -> None:
    list(desk.source().read(Read(Stream("Gone__c"))))


def name_that_is_none(desk: Desk) -> None:
    desk.source(objects=["My Object"])


def nothing_there(desk: Desk) -> None:
    desk.source(login_url="http://127.0.0.1:1").check()


def path_in_the_address(desk: Desk) -> None:
    desk.source(login_url=f"{desk.org.url}/canary")


def old_version(desk: Desk) -> None:
    desk.source(api_version="64")


MISTAKES: tuple[Callable[[Desk], None], ...] = (
    ended_sign_in,
    wrong_secret,
    mistyped_object,
    no_object_any_more,
    name_that_is_none,
    nothing_there,
    path_in_the_address,
    old_version,
    refusing("API_DISABLED_FOR_ORG"),
    refusing("REQUEST_LIMIT_EXCEEDED"),
    refusing("QUERY_TIMEOUT", 400),
    refusing("INVALID_SESSION_ID", 401),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.__name__))
def test_a_common_mistake_is_told_as_the_readme_says(mistake: Callable[[Desk], None], desk: Desk) -> None:
    with pytest.raises((TsunamiError, ValidationError)) as made:
        mistake(desk)

    told = _told(made.value)
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


def test_signing_in_is_offered_once_the_consumer_key_is_known(desk: Desk) -> None:
    way = type(desk.source()).sign_in({"client_id": "key", "login_url": "https://acme.my.salesforce.com/"})

    assert type(desk.source()).sign_in({}) is None
    assert way is not None
    assert way.authorize_url == "https://acme.my.salesforce.com/services/oauth2/authorize"
    assert way.scope == "api refresh_token"
