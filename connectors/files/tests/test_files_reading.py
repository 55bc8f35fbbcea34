"""Which files make a table, which of them come again, and where each row came from."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.sdk import Read, TransientError
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_files import FilesConfig, FilesSource


class Folder:
    """A folder that may be read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "exports"
        self.path.mkdir()
        self.ctx = LocalContext(data_dir=folder / "data", file_roots=(self.path,))

    def write(self, name: str, content: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def source(self, **settings: Any) -> FilesSource:
        return FilesSource(FilesConfig(location=".", **settings), self.ctx)

    def rows(self, name: str, since: Any = None, **settings: Any) -> list[dict[str, Any]]:
        source = self.source(**settings)
        stream = next(stream for stream in source.streams() if stream.name == name)
        batches = [
            batch for item in source.read(Read(stream, since=since)) for batch in to_batches(item, stream.schema)
        ]
        return [row for batch in batches for row in batch.to_pylist()]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_file_is_a_table_and_so_is_a_folder_of_like_files(folder: Folder) -> None:
    folder.write("orders.csv", "id\n1\n")
    folder.write("visits/1.csv", "day\n2024-01-01\n")
    folder.write("visits/2.csv", "day\n2024-01-02\n")
    folder.write("visits/.hidden.csv", "day\nx\n")

    names = [stream.name for stream in folder.source().streams()]

    assert names == ["orders", "visits"]
    assert len(folder.rows("visits")) == 2


def test_patterns_say_which_files_make_a_table(folder: Folder) -> None:
    for name in ("orders_1.csv", "orders_2.csv", "others.csv", "deep/er/events.jsonl"):
        folder.write(name, '{"id": 1}\n' if name.endswith("jsonl") else "id\n1\n")
    streams = {"orders": "orders_*.csv", "events": "**/*.jsonl"}

    assert [stream.name for stream in folder.source(streams=streams).streams()] == ["events", "orders"]
    assert [row["_source_file"] for row in folder.rows("orders", streams=streams)] == ["orders_1.csv", "orders_2.csv"]


def test_partitions_in_the_path_are_columns(folder: Folder) -> None:
    folder.write("sales/year=2024/month=1/a.csv", "n\n1\n")
    folder.write("sales/year=2024/month=__HIVE_DEFAULT_PARTITION__/b.csv", "n\n2\n")
    folder.write("sales/year=caf%C3%A9/month=2/c.csv", "n\n3\n")

    rows = {row["n"]: (row["year"], row["month"]) for row in folder.rows("sales")}

    assert rows == {1: ("2024", "1"), 2: ("2024", None), 3: ("café", "2")}


def test_each_row_knows_its_file_and_its_number(folder: Folder) -> None:
    folder.write("a.csv", "id\n7\n8\n")

    rows = folder.rows("a")

    assert [(row["_source_file"], row["_source_row"], row["id"]) for row in rows] == [("a.csv", 1, 7), ("a.csv", 2, 8)]
    assert all(row["_source_modified"].tzinfo is not None for row in rows)


def test_the_next_time_only_new_and_changed_files_come(folder: Folder) -> None:
    folder.write("visits/1.csv", "day\n1\n")
    first = folder.rows("visits")
    since = max(row["_source_modified"] for row in first)
    folder.write("visits/2.csv", "day\n2\n")

    found = folder.rows("visits", since=since)
    later = folder.rows("visits", since=since + timedelta(days=1))

    assert [row["day"] for row in found] == [1, 2]
    assert later == []


def test_a_file_that_is_given_an_old_date_is_new_all_the_same(folder: Folder) -> None:
    folder.write("visits/1.csv", "day\n1\n")
    since = max(row["_source_modified"] for row in folder.rows("visits"))
    folder.write("visits/2.csv", "day\n2\n")
    os.utime(folder.path / "visits/2.csv", (0, 0))

    assert 2 in [row["day"] for row in folder.rows("visits", since=since)]
    assert since > datetime(2020, 1, 1, tzinfo=UTC)


def test_columns_of_all_files_come_together_and_types_widen(folder: Folder) -> None:
    folder.write("v/1.csv", "id,n\n1,5\n")
    folder.write("v/2.csv", "id,extra,n\n2,x,5.5\n")
    folder.write("v/3.csv", "n\nmany\n")

    rows = folder.rows("v")

    assert [row["n"] for row in rows] == ["5", "5.5", "many"]
    assert [row["extra"] for row in rows] == [None, "x", None]


@pytest.mark.parametrize("link", ["link.csv", "folder"])
def test_a_link_is_not_followed(link: str, folder: Folder, tmp_path: Path) -> None:
    folder.write("a.csv", "id\n1\n")
    (tmp_path / "outside.csv").write_text("id\n666\n", encoding="utf-8")
    (folder.path / link).symlink_to(tmp_path / "outside.csv" if link == "link.csv" else tmp_path)

    (ours,) = [stream.name for stream in folder.source().streams() if stream.schema is not None]

    found = folder.rows(ours)

    assert [row["id"] for row in found] == [1]


def test_a_file_that_changes_while_it_is_read_does_not_count(folder: Folder) -> None:
    folder.write("a.csv", "id\n" + "1\n" * 3_000_000)
    source = folder.source()
    (stream,) = source.streams()
    items = source.read(Read(stream))
    next(items)

    folder.write("a.csv", "id\n2\n")

    with pytest.raises(TransientError) as changed:
        list(items)
    assert changed.value.code == "file_changed"


@pytest.mark.parametrize("name", ["Übersicht 2024.csv", "a'b\"c.csv", "日本.csv", "x;drop table.csv"])
def test_names_of_any_letters_are_read(name: str, folder: Folder) -> None:
    folder.write(name, "id\n1\n")

    assert [row["id"] for row in folder.rows(name.removesuffix(".csv"))] == [1]
