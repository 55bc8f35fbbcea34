"""Which module reads which format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from servicetsunami_files import columnar, csvread, excel, jsonread
from servicetsunami_files.batches import Parsed
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.filesystem import Files
from servicetsunami_files.places import FileSet, Place

if TYPE_CHECKING:
    import pyarrow as pa


def expand(files: Files, one: FileSet, config: FilesConfig) -> Iterator[FileSet]:
    """Yield a stream for every sheet of workbooks; other file sets are one stream."""
    if one.places[0].format != "excel":
        yield one
        return
    sheets: dict[str, list[Place]] = {}
    for place in one.places:
        for sheet in excel.sheet_names(files, place, config):
            sheets.setdefault(sheet, []).append(place)
    for sheet, places in sheets.items():
        name = one.name if len(sheets) == 1 else f"{one.name}_{sheet}"
        yield replace(one, name=name, places=tuple(places), sheet=sheet)


def schema_of(files: Files, place: Place, config: FilesConfig, sheet: str | None) -> pa.Schema:
    """Return the columns of a file, of type null where they show no value."""
    if place.format == "excel":
        return excel.excel_schema(files, place, config, sheet or "")
    if place.format in ("json", "jsonl"):
        return jsonread.json_schema(files, place, config)
    if place.format == "parquet":
        return columnar.parquet_schema(files, place, config)
    if place.format == "arrow":
        return columnar.arrow_schema(files, place, config)
    return csvread.csv_schema(files, place, config)


def records_of(
    files: Files, place: Place, config: FilesConfig, schema: pa.Schema, sheet: str | None
) -> Iterator[Parsed]:
    """Yield the records of a file in order."""
    if place.format == "excel":
        return excel.read_excel(files, place, config, schema, sheet or "")
    if place.format in ("json", "jsonl"):
        return jsonread.read_json(files, place, config, schema)
    if place.format == "parquet":
        return columnar.read_parquet(files, place, config)
    if place.format == "arrow":
        return columnar.read_arrow(files, place, config)
    return csvread.read_csv(files, place, config, schema)
