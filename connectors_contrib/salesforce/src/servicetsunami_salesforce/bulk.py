"""Bulk API 2.0: a job that Salesforce works off, and its answer in CSV, part by part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servicetsunami.sdk import Context, PermanentError, TransientError, TsunamiError
from servicetsunami.sdk.http import HttpResponse
from servicetsunami_salesforce.objects import Described
from servicetsunami_salesforce.session import Session

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 50_000
_PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0)
_LONGEST_SECONDS = 7_200.0


@dataclass(frozen=True)
class Query:
    """What a job is to do."""

    operation: str
    soql: str


def read(
    session: Session, ctx: Context, query: Query, found: Described, fields: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query; the job is deleted at the end, whatever the end is."""
    body = json.dumps({"operation": query.operation, "query": query.soql, "contentType": "CSV"}).encode()
    job = str(session.send("POST", "/jobs/query", body).json()["id"])
    try:
        total = _worked_off(session, ctx, job)
        seen = 0
        for batch in _results(session, job, found, fields):
            seen += batch.num_rows
            yield batch
        if seen != total:
            raise TransientError(
                f"Salesforce says that the job found {total:,} rows and gave {seen:,}, so what was read does not count",
                code="rows_missing",
            )
    finally:
        with suppress(TsunamiError):
            session.send("DELETE", f"/jobs/query/{job}")


def _worked_off(session: Session, ctx: Context, job: str) -> int:
    """Wait for a job and return how many rows it found."""
    waited, attempt = 0.0, 0
    while waited < _LONGEST_SECONDS:
        told = session.get(f"/jobs/query/{job}").json()
        if told["state"] == "JobComplete":
            return int(told["numberRecordsProcessed"])
        if told["state"] in ("Failed", "Aborted"):
            raise PermanentError(
                "Salesforce gave up on the query",
                code="job_failed",
                why=str(told["state"]),
                fix="look at Setup, Bulk Data Load Jobs, for the reason; exclude fields, or sync incrementally",
            )
        pause = _PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)]
        ctx.sleep(pause)
        waited, attempt = waited + pause, attempt + 1
    raise TransientError("Salesforce did not finish the query for hours", code="job_slow")


def _results(session: Session, job: str, found: Described, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
    locator: str | None = None
    while True:
        answer = session.get(f"/jobs/query/{job}/results", {"maxRecords": _ROWS_AT_ONCE, "locator": locator})
        yield from _checked(answer, found, fields)
        locator = answer.headers.get("sforce-locator")
        if locator in (None, "", "null"):
            return


def _checked(answer: HttpResponse, found: Described, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
    table = _parsed(answer.body, found, fields)
    told = answer.headers.get("sforce-numberofrecords", "")
    if told.isdigit() and int(told) != table.num_rows:
        raise TransientError(
            f"Salesforce says that a part has {told} rows and gave {table.num_rows:,}", code="rows_missing"
        )
    yield from table.to_batches()


def _parsed(body: bytes, found: Described, fields: Sequence[str]) -> pa.Table:
    """Parse a part; where a cell does not fit its field, all as text, which the host fits and rescues."""
    import pyarrow as pa
    from pyarrow import csv

    types = {field.name: field.type for field in found.schema if field.name in fields}
    for kinds in (_parsed_as(types), dict.fromkeys(types, pa.string())):
        convert = csv.ConvertOptions(
            column_types=kinds,
            null_values=[""],  # Salesforce stores no empty text
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            true_values=["true"],
            false_values=["false"],
        )
        parse = csv.ParseOptions(newlines_in_values=True)
        try:
            table = csv.read_csv(pa.BufferReader(body), csv.ReadOptions(block_size=len(body) + 1), parse, convert)
            return _with_times(table, types)
        except pa.ArrowInvalid as error:
            failure = error
    raise TransientError("a part of the answer is no CSV, so it does not count", code="bad_csv") from failure


def _parsed_as(types: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Return the types to parse as: a time of day ends in Z, which Arrow does not read."""
    import pyarrow as pa

    return {name: pa.string() if pa.types.is_time(kind) else kind for name, kind in types.items()}


def _with_times(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, kind in types.items():
        if pa.types.is_time(kind):
            texts = pc.replace_substring_regex(table.column(name), r"Z$", "")
            moments = pc.binary_join_element_wise("1970-01-01T", texts, "").cast(pa.timestamp("us"))
            table = table.set_column(table.schema.get_field_index(name), name, moments.cast(kind))
    return table
