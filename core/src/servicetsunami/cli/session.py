"""Between a command and the operation it calls: settings, the open application, and the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from servicetsunami.cli.options import Spoken
from servicetsunami.cli.screen import Screen

if TYPE_CHECKING:
    import typer
    from pydantic import BaseModel

    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.runtime import LoadedSettings

T = TypeVar("T")
R = TypeVar("R", bound="BaseModel")


def settings_of(context: typer.Context, **chosen: str) -> LoadedSettings:
    """Load the settings in force: the command's own options, flags, environment, files, defaults."""
    from servicetsunami.runtime import load_settings

    spoken = context.find_object(Spoken)
    return load_settings({**(spoken.settings if spoken is not None else {}), **chosen})


def perform(context: typer.Context, work: Callable[[App, Caller], Awaitable[T]]) -> T:
    """Open the application, do one piece of work as the person whose machine this is, and close it."""

    async def run() -> T:
        from servicetsunami.operations.app import local_caller, open_app

        async with open_app(settings_of(context)) as app:
            log_to_stderr(app)
            return await work(app, replace(local_caller(app), by_model=False))

    return asyncio.run(run())


def log_to_stderr(app: App) -> None:
    """Send what the program logs to standard error, as the settings wish."""
    from servicetsunami.runtime import configure_logging

    configure_logging(app.settings.log_level, app.settings.log_format, app.redactor)


def emit(result: R, show: Callable[[Screen, R], None], *, as_json: bool) -> R:
    """Write a result to standard output, as JSON or for a person, and return it."""
    screen = Screen()
    if as_json:
        screen.json(result.model_dump_json(indent=2))
    else:
        show(screen, result)
    return result
