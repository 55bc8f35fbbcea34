"""A report card of a connector: the points of the standard as it is installed, and what its own tests say."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import Field

from servicetsunami.operations.models import Result
from servicetsunami.plugins import Plugins
from servicetsunami.sdk import ConfigError, NotFound
from servicetsunami.sdk.testing.standard import POINTS, Installed, Point, installed

_SECONDS = 900
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


class PointView(Result):
    """One point of the standard."""

    id: str
    title: str
    status: Literal["passed", "failed"]
    found: str | None = Field(None, description="What is wrong.")


class TestsView(Result):
    """What the connector's own tests say."""

    __test__ = False

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    contract: bool = Field(description="Whether a test class is a SourceContract.")


class Certificate(Result):
    """A connector's report card."""

    connector: str
    distribution: str
    version: str
    points: tuple[PointView, ...]
    tests: TestsView | None = Field(None, description="None where no folder of tests was given.")
    certified: bool = Field(description="True if every point holds, and the tests pass and run the contract.")


def certify(plugins: Plugins, name: str, tests: Path | None = None) -> Certificate:
    """Look at an installed connector; with `tests` run those too, in a process of their own.

    Raises `NotFound` (`connector_not_found`), and `ConfigError` (`no_tests`) for a folder without any.
    """
    cls = plugins.connector(name)
    found = next(one for one in plugins.found if one.kind == "connector" and one.name == name)
    where = installed(cls)
    if where is None:
        raise NotFound(
            f"the connector '{name}' is not installed as a distribution, so there is nothing to certify",
            code="connector_not_found",
            fix="install it with pip, in editable mode while you work on it",
        )
    points = tuple(_looked_at(point, where) for point in POINTS)
    told = None if tests is None else _tested(tests)
    holds = all(point.status == "passed" for point in points)
    return Certificate(
        connector=name,
        distribution=found.distribution,
        version=found.version,
        points=points,
        tests=told,
        certified=holds and told is not None and told.contract and told.passed > 0 and not told.failed,
    )


def _looked_at(point: Point, where: Installed) -> PointView:
    wrong = point.check(where)
    return PointView(id=point.id, title=point.title, status="failed" if wrong else "passed", found=wrong)


def _tested(folder: Path) -> TestsView:
    files = list(folder.rglob("test_*.py")) if folder.is_dir() else []
    if not files:
        raise ConfigError(
            f"there are no tests in {folder}",
            code="no_tests",
            field="tests",
            fix="name the folder of the connector's tests, such as ./tests",
        )
    with tempfile.TemporaryDirectory() as empty:
        # A configuration of its own, so that what stands around the folder plays no part.
        config = Path(empty) / "pytest.ini"
        config.write_text(
            "[pytest]\naddopts = --import-mode=importlib -p servicetsunami.sdk.testing.plugin\nmarkers = server\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(config), "-p", "no:cacheprovider", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603 - no shell
    counts = {word: int(number) for number, word in _COUNT.findall(done.stdout.rpartition("\n=")[2] or done.stdout)}
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    contract = any("SourceContract)" in file.read_text(encoding="utf-8") for file in files)
    return TestsView(
        passed=counts.get("passed", 0),
        failed=failed or int(done.returncode != 0),
        skipped=counts.get("skipped", 0),
        contract=contract,
    )
