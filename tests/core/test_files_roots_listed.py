"""Connections read files below the folders that are open to their tenant."""

from pathlib import Path

import pytest

from servicetsunami.runtime import roots_for
from servicetsunami.sdk import TsunamiError
from servicetsunami.sdk.testing import LocalContext


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    root = tmp_path / "root"
    (root / "in" / "deep").mkdir(parents=True)
    (root / "in" / "a.csv").write_bytes(b"a")
    (root / "in" / "deep" / "b.csv").write_bytes(b"bb")
    (root / "in" / "link.csv").symlink_to(root / "in" / "a.csv")
    (root / "in" / "folder_link").symlink_to(root / "in" / "deep")
    (tmp_path / "outside.csv").write_bytes(b"outside")
    return LocalContext(data_dir=tmp_path / "data", file_roots=(root,))


def test_a_folder_is_listed_with_its_links_but_not_through_them(context: LocalContext) -> None:
    entries = [(entry.path, entry.size_bytes) for entry in context.list_files("in") if "link" not in entry.path]
    links = {entry.path for entry in context.list_files("in") if "link" in entry.path}

    assert entries == [("a.csv", 1), ("deep/b.csv", 2)]
    assert links == {"link.csv", "folder_link"}


def test_a_file_is_listed_as_itself_and_opened(context: LocalContext) -> None:
    absolute = str(context.file_roots[0] / "in" / "a.csv")

    assert [entry.path for entry in context.list_files(absolute)] == [""]
    with context.open_file(absolute) as file:
        assert file.read() == b"a"


@pytest.mark.parametrize("path", ["../outside.csv", "in/link.csv", "in/folder_link/b.csv", "/etc/passwd", "in/../../x"])
def test_what_lies_elsewhere_is_neither_listed_nor_opened(context: LocalContext, path: str) -> None:
    with pytest.raises(TsunamiError) as listed:
        list(context.list_files(path))
    with pytest.raises(TsunamiError) as opened:
        context.open_file(path)

    assert (listed.value.code, opened.value.code) == ("file_not_allowed", "file_not_allowed")


def test_over_http_only_folders_of_a_tenant_count(tmp_path: Path) -> None:
    listed = (str(tmp_path / "shared"), str(tmp_path / "{tenant}"))

    exposed = roots_for("acme", listed, exposed=True)
    local = roots_for("acme", listed, exposed=False)

    assert exposed == (tmp_path / "acme",)
    assert local == (Path.cwd(), tmp_path / "shared", tmp_path / "acme")
