"""What the fixture `garden` offers, for type checkers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from servicetsunami.operations.app import App


class Beds(Protocol):
    """What grows at the source, and what its reads meet."""

    closed: bool
    begun: list[str]
    hold: Callable[..., None]
    let_go: Callable[[], None]
    wait_for: Callable[[int], bool]


class Garden(Protocol):
    """A source the test controls, and programs that read it."""

    beds: Beds
    open: Callable[[], AbstractAsyncContextManager[App]]
