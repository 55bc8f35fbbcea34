"""What a prompt is: a name, arguments with completions, the tools it leads to, and what writes its text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

Given = Mapping[str, str]
"""The arguments of a prompt, by name; those that are left out are absent."""
Values = Mapping[str, str]
"""What the text of a prompt is filled with, by the names it uses."""
Gather = Callable[["App", "Caller", Given], Awaitable[Values]]
Complete = Callable[["App", "Caller", Given], Awaitable[Sequence[str]]]
"""Returns what an argument may be, the likeliest first, given the arguments that are chosen."""


@dataclass(frozen=True)
class Argument:
    """One argument of a prompt."""

    name: str
    title: str
    description: str
    required: bool = True
    complete: Complete | None = None
    """None for what nobody can guess."""
    many: bool = False
    """Whether it names several, with commas between them."""


@dataclass(frozen=True)
class PromptSpec:
    """One prompt: what a person sees of it, and what it says to a model."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    tools: tuple[str, ...]
    """The tools it leads to: without all of them there is no such prompt."""
    gather: Gather
    """Returns what is really there; raises a typed error for an argument that names nothing."""

    @property
    def text(self) -> Template:
        """What it says, with `$names` to fill in."""
        return Template((files(__package__) / "texts" / f"{self.name}.md").read_text(encoding="utf-8").rstrip())
