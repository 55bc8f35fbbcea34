"""A whole result can be had as a file: here, where a person says, or behind a link that serves once."""

from __future__ import annotations

import asyncio
import csv
import json
import resource
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from answers_lab import AFAR, ANN, fill, numbers, opened
from starlette.applications import Starlette
from starlette.testclient import TestClient

from servicetsunami.mcp.http.results import result_routes
from servicetsunami.operations.answers import exports
from servicetsunami.operations.answers.exports import Target, at_path
from servicetsunami.operations.answers.links import open_export
from servicetsunami.operations.answers.saving import export_query, save_result
from servicetsunami.operations.answers.writers import FORMATS, Format, write
from servicetsunami.operations.app import App
from servicetsunami.operations.models import ExportedFile
from servicetsunami.sdk import ConfigError, NotFound, PermanentError

ALL = "SELECT n, word FROM bronze.numbers ORDER BY n"


def _with_numbers(home: Path, work: Callable[[App], Awaitable[None]], **settings: str) -> None:
    async def run() -> None:
        async with opened(home) as app:
            await asyncio.to_thread(fill, app, "numbers", numbers(5_000))
        async with opened(home, **settings) as app:
            await work(app)

    asyncio.run(run())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_kind_of_file_holds_every_row(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"out.{kind}"

    async def work(app: App) -> None:
        file = await export_query(app, ANN, ALL, path)

        assert (file.rows, file.truncated, file.path) == (5_000, False, str(path))
        assert file.size_bytes == path.stat().st_size

    _with_numbers(tmp_path, work)

    assert _read(path, kind) == numbers(5_000).to_pylist()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_for_a_caller_here_lies_in_the_folder_of_the_tenant(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        page = await save_result(app, ANN, ALL, "csv")

        assert page.export is not None
        assert (page.export.rows, page.row_count, page.truncated, page.next_cursor) == (5_000, 10, True, None)
        assert Path(page.export.path or "").parent == tmp_path / "exports" / "default"
        assert len(_read(Path(page.export.path or ""), "csv")) == 5_000

    _with_numbers(tmp_path, work)


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine", encoding="utf-8")

    async def work(app: App) -> None:
        with pytest.raises(ConfigError) as refused:
            await export_query(app, ANN, ALL, path)

        assert refused.value.code == "file_exists"

    _with_numbers(tmp_path, work)

    assert path.read_text(encoding="utf-8") == "mine"


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out.csv").symlink_to(tmp_path / "elsewhere.csv")

    with pytest.raises(ConfigError) as refused:
        at_path(tmp_path / "out.csv")

    assert refused.value.code == "file_exists"


def test_an_ending_of_no_kind_is_refused_with_near_ones() -> None:
    with pytest.raises(ConfigError) as refused:
        at_path(Path("out.parqet"))

    assert (refused.value.code, refused.value.did_you_mean) == ("unknown_format", ("parquet",))


def test_what_a_spreadsheet_would_run_is_quoted_in_csv_and_only_there(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=b", '"=1"', "", None, "\uff1d1"]
    table = pa.table({"=n": pa.array([-1] * len(texts), pa.int64()), "text": texts})
    files = {kind: tmp_path / f"out.{kind}" for kind in FORMATS}
    for kind, path in files.items():
        with path.open("wb") as file:
            write(kind, file, table.schema, table.to_batches())

    with files["csv"].open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))

    assert header == ["'=n", "text"]
    assert [row[1] for row in rows] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "'\rx",
        "a=b",
        '"=1"',
        "",
        "",
        "'\uff1d1",
    ]
    assert {row[0] for row in rows} == {"-1"}
    for kind in ("parquet", "jsonl", "arrow"):
        assert [row["text"] for row in _read(files[kind], kind)] == texts


def test_every_kind_of_value_is_written_exactly(tmp_path: Path) -> None:
    table = pa.table(
        {
            "money": [Decimal("-0.0000001"), None],
            "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None],
            "big": pa.array([2**62, None], pa.int64()),
            "tags": [["=a"], None],
            "raw": [b"\x00\xff", None],
            "sure": [True, None],
        }
    )
    for kind in ("csv", "jsonl"):
        with (tmp_path / f"out.{kind}").open("wb") as file:
            write(kind, file, table.schema, table.to_batches())

    assert _read(tmp_path / "out.jsonl", "jsonl")[0] == {
        "money": "-0.0000001",
        "at": "2026-01-02T03:04:05Z",
        "big": str(2**62),
        "tags": '["=a"]',
        "raw": "00ff",
        "sure": True,
    }
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["-0.0000001", "2026-01-02T03:04:05Z", str(2**62), '["=a"]', "00ff", "true"],
            [""] * 6,
        ]


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_of_one_name_are_told_apart_and_no_rows_are_a_file_too(tmp_path: Path, kind: Format) -> None:
    schema = pa.schema([("id", pa.int64()), ("id", pa.int64()), ("id_2", pa.int64())])
    batch = pa.RecordBatch.from_arrays([pa.array([number]) for number in (1, 2, 3)], schema=schema)
    for name, batches in (("full", [batch]), ("empty", [])):
        with (tmp_path / name).open("wb") as file:
            write(kind, file, schema, batches)

    (row,) = _read(tmp_path / "full", kind)

    assert list(row) == ["id", "id_2", "id_2_2"]
    assert [str(value) for value in row.values()] == ["1", "2", "3"]
    assert _read(tmp_path / "empty", kind) == []


def test_a_file_ends_where_it_may_grow_no_further_and_says_so(tmp_path: Path) -> None:
    target = at_path(tmp_path / "out.jsonl")
    short = Target(target.kind, target.open, most_rows=30)

    file = short.export(numbers(100).schema, numbers(100).to_batches(max_chunksize=20))

    assert (file.rows, file.truncated) == (30, True)


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(PermanentError) as refused:
            at_path(tmp_path / "out.csv").export(numbers(5_000).schema, numbers(5_000).to_batches())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (refused.value.code, refused.value.why) == ("export_failed", "File too large")
    assert list(tmp_path.iterdir()) == []


def test_a_query_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        with pytest.raises(ConfigError):
            await export_query(app, ANN, "DROP TABLE bronze.numbers", tmp_path / "out.csv")

    _with_numbers(tmp_path, work)

    assert not (tmp_path / "out.csv").exists()


def test_a_full_folder_of_exports_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FOLDER_BYTES", 10)

    async def work(app: App) -> None:
        await save_result(app, ANN, ALL, "csv")
        with pytest.raises(PermanentError) as refused:
            await save_result(app, ANN, ALL, "csv")

        assert refused.value.code == "exports_full"

    _with_numbers(tmp_path, work)


def test_in_read_only_mode_no_file_is_written(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        for asked in (save_result(app, ANN, ALL, "csv"), export_query(app, ANN, ALL, tmp_path / "out.csv")):
            with pytest.raises(ConfigError) as refused:
                await asked

            assert refused.value.code == "read_only"

    _with_numbers(tmp_path, work, read_only="true")

    assert not (tmp_path / "exports").exists()


def test_a_file_takes_no_cursor(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        with pytest.raises(ConfigError) as refused:
            await save_result(app, ANN, ALL, "csv", cursor="abc")

        assert (refused.value.code, refused.value.field) == ("argument_not_wanted", "cursor")

    _with_numbers(tmp_path, work)


def test_a_link_serves_the_file_once(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        token = _token((await save_result(app, AFAR, ALL, "csv")).export)
        download = await open_export(app, token)
        with download.file as file:
            assert len(file.read()) == download.size_bytes
        with pytest.raises(NotFound) as refused:
            await open_export(app, token)

        assert (download.name, refused.value.code) == ("result.csv", "link_expired")

    _with_numbers(tmp_path, work)

    assert list((tmp_path / "results" / "default").iterdir()) == []


def test_of_many_who_follow_a_link_at_once_one_gets_the_file(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        token = _token((await save_result(app, AFAR, ALL, "csv")).export)
        outcomes = await asyncio.gather(*(open_export(app, token) for _ in range(6)), return_exceptions=True)
        won = [one for one in outcomes if not isinstance(one, BaseException)]
        for download in won:
            download.file.close()

        assert len(won) == 1
        assert all(isinstance(one, NotFound) for one in outcomes if one not in won)

    _with_numbers(tmp_path, work)


@pytest.mark.parametrize("change", ["", "B", "x" * 40])
def test_a_changed_link_leads_nowhere(tmp_path: Path, change: str) -> None:
    async def work(app: App) -> None:
        token = _token((await save_result(app, AFAR, ALL, "csv")).export)
        with pytest.raises(NotFound) as refused:
            await open_export(app, change + token[1:])

        assert refused.value.code == "link_expired"

    _with_numbers(tmp_path, work)


def test_a_link_is_served_over_http_as_an_attachment_that_nobody_keeps(tmp_path: Path) -> None:
    async def work(app: App) -> None:
        page = await save_result(app, AFAR, ALL, "csv")
        assert page.export is not None
        assert page.export.path is None
        assert (page.export.url or "").startswith("https://mcp.example.com/results/")
        place = (page.export.url or "").removeprefix("https://mcp.example.com")

        looked, first, second = await asyncio.to_thread(_fetched, app, place)

        assert looked == (405, b"")
        assert first[0] == 200
        assert len(first[1]) == page.export.size_bytes
        assert second[0] == 404
        assert b"link" in second[1]

    _with_numbers(tmp_path, work, mcp_public_url="https://mcp.example.com/mcp")


def _fetched(app: App, place: str) -> list[tuple[int, bytes]]:
    client = TestClient(Starlette(routes=result_routes(app)))
    answers = [client.head(place), client.get(place), client.get(place)]
    assert answers[1].headers["content-disposition"] == 'attachment; filename="result.csv"'
    assert all(one.headers["cache-control"] == "no-store" for one in answers[1:])
    return [(one.status_code, one.content) for one in answers]


def _token(file: ExportedFile | None) -> str:
    assert file is not None
    return (file.url or "").rpartition("/")[2]


def _read(path: Path, kind: str) -> list[dict[str, Any]]:
    if kind == "parquet":
        return list(pq.ParquetFile(path).read().to_pylist())
    if kind == "arrow":
        with pa.memory_map(str(path)) as file:
            return list(pa.ipc.open_file(file).read_all().to_pylist())
    with path.open(encoding="utf-8", newline="") as file:
        if kind == "jsonl":
            return [json.loads(line) for line in file]
        return [{**row, **({"n": int(row["n"])} if "n" in row else {})} for row in csv.DictReader(file)]
