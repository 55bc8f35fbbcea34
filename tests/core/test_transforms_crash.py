"""A transform that is killed leaves the table as it was or as it should be, and the next run completes it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transform_lab import Lab, lab

from servicetsunami.sdk import Json, NotFound

STEPS: list[Json] = [
    {"op": "case", "columns": ["name"], "to": "lower"},
    {"op": "filter", "where": "n > 0"},
]
CHECKS: list[Json] = [{"check": "one_of", "column": "name", "values": ["a", "b", "c"], "action": "quarantine"}]
FIRST = {"id": [1, 2, 3], "name": ["A", "B", "X"], "n": [1, 1, 1]}
SECOND = {"id": [2, 4], "name": ["B", "C"], "n": [0, 1]}
AFTER_FIRST = [(1, "a"), (2, "b"), (3, "x")]
AFTER_SECOND = [(1, "a"), (3, "x"), (4, "c")]


async def rows(here: Lab, table: str = "t") -> list[tuple[Any, ...]]:
    try:
        return await here.rows(f"select id, name from silver.{table} order by id")
    except NotFound:
        return []


def prepared(home: Path, *, synced_again: bool) -> None:
    async def prepare() -> None:
        async with lab(home) as here:
            await here.sync("t", FIRST, key=("id",), connection="files")
            if synced_again:
                await here.transform("t", STEPS)
                await here.sync("t", SECOND, key=("id",), connection="files")

    asyncio.run(prepare())


def killed(home: Path, place: str, checks: list[Json]) -> None:
    """Run the command in a process that is ended at once where it reaches the place."""
    steps = home / "steps.json"
    steps.write_text(json.dumps({"transformations": STEPS, "checks": checks}))
    command = [sys.executable, "-m", "servicetsunami.cli", "--home", str(home), "transform", "bronze.t"]
    ended = subprocess.run(
        [*command, "--steps", str(steps)],
        env={**os.environ, "TSUNAMI_FAILPOINT": f"{place}=kill"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr


def found_and_completed(home: Path, checks: list[Json]) -> tuple[Any, Any, Any, str]:
    """Return the table as it is found, as the next run leaves it, what is set aside then, and that run's mode."""

    async def look() -> tuple[Any, Any, Any, str]:
        async with lab(home) as here:
            found = await rows(here)
            made = await here.transform("t", STEPS, checks)
            return found, await rows(here), await rows(here, "t_quarantine"), str(made.mode)

    return asyncio.run(look())


@pytest.mark.parametrize("place", ["after_first_batch", "before_replace", "after_replace"])
def test_a_first_run_that_is_killed_shows_nothing_or_all(tmp_path: Path, place: str) -> None:
    prepared(tmp_path, synced_again=False)
    killed(tmp_path, place, [])
    found, completed, _, mode = found_and_completed(tmp_path, [])

    assert found == (AFTER_FIRST if place == "after_replace" else [])
    assert (completed, mode) == (AFTER_FIRST, "unchanged" if place == "after_replace" else "full")


@pytest.mark.parametrize("place", ["after_first_batch", "before_commit", "after_commit"])
def test_an_incremental_run_that_is_killed_shows_the_table_before_or_after(tmp_path: Path, place: str) -> None:
    prepared(tmp_path, synced_again=True)
    killed(tmp_path, place, [])
    found, completed, _, mode = found_and_completed(tmp_path, [])

    assert found == (AFTER_SECOND if place == "after_commit" else AFTER_FIRST)
    assert (completed, mode) == (AFTER_SECOND, "unchanged" if place == "after_commit" else "incremental")


def test_a_run_that_is_killed_between_setting_aside_and_writing_is_completed(tmp_path: Path) -> None:
    prepared(tmp_path, synced_again=False)
    killed(tmp_path, "after_replace", CHECKS)
    found, completed, aside, mode = found_and_completed(tmp_path, CHECKS)

    assert (found, mode) == ([], "full")
    assert (completed, aside) == (AFTER_FIRST[:2], AFTER_FIRST[2:])
