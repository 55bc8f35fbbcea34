"""What may be set for a stream, and how a setting that cannot be followed is answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest

from servicetsunami.cli.connecting import Given
from servicetsunami.operations.stream_settings import StreamSettings, check_streams, parse_streams, settings_of
from servicetsunami.sdk import ConfigError, Json, Problem, Stream
from servicetsunami.sync.choosing import Mask

_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "email", "ssn", "updated_at")])
_STREAM = Stream("people", schema=_SCHEMA, key=("id",), cursor="updated_at")


def test_settings_stored_before_keep_their_meaning() -> None:
    stored = parse_streams({"people": {"target": "staff", "cursor": None, "key": "ssn"}})

    stream = settings_of(stored, "people").applied(_STREAM)

    assert stored == {"people": {"target": "staff", "cursor": None, "key": ["ssn"]}}
    assert (stream.key, stream.cursor) == (("ssn",), None)


def test_a_stream_without_settings_is_as_the_source_says() -> None:
    assert settings_of({}, "people").applied(_STREAM) == _STREAM


def test_every_setting_is_kept_as_it_was_given() -> None:
    settings = {
        "columns": ["id", "email", "ssn", "updated_at"],
        "rename": {"email": "mail"},
        "hash": ["ssn"],
        "mask": {"email": "email"},
        "evolve": "widen",
        "deletes": "soft",
        "lag": 30.0,
    }

    stored = parse_streams({"people": settings})

    assert stored == {"people": settings}
    assert settings_of(stored, "people").applied(_STREAM) == _STREAM


def test_a_hashed_key_is_allowed() -> None:
    assert StreamSettings(hash=("id",)).applied(_STREAM).key == ("id",)


@pytest.mark.parametrize(
    ("settings", "code", "near"),
    [
        ({"colums": ["id"]}, "unknown_setting", ("columns",)),
        ({"evolve": "maybe"}, "invalid_setting", ()),
        ({"lag": -1}, "invalid_setting", ()),
        ({"lag": "nan"}, "invalid_setting", ()),
        ({"mask": {"email": "shuffle"}}, "invalid_setting", ()),
        ("id", "invalid_setting", ()),
        ({"columns": []}, "stream_setting_refused", ()),
        ({"rename": {"email": "_Rescued"}}, "stream_setting_refused", ()),
        ({"rename": {"email": " "}}, "stream_setting_refused", ()),
        ({"hash": ["email"], "mask": {"email": "null"}}, "stream_setting_refused", ()),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_they_are_stored(
    settings: Any, code: str, near: tuple[str, ...]
) -> None:
    problem = refusal(lambda: parse_streams({"people": settings}))

    assert (problem.code, problem.did_you_mean) == (code, near)
    assert problem.field is not None
    assert problem.field.startswith("streams.people")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        *(({name: ["emial"]}, "column_not_found") for name in ("columns", "exclude", "hash", "key")),
        ({"rename": {"emial": "mail"}}, "column_not_found"),
        ({"mask": {"emial": "null"}}, "column_not_found"),
        ({"cursor": "emial"}, "column_not_found"),
        ({"exclude": ["id"]}, "stream_setting_refused"),
        ({"exclude": ["updated_at"]}, "stream_setting_refused"),
        ({"columns": ["id", "email"]}, "stream_setting_refused"),
        ({"columns": ["email", "updated_at"]}, "stream_setting_refused"),
        ({"mask": {"id": "redact"}}, "stream_setting_refused"),
        ({"mask": {"updated_at": "redact"}}, "stream_setting_refused"),
        ({"hash": ["updated_at"]}, "stream_setting_refused"),
        ({"rename": {"email": "ssn"}}, "stream_setting_refused"),
        ({"rename": {"email": "x", "ssn": "X"}}, "stream_setting_refused"),
    ],
)
def test_settings_a_stream_cannot_follow_are_refused(settings: Json, code: str) -> None:
    problem = refusal(lambda: settings_of({"people": settings}, "people").applied(_STREAM))

    assert problem.code == code
    assert problem.field == "streams.people"
    assert problem.did_you_mean == (("email",) if code == "column_not_found" else ())


def test_a_name_that_another_column_gave_up_is_free() -> None:
    settings = {"exclude": ["ssn"], "rename": {"email": "ssn"}}

    assert settings_of({"people": settings}, "people").applied(_STREAM) == _STREAM


def test_settings_of_a_stream_that_is_not_there_are_told_with_near_names() -> None:
    problem = refusal(lambda: check_streams({"poeple": {"lag": 1}}, [_STREAM]))

    assert (problem.code, problem.did_you_mean) == ("stream_not_found", ("people",))


def test_the_streams_of_a_connection_are_counted_when_their_settings_hold() -> None:
    assert check_streams({"people": {"lag": 1}}, [_STREAM, Stream("other")]) == 2


def test_the_command_line_reads_lists_and_pairs() -> None:
    options = [
        "people:exclude=ssn,id",
        "people:rename=email:mail,a:b:c",
        "people:mask=email:last4",
        "people:lag=5",
    ]

    given = Given.parse(stream=options)

    assert parse_streams(given.streams) == {
        "people": {
            "exclude": ["ssn", "id"],
            "rename": {"email": "mail", "a:b": "c"},
            "mask": {"email": "last4"},
            "lag": 5.0,
        }
    }


def test_the_page_names_every_setting_and_every_mask() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "shape-streams.md").read_text(encoding="utf-8")

    rows = {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("|")}

    assert {f"`{name}`" for name in (*StreamSettings.model_fields, *get_args(Mask))} <= rows


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(ConfigError) as caught:
        act()
    return caught.value.problem()
