"""Options that several commands share, and what was said before the command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="Name or id of a connection.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run; `tsunami runs` lists them.")]


@dataclass
class Spoken:
    """What the options before the command said; kept where the outermost handler sees it too."""

    debug: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    """Settings by name, given as flags: they win over the environment and every file."""


def pairs(option: str, texts: list[str] | None) -> list[tuple[str, str]]:
    """Split `NAME=VALUE` texts; raises `ConfigError` for one without a name or `=`, without repeating it."""
    split = [text.partition("=") for text in texts or ()]
    if all(name.strip() and equals for name, equals, _ in split):
        return [(name.strip(), value) for name, _, value in split]
    from servicetsunami.sdk import ConfigError

    raise ConfigError(
        f"{option} was given something that is not NAME=VALUE, so nothing was done",
        code="bad_pair",
        field=option,
        fix=f"write {option} NAME=VALUE, in quotes if the value holds spaces",
    )
