"""What is said of a plugin that failed without a meaning."""

from __future__ import annotations

from servicetsunami.sdk import PermanentError, TsunamiError


def plugin_crashed(error: BaseException) -> TsunamiError:
    """Turn an exception without a meaning into one that tells its kind and nothing of its payload."""
    return PermanentError(
        f"the connector failed with {type(error).__name__}, so the read is not complete",
        code="plugin_crashed",
        fix="report this to the connector's maintainers; `tsunami --debug` shows where it happened",
    )
