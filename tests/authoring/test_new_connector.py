"""A new connector works as it is: installed in a fresh environment its tests pass, and it is certified."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.cli.running import run

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Author:
    """Somebody with an environment of their own."""

    folder: Path

    def run(self, *command: str | Path, cwd: Path | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=cwd or self.folder,
            env={**os.environ, "TSUNAMI_HOME": str(self.folder / "home"), "UV_OFFLINE": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert bool(done.returncode) == fails, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def tsunami(self, *arguments: str | Path, fails: bool = False) -> Any:
        return json.loads(self.run(self.folder / "env/bin/tsunami", *arguments, "--json", fails=fails))


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    author = Author(tmp_path_factory.mktemp("author"))
    wheels = author.folder / "wheels"
    author.run(
        "uv", "build", "--quiet", "--wheel", "--directory", ROOT, "--package", "servicetsunami", "--out-dir", wheels
    )
    (wheel,) = wheels.glob("*.whl")
    author.run("uv", "venv", "--quiet", "env")
    author.run("uv", "pip", "install", "--quiet", "--python", "env/bin/python", f"{wheel}[author]")
    return author


def test_a_new_connector_passes_its_tests_and_is_certified(
    author: Author, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    made = author.tsunami("new-connector", "acme_crm", "--title", "Acme CRM")
    folder = Path(made["folder"])
    author.run("uv", "pip", "install", "--quiet", "--python", "env/bin/python", "-e", folder)
    tested = author.run(author.folder / "env/bin/python", "-m", "pytest", "-q", cwd=folder)
    seconds = time.monotonic() - began
    certificate = author.tsunami("certify", "acme_crm", "--tests", folder / "tests")
    lines = sum(len((folder / file).read_text(encoding="utf-8").splitlines()) for file in made["files"])
    record_property("new_connector", f"{seconds:.1f} s to green; {len(made['files'])} files, {lines} lines")

    assert "failed" not in tested
    assert certificate["certified"] is True
    assert [point["id"] for point in certificate["points"] if point["status"] != "passed"] == []
    assert certificate["tests"]["contract"] is True


def test_a_connector_that_is_broken_is_not_certified(author: Author) -> None:
    made = author.tsunami("new-connector", "broken", "--into", author.folder)
    folder = Path(made["folder"])
    module = folder / "src/servicetsunami_broken/__init__.py"
    text = module.read_text(encoding="utf-8")
    text = text.replace("token: SecretStr", "token: str").replace("bearer=self.config.token)", "bearer=SecretStr(''))")
    text = text.replace('{"since": read.since, ', "{")
    module.write_text(f"import servicetsunami.records\nimport pyarrow\n{text}", encoding="utf-8")
    (folder / "README.md").write_text("# Nothing\n", encoding="utf-8")
    author.run("uv", "pip", "install", "--quiet", "--python", "env/bin/python", "-e", folder)

    certificate = author.tsunami("certify", "broken", fails=True)

    failed = {point["id"] for point in certificate["points"] if point["status"] == "failed"}
    assert failed == {"D4", "D6", "D7", "D10", "D11"}
    assert certificate["certified"] is False


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Ümlaut", "bad_connector_name"),
        ("class", "bad_connector_name"),
        ("9lives", "bad_connector_name"),
        ("../up", "bad_connector_name"),
        ("a" * 60, "bad_connector_name"),
        ("postgres", "connector_exists"),
        ("taken", "folder_exists"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_written(
    name: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "servicetsunami-taken").mkdir()

    exit_code = run(["--home", str(tmp_path / "home"), "new-connector", name, "--into", str(tmp_path)])

    assert exit_code != 0
    assert code in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["servicetsunami-taken"]


def test_a_connector_that_is_not_there_cannot_be_certified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["--home", str(tmp_path), "certify", "postgre"])

    said = capsys.readouterr().err
    assert code != 0
    assert "connector_not_found" in said
    assert "postgres" in said


def test_a_folder_without_tests_certifies_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["--home", str(tmp_path), "certify", "rest", "--tests", str(tmp_path)])

    assert code != 0
    assert "no_tests" in capsys.readouterr().err
