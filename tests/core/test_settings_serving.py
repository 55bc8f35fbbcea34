"""What is asked for and cannot be served is refused; nothing else is done instead."""

import pytest

from servicetsunami.runtime import Settings, active_sink, refuse_unserved
from servicetsunami.sdk import ConfigError

_DATABRICKS = {"databricks_host": "adb-1", "databricks_token": "t", "databricks_warehouse_id": "w"}


def _refusal(installed: set[str], **settings: object) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        refuse_unserved(Settings.model_validate(settings), installed)
    return refused.value


def test_the_defaults_are_served() -> None:
    refuse_unserved(Settings(), {"lakehouse"})

    assert active_sink(Settings(), {"lakehouse"}) == "lakehouse"


def test_records_on_another_machine_are_refused() -> None:
    error = _refusal({"lakehouse"}, api_base_url="https://api.example.com")

    assert (error.code, error.field) == ("records_remote_unavailable", "api_base_url")
    assert error.fix


@pytest.mark.parametrize("name", sorted(_DATABRICKS))
def test_any_databricks_variable_is_refused_where_no_databricks_sink_is_installed(name: str) -> None:
    error = _refusal({"lakehouse"}, **{name: "x"})

    assert (error.code, error.field) == ("sink_databricks_unavailable", name)
    assert "TSUNAMI_SINK=lakehouse" in str(error.fix)


def test_a_databricks_variable_that_is_missing_is_named_where_the_sink_is_installed() -> None:
    error = _refusal({"databricks", "lakehouse"}, databricks_host="adb-1", databricks_warehouse_id="w")

    assert (error.code, error.field) == ("sink_databricks_incomplete", "databricks_token")


def test_databricks_is_chosen_where_it_is_installed_and_its_variables_are_set() -> None:
    settings = Settings.model_validate(_DATABRICKS)

    refuse_unserved(settings, {"databricks", "lakehouse"})

    assert active_sink(settings, {"databricks", "lakehouse"}) == "databricks"


def test_a_sink_that_is_named_outright_wins_over_databricks_variables() -> None:
    settings = Settings.model_validate({**_DATABRICKS, "sink": "lakehouse"})

    refuse_unserved(settings, {"lakehouse"})

    assert active_sink(settings, {"databricks", "lakehouse"}) == "lakehouse"
