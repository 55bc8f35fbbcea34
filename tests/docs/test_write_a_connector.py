"""The tutorial "Write a connector" tells what its example does, and the example works from its own wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/connector-notes"
TUTORIAL = ROOT / "docs/tutorial/write-a-connector.md"
BLOCK = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)
NOTES = [
    {"id": 1, "edited": "2024-05-01T09:00:00Z", "text": "buy milk"},
    {"id": 2, "edited": "2024-05-02T09:00:00Z", "text": "call Ada"},
]


@dataclass(frozen=True)
class Machine:
    """A fresh environment with the example installed, and a folder of notes."""

    folder: Path

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env={**os.environ, "TSUNAMI_HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def tsunami(self, *arguments: str) -> Any:
        return json.loads(self.run(self.folder / "env/bin/tsunami", *arguments, "--json"))

    def write(self, *notes: dict[str, Any]) -> None:
        text = "".join(f"{json.dumps(note)}\n" for note in notes)
        (self.folder / "notes.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("tutorial"))
    wheels = machine.folder / "wheels"
    for package in ("servicetsunami", "servicetsunami-sink-lakehouse"):
        machine.run("uv", "build", "--quiet", "--wheel", "--directory", ROOT, "--package", package, "--out-dir", wheels)
    machine.run("uv", "build", "--quiet", "--wheel", "--no-sources", EXAMPLE, "--out-dir", wheels)
    machine.run("uv", "venv", "--quiet", "env")
    machine.run("uv", "pip", "install", "--quiet", "--python", "env/bin/python", "pytest", *wheels.glob("*.whl"))
    return machine


def test_every_file_in_the_tutorial_is_a_file_of_the_example() -> None:
    blocks = {match["path"]: match["text"] for match in BLOCK.finditer(TUTORIAL.read_text(encoding="utf-8"))}

    files = {path: (EXAMPLE / path).read_text(encoding="utf-8") for path in blocks}

    assert blocks == files
    assert len(blocks) == 3


def test_the_connector_has_fewer_than_40_lines() -> None:
    source = (EXAMPLE / "src/servicetsunami_notes/__init__.py").read_text(encoding="utf-8")

    assert len(source.splitlines()) < 40


def test_the_example_is_listed_once_it_is_installed(machine: Machine) -> None:
    listing = machine.tsunami("plugins")

    (notes,) = [plugin for plugin in listing["plugins"] if plugin["name"] == "notes"]
    assert (notes["distribution"], notes["version"], notes["license"]) == ("servicetsunami-notes", "0.1.0", "MIT")
    assert listing["failures"] == []


def test_the_example_passes_the_contract_as_its_own_tests_run_it(machine: Machine) -> None:
    alone = ("-p", "no:cacheprovider", "-c", EXAMPLE / "pyproject.toml", "--rootdir", EXAMPLE)

    report = machine.run("env/bin/python", "-m", "pytest", "-rs", *alone, EXAMPLE / "tests")

    assert "leads to servicetsunami_notes" not in report, "the installed entry point was not looked at"
    assert " passed" in report


def test_the_example_serves_a_sync_and_then_only_what_changed(machine: Machine) -> None:
    count = "SELECT count(*) AS n FROM bronze.notes"
    machine.write(*NOTES)
    machine.tsunami("connect", "notes", "--name", "diary", "--set", "path=notes.jsonl")

    machine.tsunami("sync", "diary", "notes")
    first = machine.tsunami("query", count)
    machine.write(*NOTES, {"id": 2, "edited": "2024-05-03T09:00:00Z", "text": "called Ada"})
    machine.tsunami("sync", "diary", "notes")
    second = machine.tsunami("query", "SELECT text FROM bronze.notes WHERE id = 2")

    assert first["rows"] in ([["2"]], [[2]])
    assert second["rows"] == [["called Ada"]]
