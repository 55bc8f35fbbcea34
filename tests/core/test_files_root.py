"""No file outside the root is opened; those inside are."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from servicetsunami.runtime import open_in_root
from servicetsunami.sdk import NotFound, TsunamiError

_HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "../outside.csv",
    "../../etc/passwd",
    "data/../../outside.csv",
    "data/../top.csv",
    "./../outside.csv",
    "data/..",
    "data//a.csv",
    "data/",
    "top.csv/",
    "top.csv/..",
    "top.csv\0",
    "\0",
    "top.csv\0.txt",
    "..\\outside.csv",
    "C:\\outside.csv",
    "data\\a.csv",
    "~/outside.csv",
    "~root/outside.csv",
    "link.csv",
    "absolute_link.csv",
    "dangling.csv",
    "loop",
    "folder_link/outside.csv",
    "folder_link/../top.csv",
    "inner_link/a.csv",
    "up/outside.csv",
    "proc/self/environ",
    "hard.csv",
    "hard_inside.csv",
    "pipe",
    "socket",
    "data",
    "data/deep",
    "null",
    "top.csv/a",
    "a" * 300,
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    inside = tmp_path / "root"
    (inside / "data" / "deep").mkdir(parents=True)
    outside = tmp_path / "outside.csv"
    outside.write_bytes(b"outside")
    (inside / "top.csv").write_bytes(b"top")
    (inside / "data" / "a.csv").write_bytes(b"a")
    (inside / "data" / "deep" / "\u00fc ber.csv").write_bytes(b"deep")
    _make_links(inside, outside)
    os.mkfifo(inside / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inside / "socket"))
        yield inside


def _make_links(inside: Path, outside: Path) -> None:
    (inside / "link.csv").symlink_to("../outside.csv")
    (inside / "absolute_link.csv").symlink_to(outside)
    (inside / "dangling.csv").symlink_to("nowhere")
    (inside / "loop").symlink_to("loop")
    (inside / "folder_link").symlink_to(outside.parent)
    (inside / "inner_link").symlink_to("data")
    (inside / "up").symlink_to("..")
    (inside / "proc").symlink_to("/proc")
    (inside / "null").symlink_to("/dev/null")
    (inside / "hard.csv").hardlink_to(outside)
    (inside / "data" / "twice.csv").write_bytes(b"twice")
    (inside / "hard_inside.csv").hardlink_to(inside / "data" / "twice.csv")


def _open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("path", _HOSTILE)
def test_a_hostile_path_is_refused_and_leaves_nothing_open(root: Path, path: str) -> None:
    before = _open_files()

    with pytest.raises(TsunamiError) as refused:
        open_in_root(root, path)

    assert refused.value.code == "file_not_allowed"
    assert _open_files() == before


@pytest.mark.parametrize(
    ("path", "content"),
    [("top.csv", b"top"), ("data/a.csv", b"a"), ("./data/./a.csv", b"a"), ("data/deep/\u00fc ber.csv", b"deep")],
)
def test_a_file_under_the_root_is_read(root: Path, path: str, content: bytes) -> None:
    with open_in_root(root, path) as file:
        assert file.read() == content


@pytest.mark.parametrize("path", ["missing.csv", "missing/a.csv"])
def test_a_file_that_is_missing_is_told_so(root: Path, path: str) -> None:
    with pytest.raises(NotFound) as refused:
        open_in_root(root, path)

    assert refused.value.code == "file_not_found"


def test_the_root_itself_may_be_a_link_of_the_operator(root: Path, tmp_path: Path) -> None:
    (tmp_path / "published").symlink_to(root)

    with open_in_root(tmp_path / "published", "top.csv") as file:
        assert file.read() == b"top"
