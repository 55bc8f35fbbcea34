"""Read-only mode: everybody may look and ask; whatever changes something is refused before it begins."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from servicetsunami.sdk import ConfigError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App

P = ParamSpec("P")
R = TypeVar("R")


def changing(
    outcome: str,
) -> Callable[
    [Callable[Concatenate[App, P], Coroutine[Any, Any, R]]], Callable[Concatenate[App, P], Coroutine[Any, Any, R]]
]:
    """Mark an operation that changes something; `outcome` tells in read-only mode what did not happen."""

    def mark(
        operation: Callable[Concatenate[App, P], Coroutine[Any, Any, R]],
    ) -> Callable[Concatenate[App, P], Coroutine[Any, Any, R]]:
        @wraps(operation)
        async def guarded(app: App, /, *args: P.args, **kwargs: P.kwargs) -> R:
            refuse_if_read_only(app, outcome)
            return await operation(app, *args, **kwargs)

        return guarded

    return mark


def refuse_if_read_only(app: App, outcome: str) -> None:
    """Raise `ConfigError` (`read_only`) if this server only lets people look."""
    if app.settings.read_only:
        raise ConfigError(
            f"this server is read-only, so {outcome}",
            code="read_only",
            field="read_only",
            fix="whoever runs it can set TSUNAMI_READ_ONLY to false; looking and asking work as they are",
        )
