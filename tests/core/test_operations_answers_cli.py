"""On the command line a whole result goes into the file a person names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from answers_lab import fill, numbers, opened

from servicetsunami.cli.exits import Exit
from servicetsunami.cli.running import run


@pytest.fixture(autouse=True)
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def prepare() -> None:
        async with opened(tmp_path / "home") as app:
            await asyncio.to_thread(fill, app, "numbers", numbers(500))

    asyncio.run(prepare())
    monkeypatch.setenv("TSUNAMI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_a_result_is_written_to_a_file_and_its_place_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["query", "SELECT n FROM bronze.numbers", "--output", "out.csv"])

    assert code == Exit.OK
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 501
    printed = capsys.readouterr()
    assert printed.out.strip() == str(tmp_path / "out.csv")
    assert "500 rows" in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "out.xyz"], "ends in nothing"),
        (["--output", "taken.csv"], "already"),
        (["--output", "out.csv", "--at", "shop"], "--at"),
        (["--output", "missing/out.csv"], "No such file"),
    ],
)
def test_what_cannot_be_written_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "taken.csv").write_text("mine", encoding="utf-8")

    code = run(["query", "SELECT n FROM bronze.numbers", *arguments])

    assert code != Exit.OK
    assert said in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["taken.csv"]


def test_a_preview_shows_what_columns_hold(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["describe", "bronze.numbers", "--preview"])

    printed = capsys.readouterr()
    assert code == Exit.OK
    assert "word 19" in printed.out
    assert "499" in printed.out
    assert "of 500 rows" in printed.err
