"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core/src/servicetsunami"
PLUGINS = sorted(
    package
    for pattern in ("connectors/*/src/*", "connectors_contrib/*/src/*", "sinks/*/src/*", "docs/examples/*/src/*")
    for package in ROOT.glob(pattern)
    if (package / "__init__.py").exists()
)
LIGHT = {"pluggy", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
HOST = {"cli", "api", "mcp", "client", "assistant", "operations", "sync", "records", "plugins", "runtime"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_by(module: str) -> set[str]:
    """Return what importing `module` loads, the standard library left out."""
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-I", "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return {name for name in loaded if name not in sys.stdlib_module_names and not name.startswith(("_", "sitecustom"))}


def test_the_sdk_loads_pluggy_pydantic_and_the_standard_library_only() -> None:
    loaded = loaded_by("servicetsunami.sdk")

    assert loaded <= LIGHT | {"servicetsunami"}


@pytest.mark.parametrize("package", PLUGINS, ids=lambda package: package.name)
def test_a_plugin_loads_no_driver_when_it_is_found(package: Path) -> None:
    if package.is_relative_to(ROOT / "docs"):
        pytest.skip("an example is installed by the test of its tutorial, which looks at this too")

    loaded = loaded_by(package.name)

    assert loaded <= LIGHT | {"servicetsunami", package.name}


def test_each_layer_imports_only_those_below() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("package", PLUGINS, ids=lambda package: package.name)
def test_a_plugin_imports_of_ours_only_the_sdk_and_itself(package: Path) -> None:
    ours = {
        (path.name, name)
        for path in package.rglob("*.py")
        for name in imported(path)
        if name.startswith("servicetsunami") and name.partition(".")[0] != package.name
    }

    assert {(path, name) for path, name in ours if not name.startswith("servicetsunami.sdk")} == set()


def test_the_sdk_imports_nothing_of_the_host() -> None:
    hosts = {f"servicetsunami.{layer}" for layer in HOST}

    found = {
        (path.name, name)
        for path in (CORE / "sdk").rglob("*.py")
        for name in imported(path)
        if ".".join(name.split(".")[:2]) in hosts
    }

    assert found == set()


def test_only_the_guard_makes_a_guarded_query() -> None:
    callers = {
        path.relative_to(CORE).as_posix()
        for root in (CORE, *PLUGINS)
        for path in root.rglob("*.py")
        if any(name.endswith("guarded.sealed") for name in imported(path)) or "._SEAL" in path.read_text("utf-8")
    }

    assert callers == {"sdk/sql/databricks.py"}
