"""The connector passes the contract of every connector."""

from pathlib import Path

import pytest
from servicetsunami_notes import Notes

from servicetsunami.sdk.testing import SourceContract

NOTES = """\
{"id": 1, "edited": "2024-05-01T09:00:00Z", "text": "buy milk"}
{"id": 2, "edited": "2024-05-02T09:00:00Z", "text": "call Ada"}
{"id": 3, "edited": "2024-05-03T09:00:00Z", "text": "water the plants"}
"""


class TestNotesContract(SourceContract):
    connector = Notes
    bad_configs = ({"path": "no-such-file.jsonl"},)

    @pytest.fixture
    def config(self, tmp_path: Path) -> dict[str, str]:
        path = tmp_path / "notes.jsonl"
        path.write_text(NOTES, encoding="utf-8")
        return {"path": str(path)}
