"""Where a setting may be said, and who wins."""

from pathlib import Path

import pytest

from servicetsunami.runtime import LoadedSettings, load_settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def _user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "servicetsunami"
    folder.mkdir(parents=True)
    (folder / "tsunami.toml").write_text(text, encoding="utf-8")
    return folder / "tsunami.toml"


def _tenant(loaded: LoadedSettings) -> tuple[str, str]:
    return loaded.settings.tenant, loaded.origins["tenant"]


def test_each_place_wins_over_the_next_and_is_named_as_origin(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = _user_file(tmp_path, monkeypatch, "tenant = 'of_user'")
    environ = {"HOME": str(tmp_path / "user")}
    seen = []

    seen.append(_tenant(load_settings(environ={}, cwd=project)))
    seen.append(_tenant(load_settings(environ=environ, cwd=project)))
    (project / "tsunami.toml").write_text("tenant = 'of_project'", encoding="utf-8")
    seen.append(_tenant(load_settings(environ=environ, cwd=project)))
    (project / ".env").write_text("TSUNAMI_TENANT=of_dotenv\n", encoding="utf-8")
    seen.append(_tenant(load_settings(environ=environ, cwd=project)))
    environ |= {"TSUNAMI_TENANT": "of_environment"}
    seen.append(_tenant(load_settings(environ=environ, cwd=project)))
    seen.append(_tenant(load_settings({"tenant": "of_flag"}, environ=environ, cwd=project)))

    assert seen == [
        ("default", "default"),
        ("of_user", f"user file {user}"),
        ("of_project", "project file tsunami.toml"),
        ("of_dotenv", ".env"),
        ("of_environment", "environment TSUNAMI_TENANT"),
        ("of_flag", "flag"),
    ]


def test_every_setting_has_an_origin(tmp_path: Path) -> None:
    loaded = load_settings({"sink": None}, environ={}, cwd=tmp_path)

    assert loaded.origins == dict.fromkeys(loaded.settings.model_dump(), "default")


def test_the_project_file_is_found_from_a_folder_below(project: Path) -> None:
    (project / "tsunami.toml").write_text("evolve = 'widen'", encoding="utf-8")
    below = project / "reports" / "monthly"
    below.mkdir(parents=True)

    loaded = load_settings(environ={}, cwd=below)

    assert loaded.settings.evolve == "widen"
    assert loaded.origins["evolve"] == "project file ../../tsunami.toml"


def test_a_file_above_the_project_is_not_read(tmp_path: Path, project: Path) -> None:
    (tmp_path / "tsunami.toml").write_text("tenant = 'stranger'", encoding="utf-8")

    loaded = load_settings(environ={}, cwd=project)

    assert loaded.settings.tenant == "default"


def test_a_file_in_a_folder_that_everybody_may_write_to_is_not_read_from_below(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / ".git").mkdir(parents=True)
    (shared / "tsunami.toml").write_text("tenant = 'planted'", encoding="utf-8")
    shared.chmod(0o1777)
    mine = shared / "mine"
    mine.mkdir()

    loaded = load_settings(environ={}, cwd=mine)

    assert loaded.settings.tenant == "default"


def test_home_in_a_file_is_relative_to_that_file(project: Path) -> None:
    (project / "tsunami.toml").write_text("home = 'state'", encoding="utf-8")
    below = project / "below"
    below.mkdir()

    loaded = load_settings(environ={}, cwd=below)

    assert loaded.settings.home == project / "state"


def test_home_in_the_environment_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    loaded = load_settings(environ={"TSUNAMI_HOME": "state"}, cwd=tmp_path)

    assert loaded.settings.home == tmp_path / "state"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    loaded = load_settings(environ={"API_BASE_URL": "", "TSUNAMI_TENANT": ""}, cwd=tmp_path)

    assert (loaded.settings.api_base_url, loaded.settings.tenant) == (None, "default")


def test_lists_are_written_with_commas_in_variables_and_as_arrays_in_files(tmp_path: Path) -> None:
    from_variable = load_settings(environ={"TSUNAMI_PLUGINS_ALLOW": "a==1.0, b"}, cwd=tmp_path)
    (tmp_path / "tsunami.toml").write_text("plugins_allow = ['a==1.0', 'b']", encoding="utf-8")
    from_file = load_settings(environ={}, cwd=tmp_path)

    assert from_variable.settings.plugins_allow == from_file.settings.plugins_allow == ("a==1.0", "b")


def test_the_names_that_others_defined_are_read_as_they_are(tmp_path: Path) -> None:
    environ = {
        "API_BASE_URL": "https://api.example.com",
        "API_INTERNAL_KEY": "k1",
        "DATABRICKS_HOST": "adb-1.example.com",
        "DATABRICKS_TOKEN": "t1",
        "DATABRICKS_WAREHOUSE_ID": "w1",
        "MCP_PORT": "9000",
        "MCP_TRANSPORT": "http",
    }

    loaded = load_settings(environ=environ, cwd=tmp_path)

    assert loaded.settings.mcp_port == 9000
    assert {loaded.origins[name.lower()] for name in environ} == {f"environment {name}" for name in environ}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("TSUNAMI_SINK=plain", "plain"),
        ("export TSUNAMI_SINK=exported", "exported"),
        ("  TSUNAMI_SINK = spaced  ", "spaced"),
        ("TSUNAMI_SINK=value # a comment", "value"),
        ("TSUNAMI_SINK=with#hash", "with#hash"),
        ("TSUNAMI_SINK='single # quoted'", "single # quoted"),
        ('TSUNAMI_SINK="double \\"quoted\\"" # a comment', 'double "quoted"'),
        ("TSUNAMI_SINK=a=b", "a=b"),
        ("# TSUNAMI_SINK=commented", None),
        ("TSUNAMI_SINK=", None),
    ],
)
def test_a_line_of_dotenv_is_read_as_shells_read_it(tmp_path: Path, line: str, value: str | None) -> None:
    (tmp_path / ".env").write_text(f"OTHER=1\nnot an assignment\n{line}\n", encoding="utf-8")

    loaded = load_settings(environ={}, cwd=tmp_path)

    assert loaded.settings.sink == value
