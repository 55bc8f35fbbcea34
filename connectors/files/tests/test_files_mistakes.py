"""The twelve commonest mistakes: what a person sees is what the README says they see, and holds no row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from servicetsunami.sdk import Read, Stream, TsunamiError
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_files import FilesConfig, FilesSource

README = Path(__file__).parents[1] / "README.md"
CANARY = "canary"


class Desk:
    """A folder that may be read, and one beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "exports"
        self.folder.mkdir()
        self.ctx = LocalContext(data_dir=folder / "data", file_roots=(self.folder,))

    def write(self, name: str, content: str | bytes) -> None:
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def source(self, location: str = ".", **settings: Any) -> FilesSource:
        return FilesSource(FilesConfig(location=location, **settings), self.ctx)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def wrong_path(desk: Desk) -> None:
    desk.source("orders.csv").check()


def path_elsewhere(desk: Desk) -> None:
    desk.source("/etc/canary").check()


def path_upwards(desk: Desk) -> None:
    desk.source("../canary").check()


def empty_folder(desk: Desk) -> None:
    desk.source().check()


def pattern_without_files(desk: Desk) -> None:
    desk.write("orders.csv", "id\n1\n")
    desk.source(streams={"orders": "order_*.csv"}).check()


def unknown_ending(desk: Desk) -> None:
    desk.write("orders.dat", "id\n1\n")
    desk.source(streams={"orders": "*.dat"}).check()


def other_encoding(desk: Desk) -> None:
    desk.write("orders.csv", "id,name\n1,Zoë canary\n".encode("latin-1"))
    desk.source().check()


def two_delimiters(desk: Desk) -> None:
    desk.write("orders.csv", "a,b;c\n1,2;canary\n4,5;6\n")
    desk.source().check()


def renamed_to_excel(desk: Desk) -> None:
    desk.write("orders.xlsx", "id,name\n1,canary\n")
    desk.source().check()


def mistyped_table(desk: Desk) -> None:
    desk.write("orders.csv", "id\n1\n")
    list(desk.source().read(Read(Stream("order"))))


def still_empty(desk: Desk) -> None:
    desk.write("orders.csv", b"")
    desk.source().check()


def mistyped_encoding(desk: Desk) -> None:
    desk.source(encoding="utf8mb4")


MISTAKES: tuple[Callable[[Desk], None], ...] = (
    wrong_path,
    path_elsewhere,
    path_upwards,
    empty_folder,
    pattern_without_files,
    unknown_ending,
    other_encoding,
    two_delimiters,
    renamed_to_excel,
    mistyped_table,
    still_empty,
    mistyped_encoding,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.__name__))
def test_a_common_mistake_is_told_as_the_readme_says(mistake: Callable[[Desk], None], desk: Desk) -> None:
    with pytest.raises((TsunamiError, ValidationError)) as made:
        mistake(desk)

    told = _told(made.value)
    assert told in README.read_text(encoding="utf-8")
    assert CANARY not in told


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
    assert isinstance(error, TsunamiError)
    problem = error.problem()
    return f"`{problem.code}`: {problem.message}. {problem.fix or ''}".rstrip()


def test_there_are_twelve_of_them() -> None:
    assert len(MISTAKES) == 12
