"""What the settings ask for and this installation can serve: it refuses the rest, and never does something else."""

from __future__ import annotations

from collections.abc import Collection

from servicetsunami.runtime.settings import Settings, variable_of
from servicetsunami.sdk import ConfigError

_DATABRICKS = ("databricks_host", "databricks_token", "databricks_warehouse_id")


def active_sink(settings: Settings, installed: Collection[str]) -> str:
    """Return the name of the sink in force: the setting `sink`, else databricks if it can be used, else lakehouse."""
    if settings.sink:
        return settings.sink
    ready = "databricks" in installed and not _missing(settings)
    return "databricks" if ready else "lakehouse"


def refuse_unserved(settings: Settings, installed_sinks: Collection[str]) -> None:
    """Raise `ConfigError` for what the settings ask for and nobody here can serve.

    Codes: `records_remote_unavailable`, `sink_databricks_unavailable`, `sink_databricks_incomplete`.
    """
    _refuse_remote_records(settings)
    _refuse_databricks(settings, installed_sinks)


def _refuse_remote_records(settings: Settings) -> None:
    if settings.api_base_url:
        raise ConfigError(
            "API_BASE_URL asks for a system of record on another machine, which this release cannot use, so it does "
            "not start",
            code="records_remote_unavailable",
            field="api_base_url",
            fix="unset API_BASE_URL to keep the records on this machine, or set TSUNAMI_RECORDS_URL to a PostgreSQL "
            "that several machines share",
        )


def _refuse_databricks(settings: Settings, installed: Collection[str]) -> None:
    given = [variable_of(name) for name in _DATABRICKS if getattr(settings, name)]
    if settings.sink or not given:
        return
    instead = f"or set TSUNAMI_SINK=lakehouse to use the lakehouse on this machine although {', '.join(given)} is set"
    if "databricks" not in installed:
        raise ConfigError(
            f"{', '.join(given)} asks for Databricks, but no sink named databricks is installed, so nothing starts",
            code="sink_databricks_unavailable",
            field=given[0].lower(),
            fix=f"pip install 'servicetsunami[databricks]', {instead}",
        )
    missing = _missing(settings)
    if missing:
        raise ConfigError(
            f"{', '.join(given)} asks for Databricks, but {', '.join(missing)} is not set, so nothing starts",
            code="sink_databricks_incomplete",
            field=missing[0].lower(),
            fix=f"set {', '.join(missing)}, {instead}",
        )


def _missing(settings: Settings) -> list[str]:
    by_oauth = settings.databricks_client_id and settings.databricks_client_secret
    wanted = [name for name in _DATABRICKS if not (by_oauth and name == "databricks_token")]
    return [variable_of(name) for name in wanted if not getattr(settings, name)]
