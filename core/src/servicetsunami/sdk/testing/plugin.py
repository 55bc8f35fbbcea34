"""A plugin of pytest for the tests of connectors: `-p servicetsunami.sdk.testing.plugin` in pytest's options.

Fixtures: `local_context`, host services that reach this machine only; `replayed_context`, those whose HTTP comes from a
file beside the test. `pytest --tsunami-record` records those files anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servicetsunami.sdk.testing.context import LocalContext
from servicetsunami.sdk.testing.replaying import Cassette, ReplayedContext

_OPTION = "--tsunami-record"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option to record."""
    parser.getgroup("servicetsunami").addoption(
        _OPTION, action="store_true", help="Ask the real servers, and record what they answer for later runs."
    )


@pytest.fixture
def local_context(tmp_path: Path) -> LocalContext:
    """Return host services for a test; nothing but this machine's loopback may be reached."""
    return LocalContext(data_dir=tmp_path / "data")


@pytest.fixture
def replayed_context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReplayedContext]:
    """Return host services whose HTTP comes from `cassettes/` beside the test, named after it.

    Name the secrets of a recording with the marker `tsunami_secrets("...")`: they are not kept. A test that leaves
    requests of its cassette unmade fails: they say what the connector no longer asks.
    """
    records = bool(request.config.getoption(_OPTION))
    folder = Path(str(request.path)).parent / "cassettes"
    marker = request.node.get_closest_marker("tsunami_secrets")
    cassette = Cassette.at(folder / f"{request.path.stem}.{request.node.name}.json", records=records)
    cassette.secrets = tuple(map(str, marker.args)) if marker else ()
    yield ReplayedContext(data_dir=tmp_path / "data", loopback_only=not records, cassette=cassette)
    if records:
        cassette.save()
    else:
        assert cassette.unused == [], "the cassette holds requests that nobody made: record it anew"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "tsunami_secrets(*values): secrets that a recording must not keep.")
