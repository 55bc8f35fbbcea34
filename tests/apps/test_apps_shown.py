"""The pages in a real browser, in a sandbox as clients keep them; skipped where no Chromium is installed."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.mcp.apps import RUN, TABLE

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), reason="no Chromium is installed"
)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    sys.modules.pop("screenshot", None)
    return importlib.import_module("screenshot")


def told(seen: list[Any], method: str) -> list[Any]:
    return [message["params"] for message in seen if message.get("method") == method]


@pytest.mark.parametrize("wrap", ["PAGE", "WRAPPED"], ids=["as_it_is", "in_a_page_of_the_client"])
def test_a_run_is_followed_until_it_has_ended(pictures: Any, tmp_path: Path, wrap: str) -> None:
    moments = pictures.moments_of_a_run()

    seen = pictures.render(RUN, moments, tmp_path / "run.png", wrap=getattr(pictures, wrap, wrap))

    asked = {"name": "get_run", "arguments": {"run_id": moments[0].run_id, "wait_seconds": 2}}
    assert told(seen, "tools/call") == [asked, asked]
    assert max(size["height"] for size in told(seen, "ui/notifications/size-changed")) > 200
    assert [message.get("method") for message in seen[:2]] == ["ui/initialize", "ui/notifications/initialized"]
    assert told(seen, "pwned") == []


def test_a_run_that_has_ended_is_not_asked_for(pictures: Any, tmp_path: Path) -> None:
    seen = pictures.render(RUN, [pictures.a_failed_run()], tmp_path / "run.png")

    assert told(seen, "tools/call") == []


def test_a_table_is_shown_and_what_its_rows_hold_stays_text(pictures: Any, tmp_path: Path) -> None:
    seen = pictures.render(TABLE, [pictures.a_table()], tmp_path / "table.png")

    assert max(size["height"] for size in told(seen, "ui/notifications/size-changed")) > 400
    assert told(seen, "pwned") == []
