"""The connector passes the contract of every connector."""

from __future__ import annotations

from typing import Any

import pytest

from servicetsunami.sdk.testing import SourceContract
from servicetsunami_sheets import SheetsSource


class TestSheetsContract(SourceContract):
    connector = SheetsSource
    bad_configs = (
        {"spreadsheets": ["1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]},
        {"api_url": "http://127.0.0.1:1"},
    )

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        settings: dict[str, Any] = request.getfixturevalue("desk").settings()
        return settings
