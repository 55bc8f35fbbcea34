"""Salesforce source connector for ServiceTsunami."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import Source, hookimpl
from servicetsunami_salesforce.config import SalesforceConfig
from servicetsunami_salesforce.source import SalesforceSource

__all__ = ["SalesforceConfig", "SalesforceSource", "connectors"]


@hookimpl
def connectors() -> list[type[Source[Any]]]:
    """Name what this distribution provides."""
    return [SalesforceSource]
