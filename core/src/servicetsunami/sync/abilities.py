"""What a source can do beyond reading."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk import ChangeFeed, ConfigError, Source


def feed_of(source: Source[Any]) -> ChangeFeed:
    """Return the source as a change feed; raises `ConfigError` if it is none."""
    if not isinstance(source, ChangeFeed):
        raise ConfigError(
            f"{source.title or source.name} cannot tell its changes",
            code="no_change_feed",
            field="sync_mode",
            fix="sync incrementally or in full",
        )
    return source
