"""Reading an object: by the query API, page by page; or by Bulk API 2.0 where it is large."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from servicetsunami.sdk import Context, Read, TransientError
from servicetsunami.sdk.rows import to_batches
from servicetsunami_salesforce import bulk
from servicetsunami_salesforce.config import SalesforceConfig
from servicetsunami_salesforce.objects import Described, describe
from servicetsunami_salesforce.queries import LONGEST_URL, count, query
from servicetsunami_salesforce.session import Session

if TYPE_CHECKING:
    import pyarrow as pa


def read_object(session: Session, config: SalesforceConfig, ctx: Context, read: Read) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an object, those in the recycle bin among them if they are wanted."""
    found = describe(session, read.stream.name)
    fields = [one["name"] for one in found.fields if not read.columns or one["name"] in read.columns]
    soql = query(found, fields, read.since, read.limit)
    verb = "queryAll" if config.include_deleted and found.has("IsDeleted") else "query"
    if _is_large(session, config, found, read, soql, verb):
        yield from bulk.read(session, ctx, bulk.Query(verb, soql), found, fields)
    else:
        yield from _pages(session, ctx, verb, soql, found)


def _is_large(session: Session, config: SalesforceConfig, found: Described, read: Read, soql: str, verb: str) -> bool:
    if len(soql) > LONGEST_URL:
        return True
    if read.limit is not None:
        return False
    return int(session.get(f"/{verb}", {"q": count(found, read.since)}).json()["totalSize"]) >= config.bulk_from_rows


def _pages(session: Session, ctx: Context, verb: str, soql: str, found: Described) -> Iterator[pa.RecordBatch]:
    converters = _converters(found)
    page = session.get(f"/{verb}", {"q": soql}).json()
    total, seen = page["totalSize"], 0
    while True:
        records: Sequence[Mapping[str, Any]] = page["records"]
        seen += len(records)
        yield from to_batches([_row(record, converters) for record in records], _of(found, records))
        if page["done"]:
            break
        if ctx.cancelled():
            ctx.sleep(0)
        page = session.get(page["nextRecordsUrl"]).json()
    if seen != total:
        raise rows_missing(seen, total)


def rows_missing(seen: int, told: int) -> TransientError:
    """Return the error for an answer that holds other rows than Salesforce says it does."""
    return TransientError(
        f"Salesforce says that there are {told:,} rows and gave {seen:,}, so what was read does not count",
        code="rows_missing",
    )


def _of(found: Described, records: Sequence[Mapping[str, Any]]) -> pa.Schema:
    import pyarrow as pa

    names = records[0].keys() if records else ()
    return pa.schema([field for field in found.schema if field.name in names])


def _converters(found: Described) -> dict[str, Callable[[Any], Any]]:
    import pyarrow as pa

    known = {"date": date.fromisoformat, "datetime": datetime.fromisoformat, "time": _time}
    readers = {one["name"]: known[one["type"]] for one in found.fields if one["type"] in known}
    return readers | {field.name: float for field in found.schema if pa.types.is_floating(field.type)}


def _time(text: str) -> time:
    return time.fromisoformat(text.removesuffix("Z"))


def _row(record: Mapping[str, Any], converters: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {name: _value(value, converters.get(name)) for name, value in record.items() if name != "attributes"}


def _value(value: Any, convert: Callable[[Any], Any] | None) -> Any:
    if convert is None or value is None:
        return value
    try:
        return convert(value)
    except (ValueError, TypeError):
        return value
