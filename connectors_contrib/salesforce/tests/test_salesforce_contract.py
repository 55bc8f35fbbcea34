"""The connector passes the contract of every connector, by the query API and in bulk."""

from __future__ import annotations

from typing import Any

import pytest

from servicetsunami.sdk.testing import SourceContract
from servicetsunami_salesforce import SalesforceSource

BAD = ({"client_secret": "not-the-secret-1"}, {"objects": ["Acount"]}, {"login_url": "http://127.0.0.1:1"})


class TestSalesforceContract(SourceContract):
    connector = SalesforceSource
    bad_configs = BAD

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        # Each instance of the suite asks for itself, which a refresh token that rotates would not survive.
        settings: dict[str, Any] = request.getfixturevalue("desk").settings(refresh_token=None)
        return settings


class TestSalesforceBulkContract(SourceContract):
    connector = SalesforceSource
    bad_configs = BAD

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        settings: dict[str, Any] = request.getfixturevalue("desk").settings(refresh_token=None, bulk_from_rows=0)
        return settings
