"""What is said of a stream without key where one is needed."""

from __future__ import annotations

from servicetsunami.sdk import ConfigError, Stream


def no_key(stream: Stream) -> ConfigError:
    """Say that the changes of a stream cannot be applied."""
    return ConfigError(
        f"'{stream.id}' has no key, so nothing says which row a change is about",
        code="no_key",
        field="sync_mode",
        fix="give it a primary key, name its key in the connection's stream settings, or sync it in full",
    )
