"""The settings page and `.env.example` name every setting, in the words of the code."""

from __future__ import annotations

from pathlib import Path

from servicetsunami.runtime import Settings, variable_of
from servicetsunami.runtime.layers import READ_ELSEWHERE

ROOT = Path(__file__).parents[2]


def row(name: str) -> str:
    """Return the line that a setting has in the table."""
    return f"| `{name}` | `{variable_of(name)}` | {Settings.model_fields[name].description} |"


def test_the_settings_page_holds_every_setting_in_order() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")

    rows = [line for line in page.splitlines() if line.startswith("| `")]

    assert rows == [row(name) for name in Settings.model_fields]


def test_the_example_environment_names_every_variable_and_sets_none() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()

    named = [line.removeprefix("# ").partition("=")[0] for line in lines if "=" in line and line.startswith("# ")]

    assert named == [*(variable_of(name) for name in Settings.model_fields), *READ_ELSEWHERE]
    assert [line for line in lines if line and not line.startswith("#")] == []
