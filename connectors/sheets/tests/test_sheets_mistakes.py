"""The twelve commonest mistakes: what a person sees is what the README says they see, and holds no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import Read, Stream, TsunamiError

Desk = Any
README = Path(__file__).parents[1] / "README.md"
CANARY = "canary"


def wrong_id(desk: Desk) -> None:
    desk.source(spreadsheets=["1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]).check()


def not_shared(desk: Desk) -> None:
    desk.google.faults.append(lambda _: desk.refusal(403, "PERMISSION_DENIED"))
    desk.source().check()


def api_disabled(desk: Desk) -> None:
    desk.google.faults.append(lambda _: desk.refusal(403, "PERMISSION_DENIED", "SERVICE_DISABLED"))
    desk.source().check()


def excel_file(desk: Desk) -> None:
    desk.google.faults.append(lambda _: desk.refusal(400, "FAILED_PRECONDITION"))
    desk.source().check()


def deleted_key(desk: Desk) -> None:
    desk.source(service_account_json=desk.key_file(client_email="gone@project.iam.gserviceaccount.com")).check()


def cut_key(desk: Desk) -> None:
    desk.source(service_account_json=desk.key_file(private_key="-----BEGIN PRIVATE KEY-----\ncanary")).check()


def ended_sign_in(desk: Desk) -> None:
    desk.source(service_account_json=None, client_id="c", client_secret="canary-client", refresh_token="canary").check()


def scope_missing(desk: Desk) -> None:
    desk.google.faults.append(lambda _: desk.refusal(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"))
    desk.source().check()


def renamed_sheet(desk: Desk) -> None:
    list(desk.source().read(Read(Stream("Order"))))


def quota_used_up(desk: Desk) -> None:
    desk.google.faults.append(lambda _: desk.refusal(429, "RESOURCE_EXHAUSTED", retry_after="0"))
    desk.source().check()


def no_address(desk: Desk) -> None:
    desk.source(spreadsheets=["https://example.org/canary"])


def other_key_file(desk: Desk) -> None:
    desk.source(service_account_json=desk.key_file(type="external_account"))


MISTAKES: tuple[Callable[[Desk], None], ...] = (
    wrong_id,
    not_shared,
    api_disabled,
    excel_file,
    deleted_key,
    cut_key,
    ended_sign_in,
    scope_missing,
    renamed_sheet,
    quota_used_up,
    no_address,
    other_key_file,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.__name__))
def test_a_common_mistake_is_told_as_the_readme_says(mistake: Callable[[Desk], None], desk: Desk) -> None:
    with pytest.raises((TsunamiError, ValidationError)) as made:
        mistake(desk)

    told = _told(made.value).replace(desk.google.url, "the API")
    assert told in README.read_text(encoding="utf-8").replace("\n  ", " ")
    assert CANARY not in told


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
    assert isinstance(error, TsunamiError)
    problem = error.problem()
    return f"`{problem.code}`: {problem.message}. {problem.fix or ''}".rstrip()


def test_there_are_twelve_of_them() -> None:
    assert len(MISTAKES) == 12


def test_no_address_of_a_key_file_is_followed(desk: Desk) -> None:
    desk.source().check()

    assert json.loads(desk.key_file())["token_uri"].startswith("http://169.254.169.254")
    assert desk.google.tokens == 1


def test_a_used_up_quota_is_waited_for(desk: Desk) -> None:
    refusals = iter([desk.refusal(429, "RESOURCE_EXHAUSTED", retry_after="0")] * 7)
    desk.google.faults.append(lambda _: next(refusals, None))

    assert [stream.id for stream in desk.source().streams()] == ["Orders"]


def test_an_expired_token_is_renewed_in_the_middle(desk: Desk) -> None:
    desk.sheet(["id", "text"], *([number, "x"] for number in range(12_000)))
    source = desk.source()
    (stream,) = source.streams()

    rows = []
    for block in source.read(Read(stream)):
        rows += block
        desk.google.good.clear()

    assert [row["id"] for row in rows] == list(range(12_000))


def test_a_person_who_signed_in_reads_too(desk: Desk) -> None:
    source = desk.source(
        service_account_json=None, client_id="c", client_secret="canary-client", refresh_token="canary-refresh"
    )

    assert [stream.id for stream in source.streams()] == ["Orders"]


@pytest.mark.parametrize(
    ("settings", "offered"),
    [({}, False), ({"client_id": "c"}, True), ({"client_id": "c", "service_account_json": "{}"}, False)],
)
def test_signing_in_is_offered_for_a_client_id_alone(settings: dict[str, Any], offered: bool, desk: Desk) -> None:
    way = type(desk.source()).sign_in(settings)

    assert (way is not None) == offered
    if way is not None:
        assert (way.authorize_url, way.scope) == (
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://www.googleapis.com/auth/spreadsheets.readonly",
        )
        assert way.token_url == "https://oauth2.googleapis.com/token"
