"""Every member installs from its own wheel, and a broken plugin beside them stops nothing."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABOUT = "servicetsunami_broken-0.3.dist-info"
BROKEN = {
    "servicetsunami_broken/__init__.py": "import a_driver_that_is_not_there\n",
    f"{ABOUT}/METADATA": "Metadata-Version: 2.4\nName: servicetsunami-broken\nVersion: 0.3\n",
    f"{ABOUT}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{ABOUT}/entry_points.txt": "[servicetsunami.v1]\nbroken = servicetsunami_broken\n",
    f"{ABOUT}/RECORD": "",
}


def run(*command: str | Path, home: Path | None = None) -> str:
    environment = {**os.environ, "TSUNAMI_HOME": str(home)} if home else None
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    run("uv", "build", "--all-packages", "--wheel", "--out-dir", folder)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheel = tmp_path_factory.mktemp("broken") / "servicetsunami_broken-0.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in BROKEN.items():
            archive.writestr(name, text)
    return wheel


@pytest.fixture(scope="module")
def listing(wheels: list[Path], broken: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `tsunami plugins --json` says in a fresh environment that holds every wheel."""
    folder = tmp_path_factory.mktemp("fresh")
    python = folder / "env/bin/python"
    run("uv", "venv", "--quiet", folder / "env")
    run("uv", "pip", "install", "--quiet", "--python", python, *wheels, broken)
    answer: dict[str, Any] = json.loads(run(folder / "env/bin/tsunami", "plugins", "--json", home=folder / "home"))
    return answer


def test_every_member_has_a_wheel_with_its_licence(wheels: list[Path]) -> None:
    members = [
        path.parent
        for pattern in ("core", "lookalike", "connectors/*", "connectors_contrib/*", "sinks/*")
        for path in ROOT.glob(f"{pattern}/pyproject.toml")
    ]

    licensed = [wheel for wheel in wheels if any("/licenses/" in name for name in zipfile.ZipFile(wheel).namelist())]

    assert len(licensed) == len(wheels) == len(members)


def test_the_wheels_are_found_as_plugins_in_a_fresh_environment(listing: dict[str, Any]) -> None:
    found = {plugin["name"]: plugin["kind"] for plugin in listing["plugins"]}

    assert found["postgres"] == "connector"
    assert found["lakehouse"] == "sink"


def test_a_broken_plugin_is_listed_with_its_reason_while_the_others_work(listing: dict[str, Any]) -> None:
    (failure,) = listing["failures"]

    assert failure["distribution"] == "servicetsunami-broken"
    assert failure["version"] == "0.3"
    assert failure["code"] == "import_failed"
    assert "a_driver_that_is_not_there" in failure["reason"]
    assert failure["fix"]
    assert len(listing["plugins"]) >= 2
