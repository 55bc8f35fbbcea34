"""The connector standard holds every check of the certification kit, in the words of the code, with its reason."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from servicetsunami.sdk.testing import FeedContract, SinkContract, SourceContract, WarehouseContract

PAGE = Path(__file__).parents[2] / "docs/reference/connector-standard.md"


def rows_under(title: str) -> list[list[str]]:
    """Return the cells of the table that a chapter of the page holds."""
    chapter = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in chapter.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize(
    ("title", "suite"),
    [
        ("Connectors", SourceContract),
        ("Change feeds", FeedContract),
        ("Sinks", SinkContract),
        ("Warehouses", WarehouseContract),
    ],
)
def test_the_standard_has_a_row_for_every_check(title: str, suite: type) -> None:
    checks = {name: inspect.getdoc(getattr(suite, name)) for name in dir(suite) if name.startswith("test_")}

    rows = rows_under(title)

    assert {name.strip("`"): holds for name, holds, _ in rows} == checks
    assert len(rows) == len(checks), "a check has two rows"


@pytest.mark.parametrize("title", ["Connectors", "Change feeds", "Sinks", "Warehouses"])
def test_every_row_of_the_standard_gives_a_reason(title: str) -> None:
    assert [row[0] for row in rows_under(title) if not row[2].endswith(".")] == []
