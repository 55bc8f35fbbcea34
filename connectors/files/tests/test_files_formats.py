"""Formats as they should be: workbooks cell by cell, compressed text, and settings that win over what is found."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servicetsunami.sdk import ConfigError, Read
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_files import FilesConfig, FilesSource

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><fonts><font/></fonts><fills><fill/></fills><borders><border/></borders>'
    '<cellStyleXfs><xf/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/>'
    '<xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


def cell(place: str, value: Any) -> str:
    """Return a cell as a workbook holds it; a text that begins with `=` is a formula whose value is 42."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime | date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        days = (moment - datetime(1899, 12, 30)).total_seconds() / 86_400
        return f'<c r="{place}" s="{2 if isinstance(value, datetime) else 1}"><v>{days!r}</v></c>'
    if isinstance(value, str) and value.startswith("="):
        return f'<c r="{place}"><f>{escape(value[1:])}</f><v>42</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value!r}</v></c>'


def workbook(sheets: Any, hidden: tuple[str, ...] = ()) -> bytes:
    """Return an .xlsx file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entries, links = [], []
        for number, (name, rows) in enumerate(sheets.items(), 1):
            state = ' state="hidden"' if name in hidden else ""
            entries.append(f'<sheet name="{escape(name)}" sheetId="{number}"{state} r:id="r{number}"/>')
            links.append(
                f'<Relationship Id="r{number}" Type="{RELATIONS}/worksheet" Target="worksheets/s{number}.xml"/>'
            )
            body = "".join(
                f'<row r="{r}">{"".join(cell(f"{chr(65 + c)}{r}", value) for c, value in enumerate(row))}</row>'
                for r, row in enumerate(rows, 1)
            )
            archive.writestr(
                f"xl/worksheets/s{number}.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'
            )
        links.append(f'<Relationship Id="s" Type="{RELATIONS}/styles" Target="styles.xml"/>')
        archive.writestr("xl/styles.xml", STYLES)
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{"".join(entries)}</sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}">{"".join(links)}</Relationships>'
        )
        archive.writestr(
            "[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="w" Type="{RELATIONS}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
    return buffer.getvalue()


class Folder:
    """A folder that may be read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "files"
        self.path.mkdir()
        self.ctx = LocalContext(data_dir=folder / "data", file_roots=(self.path,))

    def write(self, name: str, content: bytes) -> None:
        (self.path / name).write_bytes(content)

    def source(self, **settings: Any) -> FilesSource:
        return FilesSource(FilesConfig(location=".", **settings), self.ctx)

    def rows(self, name: str, **settings: Any) -> list[dict[str, Any]]:
        """Return the rows as they land, without their lineage but with their numbers."""
        source = self.source(**settings)
        stream = next(stream for stream in source.streams() if stream.name == name)
        batches = [batch for item in source.read(Read(stream)) for batch in to_batches(item, stream.schema)]
        rows = [row for batch in batches for row in batch.to_pylist()]
        dropped = ("_source_file", "_source_modified")
        return [{name: value for name, value in row.items() if name not in dropped} for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_every_kind_of_cell_of_a_workbook_keeps_its_value(folder: Folder) -> None:
    header = ["n", "f", "t", "b", "d", "m", "v", "e"]
    values = [7, 2.5, "Zoë & <Co>", True, date(2024, 2, 29), datetime(2024, 2, 29, 12, 30), "=6*7", None]
    folder.write("book.xlsx", workbook({"Data": [header, values]}))

    (row,) = folder.rows("book")

    assert row == {
        "n": 7,
        "f": 2.5,
        "t": "Zoë & <Co>",
        "b": True,
        "d": date(2024, 2, 29),
        "m": datetime(2024, 2, 29, 12, 30),
        "v": 42,
        "e": None,
        "_source_row": 2,
    }


def test_each_visible_sheet_is_a_table(folder: Folder) -> None:
    sheets = {"Orders": [["id"], [1]], "Lines": [["id"], [2]], "Secret": [["id"], [3]]}
    folder.write("book.xlsx", workbook(sheets, hidden=("Secret",)))

    names = [stream.name for stream in folder.source().streams()]

    assert names == ["book_Orders", "book_Lines"]
    assert folder.rows("book_Lines") == [{"id": 2, "_source_row": 2}]


def test_a_sheet_and_a_range_are_read_alone(folder: Folder) -> None:
    rows = [["title"], [], [None, "id", "name"], [None, 1, "Ada"], [None, 2, "Grace"], [None, "total", 3]]
    folder.write("book.xlsx", workbook({"A": rows, "B": [["x"], [1]]}))

    found = folder.rows("book", sheet="A", cell_range="B3:C5")

    assert found == [{"id": 1, "name": "Ada", "_source_row": 4}, {"id": 2, "name": "Grace", "_source_row": 5}]


def test_a_title_above_the_header_is_kept_aside_and_empty_rows_lose_nothing(folder: Folder) -> None:
    rows = [["Orders of 2024"], [], ["id", "name", None], [1, "Ada", "more"], [], [2, None, None]]
    folder.write("book.xlsx", workbook({"A": rows}))

    found = folder.rows("book")

    kept = [row for row in found if row.get("id") is not None]
    (aside,) = [json.loads(row["_rescued"]) for row in found if row.get("_rescued")]
    assert [(row["id"], row["name"], row["column_3"], row["_source_row"]) for row in kept] == [
        (1, "Ada", "more", 4),
        (2, None, None, 6),
    ]
    assert aside["_text"] == "Orders of 2024"


def test_a_sheet_with_too_many_cells_and_one_that_is_not_there_are_refused(folder: Folder) -> None:
    folder.write("book.xlsx", workbook({"Orders": [["id"], *([n] for n in range(50))]}))

    with pytest.raises(ConfigError) as large:
        folder.source(max_cells=10).check()
    with pytest.raises(ConfigError) as missing:
        folder.source(sheet="Order").check()

    assert large.value.code == "file_too_large"
    assert (missing.value.code, missing.value.did_you_mean) == ("sheet_not_found", ("Orders",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv.gz", gzip.compress(b"id,name\n1,Ada\n", mtime=0)),
        ("t.csv.zst", pa.compress(b"id,name\n1,Ada\n", codec="zstd", asbytes=True)),
        ("t.jsonl.gz", gzip.compress(b'{"id": 1, "name": "Ada"}\n', mtime=0)),
        ("t.tsv", b"id\tname\n1\tAda\n"),
        ("t.txt", b"id|name\n1|Ada\n"),
    ],
)
def test_text_is_read_through_its_compression_and_delimiter(name: str, content: bytes, folder: Folder) -> None:
    folder.write(name, content)

    assert folder.rows("t") == [{"id": 1, "name": "Ada", "_source_row": 1}]


@pytest.mark.parametrize(
    ("content", "settings", "expected"),
    [
        (
            b"1;2\n3;4\n",
            {"delimiter": ";", "header": False},
            [{"column_1": 1, "column_2": 2}, {"column_1": 3, "column_2": 4}],
        ),
        (b"# made by x\n# on monday\na,b\n1,2\n", {"skip_rows": 2}, [{"a": 1, "b": 2}]),
        (b"a,b\nNA,2\n1,-\n", {"null_values": ["NA", "-"]}, [{"a": None, "b": 2}, {"a": 1, "b": None}]),
        (b"a,b\n'x,y',1\n", {"quote": "'"}, [{"a": "x,y", "b": 1}]),
        ("a\nZoë €\n".encode("cp1252"), {"encoding": "cp1252"}, [{"a": "Zoë €"}]),
        ("a\n日本\n".encode("shift_jis"), {"encoding": "shift_jis"}, [{"a": "日本"}]),
        ("a\nx\n".encode("utf-16-le"), {"encoding": "utf-16-le"}, [{"a": "x"}]),
    ],
)
def test_a_setting_wins_over_what_is_found(
    content: bytes, settings: dict[str, Any], expected: list[dict[str, Any]], folder: Folder
) -> None:
    folder.write("t.csv", content)

    found = [
        {name: value for name, value in row.items() if name != "_source_row"} for row in folder.rows("t", **settings)
    ]

    assert found == expected


def test_types_of_parquet_stay_as_they_are(folder: Folder) -> None:
    table = pa.table(
        {
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(20, 2)),
            "l": pa.array([[1, 2], None]),
            "s": pa.array([{"x": 1}, None]),
            "c": pa.array(["a", "a"]).dictionary_encode(),
            "u": pa.array([1, 2**64 - 1], pa.uint64()),
            "t": pa.array([datetime(2024, 1, 1), None], pa.timestamp("ns", "Europe/Berlin")),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    folder.write("t.parquet", sink.getvalue().to_pybytes())

    (stream,) = folder.source().streams()
    first, second = folder.rows("t")

    assert stream.schema is not None
    assert stream.schema.field("c").type == pa.string()
    assert (first["d"], first["l"], first["s"], first["c"]) == (Decimal("1.10"), [1, 2], {"x": 1}, "a")
    assert second["u"] == 2**64 - 1


def test_a_file_that_is_removed_before_it_is_read_is_told(folder: Folder) -> None:
    folder.write("a.csv", b"id\n1\n")
    source = folder.source()
    (stream,) = source.streams()

    (folder.path / "a.csv").unlink()

    with pytest.raises(ConfigError) as gone:
        list(source.read(Read(stream)))
    assert gone.value.code == "no_files"
