"""Settings that are refused: unknown names, values that do not fit, files that cannot be read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from servicetsunami.runtime import live_secrets, load_settings
from servicetsunami.sdk import ConfigError

_CANARY = "canary-7f3a-secret"


def _refusal(load: Callable[[], object]) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        load()
    return refused.value


def test_an_unknown_flag_is_refused_with_the_name_that_was_meant(tmp_path: Path) -> None:
    error = _refusal(lambda: load_settings({"tennant": "acme"}, environ={}, cwd=tmp_path))

    assert (error.code, error.field, error.did_you_mean) == ("unknown_setting", "tennant", ("tenant",))


def test_an_unknown_variable_with_our_prefix_is_refused(tmp_path: Path) -> None:
    error = _refusal(lambda: load_settings(environ={"TSUNAMI_TENNANT": "acme"}, cwd=tmp_path))

    assert (error.code, error.did_you_mean[0]) == ("unknown_setting", "TSUNAMI_TENANT")
    assert error.message == "'TSUNAMI_TENNANT', found in the environment, is not a setting, so it would have no effect"


def test_the_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DJANGO_SETTINGS=x\nBROKEN='no end\n", encoding="utf-8")

    loaded = load_settings(environ={"PATH": "/bin", "TSUNAMI_DEMO_POSTGRES_URL": "x"}, cwd=tmp_path)

    assert set(loaded.origins.values()) == {"default"}


def test_a_secret_of_a_source_is_no_setting_and_lies_in_the_environment_itself(tmp_path: Path) -> None:
    loaded = load_settings(environ={"TSUNAMI_SECRET_SHOP": _CANARY}, cwd=tmp_path)
    (tmp_path / ".env").write_text(f"TSUNAMI_SECRET_SHOP={_CANARY}\n", encoding="utf-8")

    error = _refusal(lambda: load_settings(environ={}, cwd=tmp_path))

    assert set(loaded.origins.values()) == {"default"}
    assert error.code == "unknown_setting"
    assert _CANARY not in str(error.problem())


@pytest.mark.parametrize("name", ["tsunami.toml", ".env"])
def test_an_unknown_name_in_a_file_is_refused_with_that_file(tmp_path: Path, name: str) -> None:
    text = "tennant = 'acme'" if name == "tsunami.toml" else "TSUNAMI_TENNANT=acme"
    (tmp_path / name).write_text(text, encoding="utf-8")

    error = _refusal(lambda: load_settings(environ={}, cwd=tmp_path))

    assert error.code == "unknown_setting"
    assert str(tmp_path / name) in error.message


def test_a_value_that_is_none_of_the_choices_names_setting_origin_and_the_nearest_choice(tmp_path: Path) -> None:
    error = _refusal(lambda: load_settings(environ={"TSUNAMI_EVOLVE": "widn"}, cwd=tmp_path))

    assert (error.code, error.field, error.did_you_mean) == ("invalid_setting", "evolve", ("widen",))
    assert "environment TSUNAMI_EVOLVE" in error.message


@pytest.mark.parametrize("tenant", ["", "Acme", "a-b", "_a", "a" * 49, "a\n", "../a", "é"])
def test_a_tenant_that_could_not_name_a_catalog_is_refused(tmp_path: Path, tenant: str) -> None:
    error = _refusal(lambda: load_settings({"tenant": tenant}, environ={}, cwd=tmp_path))

    assert error.field == "tenant"


@pytest.mark.parametrize(
    "environ",
    [
        {"MCP_PORT": _CANARY},
        {"TSUNAMI_QUERY_TIMEOUT_SECONDS": _CANARY},
        {"TSUNAMI_USE_KEYRING": _CANARY},
        {"TSUNAMI_ALLOWED_NETWORKS": _CANARY},
        {"TSUNAMI_EVOLVE": _CANARY},
        {"TSUNAMI_TENANT": _CANARY.upper()},
    ],
)
def test_no_refusal_repeats_the_value(tmp_path: Path, environ: dict[str, str]) -> None:
    error = _refusal(lambda: load_settings(environ=environ, cwd=tmp_path))

    assert error.code == "invalid_setting"
    assert _CANARY not in error.problem().model_dump_json().lower()
    assert error.__cause__ is None


def test_a_secret_of_the_wrong_type_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "tsunami.toml").write_text(f"databricks_token = ['{_CANARY}']", encoding="utf-8")

    error = _refusal(lambda: load_settings(environ={}, cwd=tmp_path))

    assert error.field == "databricks_token"
    assert _CANARY not in error.problem().model_dump_json()


@pytest.mark.parametrize("content", [b"tenant = ", b"[tenant\n", b"tenant = '\xff'", b"tenant = 'a'\ntenant = 'b'"])
def test_a_file_that_is_not_toml_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tsunami.toml").write_bytes(content)

    error = _refusal(lambda: load_settings(environ={}, cwd=tmp_path))

    assert error.code == "settings_file_invalid"
    assert "tsunami.toml" in error.message


def test_quotes_that_do_not_end_are_refused_by_line_without_the_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"A=1\nDATABRICKS_TOKEN='{_CANARY}\n", encoding="utf-8")

    error = _refusal(lambda: load_settings(environ={}, cwd=tmp_path))

    assert error.why == "line 2 does not end its quotes, or goes on after them"
    assert _CANARY not in error.problem().model_dump_json()


def test_no_secret_shows_in_the_settings_in_any_form(tmp_path: Path) -> None:
    environ = {
        "TSUNAMI_MASTER_KEY": _CANARY,
        "API_INTERNAL_KEY": _CANARY,
        "DATABRICKS_TOKEN": _CANARY,
        "TSUNAMI_RECORDS_URL": f"postgresql://ada:{_CANARY}@db.example.com/records",
        "API_BASE_URL": f"https://ada:{_CANARY}@api.example.com",
    }

    settings = load_settings(environ=environ, cwd=tmp_path).settings

    shown = settings.model_dump_json() + repr(settings) + str(settings)
    assert _CANARY not in shown
    assert "postgresql://ada:***@db.example.com/records" in shown
    assert sorted(live_secrets(settings)) == [_CANARY] * 5


def test_a_password_with_an_at_sign_in_a_url_is_masked_whole(tmp_path: Path) -> None:
    environ = {"TSUNAMI_RECORDS_URL": "postgresql://ada:half@other@db/records"}

    settings = load_settings(environ=environ, cwd=tmp_path).settings

    assert settings.model_dump(mode="json")["records_url"] == "postgresql://ada:***@db/records"
    assert list(live_secrets(settings)) == ["half@other"]
