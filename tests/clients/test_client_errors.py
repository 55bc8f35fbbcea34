"""Errors cross from the server to the client as what they were."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from servicetsunami.client.errors import error_of, failure_of
from servicetsunami.operations.models import RunView
from servicetsunami.sdk import (
    AuthError,
    Cancelled,
    ConfigError,
    DataError,
    Json,
    NotFound,
    PermanentError,
    PermissionDenied,
    Problem,
    TransientError,
    TsunamiError,
)
from servicetsunami.sdk.errors import RateLimited

KINDS = [
    ConfigError,
    AuthError,
    PermissionDenied,
    NotFound,
    DataError,
    PermanentError,
    TransientError,
    RateLimited,
    Cancelled,
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_as_its_kind_with_all_it_said(kind: type[TsunamiError]) -> None:
    raised = kind("what", code="own_code", why="w", fix="f", field="x", step="s", did_you_mean=["a"])

    again = error_of({"kind": kind.default_code, **raised.problem().model_dump(mode="json")})

    assert type(again) is kind
    assert again.problem() == raised.problem()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"code": "rate_limited", "retryable": True}, RateLimited),
        ({"code": "source_busy", "retryable": True}, TransientError),
        ({"code": "password_refused", "step": "auth"}, AuthError),
        ({"code": "host_not_found", "step": "dns", "field": "host"}, ConfigError),
        ({"code": "run_not_found"}, NotFound),
        ({"code": "something_new"}, PermanentError),
        ({"code": "something_new", "kind": "of a later version", "more": [1]}, PermanentError),
    ],
)
def test_an_error_that_does_not_say_its_kind_is_told_by_the_rest(said: Json, kind: type[TsunamiError]) -> None:
    error = error_of({"message": "what", **said})

    assert type(error) is kind
    assert error.code == said["code"]


@pytest.mark.parametrize(
    ("status", "problem", "kind", "code"),
    [
        ("failed", Problem(code="source_stalled", message="m", retryable=True), TransientError, "source_stalled"),
        ("failed", None, PermanentError, "run_failed"),
        ("cancelled", None, Cancelled, "cancelled"),
    ],
)
def test_a_run_without_success_becomes_its_error(
    status: str, problem: Problem | None, kind: type[TsunamiError], code: str
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = RunView.model_validate(
        {"run_id": "run_1", "kind": "sync", "status": status, "created_at": now, "problem": problem}
    )

    error = failure_of(run)

    assert (type(error), error.code) == (kind, code)
