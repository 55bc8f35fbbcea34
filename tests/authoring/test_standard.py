"""Every installed connector holds to every point of the standard, and the page tells every point there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servicetsunami.plugins import discover
from servicetsunami.sdk.testing.standard import POINTS, Point, installed

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/connector-standard.md"
CONNECTORS = discover().connectors


def test_the_page_tells_every_point_in_order() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("<!-- points: begin -->")[2].partition("<!-- points: end -->")[0]

    told = re.findall(r"^\| (D\d+) \| (.+?) \|", table, re.MULTILINE)

    assert told == [(point.id, point.title) for point in POINTS]


def test_all_connectors_of_the_workspace_are_looked_at() -> None:
    folders = [path.name for where in ("connectors", "connectors_contrib") for path in (ROOT / where).iterdir()]

    assert sorted(CONNECTORS) == sorted(name for name in folders if not name.startswith((".", "__")))


@pytest.mark.parametrize("point", POINTS, ids=lambda point: str(point.id))
@pytest.mark.parametrize("name", CONNECTORS)
def test_a_connector_holds_to_the_standard(name: str, point: Point) -> None:
    found = installed(CONNECTORS[name])

    assert found is not None
    assert point.check(found) is None
