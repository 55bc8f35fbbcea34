"""The pages about settings name every setting, as it is."""

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from servicetsunami.runtime import Settings, variable_of

_ROOT = Path(__file__).parents[2]


def _row(name: str, field: FieldInfo) -> str:
    default = field.get_default() if field.default_factory is None else None
    shown = "" if default in (None, ()) else f"`{str(default).lower()}`"
    return f"| `{name}` | `{variable_of(name)}` | {shown} | {field.description} |"


def test_the_reference_has_a_row_for_each_setting_and_no_other() -> None:
    text = (_ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

    rows = [line for line in text.splitlines() if line.startswith("| `")]

    assert rows == [_row(name, field) for name, field in Settings.model_fields.items()]


def test_the_example_of_a_dotenv_names_each_variable_and_sets_none() -> None:
    text = (_ROOT / ".env.example").read_text(encoding="utf-8")

    named = re.findall(r"^#([A-Z_]+)=", text, re.MULTILINE)

    assert sorted(named) == sorted([*map(variable_of, Settings.model_fields), "TSUNAMI_DEMO_POSTGRES_URL"])
    assert all(line.startswith("#") or not line for line in text.splitlines())
