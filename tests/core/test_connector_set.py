"""Connectors that an installation keeps: written down, installed again in a new environment, and told of when lost."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.cli.running import run
from servicetsunami.operations.connector_set import lost_connectors
from servicetsunami.operations.connector_set.kept import FILE, Kept, named, read, write
from servicetsunami.sdk import ConfigError, PermissionDenied

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/connector-notes"
NOT_THERE = "servicetsunami-not-there"


def test_what_is_kept_is_read_as_it_was_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    kept = [named("Servicetsunami_B>=1.2"), named("a @ https://example.org/a-1-py3-none-any.whl")]

    write(home, kept)

    assert read(home) == (kept[1], kept[0])
    assert [one.distribution for one in read(home)] == ["a", "servicetsunami-b"]
    assert (home / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == [FILE]


def test_a_line_that_is_no_requirement_is_named_by_its_number(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("# mine\n\nservicetsunami-a\n=canary= ==\n", encoding="utf-8")

    with pytest.raises(ConfigError) as broken:
        read(tmp_path)

    assert (broken.value.code, "line 4 of" in broken.value.message) == ("connectors_file_broken", True)
    assert "canary" not in str(broken.value)


def test_a_file_that_is_no_text_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError) as broken:
        read(tmp_path)

    assert broken.value.code == "connectors_file_broken"


def test_a_home_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file", encoding="utf-8")

    with pytest.raises(PermissionDenied) as refused:
        write(tmp_path / "home", [Kept("a", "a")])

    assert refused.value.code == "home_unavailable"


def test_the_doctor_tells_of_connectors_that_are_kept_and_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [named(NOT_THERE), named("servicetsunami-postgres")])

    run(["--home", str(tmp_path), "doctor", "--json"])

    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert lost_connectors(tmp_path) == [NOT_THERE]
    assert checks["connectors"]["status"] == "warning"
    assert NOT_THERE in checks["connectors"]["detail"]
    assert checks["connectors"]["fix"] == "tsunami connectors sync"


def test_a_list_with_a_lost_connector_fails_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [named(NOT_THERE)])

    code = run(["--home", str(tmp_path), "connectors"])

    said = capsys.readouterr()
    assert code == 1
    assert NOT_THERE in said.out
    assert "tsunami connectors sync" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["remove", "postgre"], "connector_not_found", "postgres"),
        (["add", "two words"], "bad_requirement", "a name such as"),
        (["add", "https://user:canary@example.org/x.whl"], "bad_requirement", "a name such as"),
    ],
)
def test_what_cannot_be_added_or_removed_is_told(
    arguments: list[str], code: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = run(["--home", str(tmp_path), "connectors", *arguments])

    said = capsys.readouterr().err
    assert exit_code != 0
    assert code in said
    assert words in said
    assert "canary" not in said


@dataclass(frozen=True)
class Machine:
    """A folder with a home that outlives environments."""

    folder: Path

    def uv(self, *arguments: str | Path) -> None:
        subprocess.run(["uv", *map(str, arguments)], cwd=self.folder, check=True, timeout=280, capture_output=True)

    def make(self, environment: str) -> None:
        self.uv("venv", "--quiet", environment)
        wheels = (self.folder / "ours").glob("*.whl")
        self.uv("pip", "install", "--quiet", "--python", f"{environment}/bin/python", *wheels)

    def connectors(self, environment: str, *arguments: str | Path) -> tuple[int, Any, str]:
        """Run a command without any index: what is installed comes from this folder."""
        done = subprocess.run(
            [f"{environment}/bin/tsunami", "--home", "home", "connectors", *map(str, arguments), "--json"],
            cwd=self.folder,
            env={**os.environ, "UV_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        listed = json.loads(done.stdout)["connectors"] if done.stdout else []
        return done.returncode, {one["distribution"]: one for one in listed}, done.stderr


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.uv("build", "--quiet", "--wheel", "--directory", ROOT, "--package", "servicetsunami", "--out-dir",
               machine.folder / "ours")  # fmt: skip
    machine.uv("build", "--quiet", "--wheel", "--no-sources", EXAMPLE, "--out-dir", machine.folder / "theirs")
    machine.make("first")
    return machine


def test_a_connector_outlives_the_environment_it_was_installed_into(machine: Machine) -> None:
    (wheel,) = (machine.folder / "theirs").glob("*.whl")

    added = machine.connectors("first", "add", wheel)
    machine.make("second")
    lost = machine.connectors("second", "list")
    synced = machine.connectors("second", "sync")
    removed = machine.connectors("second", "remove", "notes")
    after = machine.connectors("second", "list")

    name = "servicetsunami-notes"
    assert (added[0], added[1][name]["status"], added[1][name]["connectors"]) == (0, "installed", ["notes"])
    assert (lost[0], lost[1][name]["status"]) == (1, "missing")
    assert (synced[0], synced[1][name]["status"]) == (0, "installed")
    assert (removed[0], name in removed[1]) == (0, False)
    assert (after[0], name in after[1]) == (0, False)


def test_what_cannot_be_installed_is_not_kept(machine: Machine) -> None:
    code, _listed, said = machine.connectors("first", "add", "servicetsunami-nobody-wrote-this")

    assert (code != 0, "install_failed" in said) == (True, True)
    assert "Traceback" not in said
    assert "nobody-wrote-this" not in (machine.folder / "home" / FILE).read_text(encoding="utf-8")


def test_a_package_without_connectors_is_refused(machine: Machine) -> None:
    code, _listed, said = machine.connectors("first", "add", "pluggy")

    assert (code != 0, "no_connector" in said) == (True, True)
    assert "pluggy" not in (machine.folder / "home" / FILE).read_text(encoding="utf-8")
