"""The error for what Databricks would answer and the local engine does not."""

from __future__ import annotations

from servicetsunami.sdk import ConfigError


def unsupported(
    what: str, fix: str = "say it another way; the README of the lakehouse lists what is answered"
) -> ConfigError:
    """Say that `what` is not answered here, since the answer could differ from that of Databricks."""
    return ConfigError(
        f"the local engine does not answer {what}: its answer could differ from that of Databricks",
        code="sql_unsupported",
        field="sql",
        fix=fix,
    )
