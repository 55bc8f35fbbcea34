"""A folder of nasty files: of each it is known what becomes of it, and none is read wrongly in silence."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicetsunami.sdk import Read, TsunamiError
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_files import FilesConfig, FilesSource

REPORT = Path(__file__).parents[3] / "reports" / "files.md"
Outcome = tuple[int, int] | str
"""Rows that came and how many of them are quarantined or rescued, or the code of the error."""


def packed(*members: tuple[str, bytes], password: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    data = buffer.getvalue()
    # Bit 0 of the flags says that a member is encrypted, in its own header and in the directory.
    return data.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    ) if password else data  # fmt: skip


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def arrow(table: pa.Table, *, whole: bool = True) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue() if whole else buffer.getvalue()[:-8]


TABLE = pa.table({"id": [1, 2], "name": ["Ada", "Zoë"]})
CSV = "id,name\n1,Ada\n2,Zoë\n"
BIG = 12345678901234567890123456789012345678
NASTY: dict[str, tuple[bytes, Outcome, str]] = {
    "plain.csv": (CSV.encode(), (2, 0), "read"),
    "bom.csv": (b"\xef\xbb\xbf" + CSV.encode(), (2, 0), "read, without the mark in the first name"),
    "utf16.csv": (CSV.encode("utf-16"), (2, 0), "read"),
    "utf16_no_mark.csv": (CSV.encode("utf-16-le"), "bad_encoding", "refused: the encoding has to be told"),
    "latin1.csv": (CSV.encode("latin-1"), "bad_encoding", "refused: no guess is certain"),
    "late_latin1.csv": (b"id,name\n" + b"1,Ada\n" * 200_000 + b"2,Zo\xeb\n", "bad_encoding", "refused, with the line"),
    "semicolons.csv": (b"id;name\n1;Ada\n2;Zo\xc3\xab\n", (2, 0), "read: the delimiter is found"),
    "either.csv": (b"a,b;c\n1,2;3\n4,5;6\n", "ambiguous_delimiter", "refused: comma and semicolon fit"),
    "windows.csv": (CSV.replace("\n", "\r\n").encode(), (2, 0), "read"),
    "old_mac.csv": (CSV.replace("\n", "\r").encode(), (2, 0), "read"),
    "quoted_lines.csv": (b'id,text\n1,"two\nlines"\n2,"a ""quote"""\n', (2, 0), "read"),
    "open_quote.csv": (b'id,name\n1,Ada\n2,"Zo\n3,Grace\n', (3, 1), "rows read, the broken line in quarantine"),
    "short_row.csv": (b"id,name\n1,Ada\n2\n3,Grace\n", (3, 1), "two rows read, one in quarantine with its line"),
    "long_row.csv": (b"id,name\n1,Ada\n2,Zo,more\n3,Grace\n", (3, 1), "two rows read, one in quarantine"),
    "late_text.csv": (b"id,n\n" + b"1,5\n" * 300_000 + b"2,many\n", (300_001, 1), "the cell is rescued as it is"),
    "zeros.csv": (b"zip,n\n01234,1\n00005,2\n", (2, 0), "text: the zeros stay"),
    "big.csv": (f"n\n{BIG}\n1\n".encode(), (2, 0), "decimal: every digit stays"),
    "same_names.csv": (b"a,a,,A\n1,2,3,4\n", (1, 0), "columns a, a_2, column_3, A_2"),
    "header_only.csv": (b"id,name\n", (0, 0), "a table without rows"),
    "empty.csv": (b"", "empty_file", "refused: most likely not written yet"),
    "page.csv": (
        b"<!doctype html>\n<html>\n<body>Login</body>\n</html>\n",
        "web_page",
        "refused: somebody was not signed in",
    ),
    "binary.csv": (bytes(range(256)) * 8, "bad_encoding", "refused"),
    "list.json": (b'[{"id": 1}, {"id": 2, "x": {"y": [1]}}]', (2, 0), "read"),
    "cut.json": (b'[{"id": 1}, {"id": 2', "bad_json", "refused: nothing of it counts"),
    "two.json": (b'[{"id": 1}] [{"id": 2}]', "bad_json", "refused"),
    "deep.json": (b'[{"id": 1}, {"x": ' + b"[" * 500 + b"]" * 500 + b"}]", (2, 1), "the deep object in quarantine"),
    "bad_line.jsonl": (b'{"id": 1}\n{"id": \n{"id": 3}\n', (3, 1), "two rows read, the line in quarantine"),
    "nan.jsonl": (b'{"n": NaN}\n{"n": 1}\n', (2, 1), "the line in quarantine: NaN is no JSON"),
    "digits.jsonl": (f'{{"n": {BIG}, "d": 0.1000000000000000055}}\n'.encode(), (1, 0), "every digit stays"),
    "bomb.csv.gz": (gzip.compress(b"a,b\n" + b"0,0\n" * 40_000_000, 9), "file_too_large", "refused while it grows"),
    "cut.csv.gz": (gzip.compress(CSV.encode() * 1000)[:-9], "bad_compression", "refused"),
    "whole.csv.bz2": (bz2.compress(CSV.encode()), (2, 0), "read"),
    "two.csv.zip": (packed(("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n")), "bad_archive", "refused: one file in each zip"),
    "locked.csv.zip": (packed(("a.csv", b"a\n1\n"), password=True), "bad_archive", "refused: it has a password"),
    "no_zip.csv.zip": (b"PK\x03\x04 not", "bad_compression", "refused"),
    "whole.parquet": (parquet(TABLE), (2, 0), "read, with its own types"),
    "cut.parquet": (parquet(TABLE)[:-5], "bad_parquet", "refused"),
    "cut.arrows": (arrow(TABLE, whole=False), "bad_arrow", "refused: its end mark is missing"),
    "no_book.xlsx": (b"not a workbook", "bad_excel", "refused"),
    "half_book.xlsx": (packed(("xl/workbook.xml", b"<x/>")), "bad_excel", "refused"),
    "entities.xlsx": (
        packed(("xl/workbook.xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:' + b'//etc/passwd">]><x>&e;</x>')),
        "bad_excel",
        "refused: no entity is followed",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("nasty") / "files"
    made.mkdir()
    for name, (content, _, _) in NASTY.items():
        (made / name).write_bytes(content)
    return made


def outcome(folder: Path, name: str, work: Callable[[list[dict[str, Any]]], Any] = lambda _: None) -> Outcome:
    ctx = LocalContext(data_dir=folder.parent / "data", file_roots=(folder,))
    source = FilesSource(FilesConfig(location=str(folder / name)), ctx)
    try:
        return _counted(source, work)
    except TsunamiError as error:
        return error.code if error.problem().fix else "no fix"


def _counted(source: FilesSource, work: Callable[[list[dict[str, Any]]], Any]) -> tuple[int, int]:
    source.check()
    (stream,) = source.streams()
    count = wrong = 0
    for item in source.read(Read(stream)):
        for batch in to_batches(item, stream.schema):
            bad = batch.column("_rescued") if "_rescued" in batch.schema.names else None
            count, wrong = count + batch.num_rows, wrong + (batch.num_rows - bad.null_count if bad is not None else 0)
            work(batch.slice(0, 3).to_pylist())
    return count, wrong


@pytest.mark.parametrize("name", NASTY)
def test_what_becomes_of_a_nasty_file_is_known(name: str, folder: Path) -> None:
    assert outcome(folder, name) == NASTY[name][1]


def test_one_of_them_stops_none_of_the_others(folder: Path) -> None:
    ctx = LocalContext(data_dir=folder.parent / "data", file_roots=(folder,))

    found = {stream.name: stream for stream in FilesSource(FilesConfig(location=str(folder)), ctx).streams()}

    assert found["plain"].schema is not None
    assert len(found) == len(NASTY)


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("zeros.csv", "zip", ["01234", "00005"]),
        ("big.csv", "n", [Decimal(BIG), Decimal(1)]),
        ("quoted_lines.csv", "text", ["two\nlines", 'a "quote"']),
        ("utf16.csv", "name", ["Ada", "Zoë"]),
        ("digits.jsonl", "n", [Decimal(BIG)]),
    ],
)
def test_what_is_read_is_exact(name: str, column: str, expected: list[Any], folder: Path) -> None:
    rows: list[Any] = []

    outcome(folder, name, rows.extend)

    assert [row[column] for row in rows] == expected


def test_a_quarantined_row_says_where_it_was_and_why(folder: Path) -> None:
    rows: list[dict[str, Any]] = []

    outcome(folder, "short_row.csv", rows.extend)

    (told,) = [json.loads(row["_rescued"]) for row in rows if row.get("_rescued")]
    assert told == {"_line": 3, "_reason": "the row has 1 columns instead of 2", "_text": "2"}


def test_the_report_tells_of_every_file() -> None:
    assert report() == REPORT.read_text(encoding="utf-8")


def report() -> str:
    """Return the report as it should be: the folder and what became of each file."""
    rows = "\n".join(f"| `{name}` | {_shown(found)} | {why} |" for name, (_, found, why) in NASTY.items())
    return (
        "# Nasty files\n\nWhat becomes of each; `connectors/files/tests/test_files_nasty.py` makes and proves it.\n"
        f"Of {len(NASTY)} files none is read wrongly in silence.\n\n"
        f"| file | outcome | what it means |\n|---|---|---|\n{rows}\n"
    )


def _shown(found: Outcome) -> str:
    return f"`{found}`" if isinstance(found, str) else f"{found[0]:,} rows, {found[1]} of them set aside or rescued"


if __name__ == "__main__":
    REPORT.write_text(report(), encoding="utf-8")
