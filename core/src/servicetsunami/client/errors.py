"""The server's errors, raised again as what they were, and those of the way to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

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
    nearest,
)
from servicetsunami.sdk.errors import RateLimited

if TYPE_CHECKING:
    from servicetsunami.client.target import Target
    from servicetsunami.operations.models import RunView

M = TypeVar("M", bound=BaseModel)
_KINDS: dict[str, type[TsunamiError]] = {
    kind.default_code: kind
    for kind in (
        ConfigError,
        AuthError,
        PermissionDenied,
        NotFound,
        DataError,
        PermanentError,
        TransientError,
        RateLimited,
        Cancelled,
    )
}


def error_of(problem: Json) -> TsunamiError:
    """Return the error that a server put into an answer."""
    kind = problem.get("kind")
    return _raised_again(parsed(Problem, problem, "a tool"), kind if isinstance(kind, str) else None)


def parsed(model: type[M], content: Json, what: str) -> M:
    """Return an answer as the model that it is; a newer server may say more than this client knows."""
    try:
        return model.model_validate(content, extra="ignore")
    except ValidationError:
        raise bad_answer(what, f"it is no {model.__name__}") from None


def failure_of(run: RunView) -> TsunamiError:
    """Return why a run ended without success."""
    if run.problem is not None:
        return _raised_again(run.problem, None)
    what = f"the run {run.run_id} ended as {run.status}"
    return Cancelled(what) if run.status == "cancelled" else PermanentError(what, code="run_failed")


def no_such_tool(tool: str, known: Iterable[str]) -> NotFound:
    """Return the error for a tool that the server does not have."""
    return NotFound(
        f"the server has no tool '{tool}' for this caller, so nothing was done",
        code="tool_not_available",
        fix="upgrade the server, install the plugin that brings the tool, or ask for the scope that it needs",
        did_you_mean=nearest(tool, known),
    )


def refused(status: int) -> TsunamiError | None:
    """Return the error for an HTTP status that speaks of the caller, or None for any other."""
    if status == 401:
        return AuthError(
            "the server wants a token and got none that it accepts",
            code="token_refused",
            fix="pass token=..., a token that its issuer signed for this server and that has not expired",
        )
    if status == 403:
        return PermissionDenied(
            "the server does not let this caller in",
            code="access_refused",
            fix="ask for a token with the scope `read` at least, or for this client's origin to be allowed",
        )
    return None


def unreachable(where: Target, cause: BaseException | None) -> TsunamiError:
    """Return the error for a server to which no connection came about."""
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if where.url is None and isinstance(cause, FileNotFoundError | PermissionError):
        return ConfigError(
            f"there is no program '{where.command[0]}' that could be started",
            code="command_not_found",
            field="command",
            fix="pass the absolute path of `tsunami` and `serve`, or leave command out",
        )
    return TransientError(
        f"no connection to {where}",
        code="server_unreachable",
        why=f"{type(cause).__name__}: {cause}".rstrip(": ") if cause else None,
        fix="check the address, and that `tsunami serve` runs there; then try again",
    )


def connection_lost(where: str, what: str) -> TransientError:
    """Return the error for a connection that broke before the answer came."""
    return TransientError(
        f"the connection to {where} broke before the answer to {what} came, so it may or may not have been done",
        code="connection_lost",
        fix="look before asking again: a run goes on without the client; the next call connects anew",
    )


def bad_answer(what: str, why: str) -> PermanentError:
    """Return the error for an answer that is none of ours."""
    return PermanentError(
        f"the answer to {what} is not what this client expects",
        code="bad_answer",
        why=why,
        fix="check that the address is that of a ServiceTsunami server, and that its version is near to this client's",
    )


def timed_out(what: str, seconds: float) -> TransientError:
    """Return the error for an answer that did not come in time."""
    return TransientError(
        f"{what} gave no answer within {seconds:g} seconds",
        code="answer_timeout",
        fix="try again, or pass a longer timeout_seconds",
    )


def _raised_again(problem: Problem, kind: str | None) -> TsunamiError:
    given = problem.model_dump(exclude={"retryable", "message"})
    return (_KINDS.get(kind or "") or _kind_of(problem))(problem.message, **given)


def _kind_of(problem: Problem) -> type[TsunamiError]:
    """Tell the kind of a problem that does not say it, such as a run's, from what it says."""
    if problem.code in _KINDS:
        return _KINDS[problem.code]
    if problem.retryable:
        return TransientError
    if problem.field or problem.step:
        return AuthError if problem.step == "auth" else ConfigError
    return NotFound if problem.code.endswith("_not_found") else PermanentError
