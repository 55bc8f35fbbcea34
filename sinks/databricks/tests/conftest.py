"""A look-alike of a workspace for a module of tests, and the sink over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servicetsunami_lookalike import Lookalike


@pytest.fixture(scope="module")
def lookalike() -> Iterator[Lookalike]:
    with Lookalike() as server:
        yield server
