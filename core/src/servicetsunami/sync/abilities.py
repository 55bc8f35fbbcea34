"""What a source can do, asked of its class: an instance may be a stand-in for one in another process."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from servicetsunami.sdk import ChangeFeed, ConfigError, Source

T = TypeVar("T")


def can(source: Source[Any], ability: type) -> bool:
    """Tell whether the source has the ability."""
    return issubclass(getattr(source, "plugin_class", type(source)), ability)


def feed_of(source: Source[Any]) -> ChangeFeed:
    """Return the source as a change feed; raises `ConfigError` if it is none."""
    if not can(source, ChangeFeed):
        raise ConfigError(
            f"{source.title or source.name} cannot tell its changes",
            code="no_change_feed",
            field="sync_mode",
            fix="sync incrementally or in full",
        )
    return cast("ChangeFeed", source)
