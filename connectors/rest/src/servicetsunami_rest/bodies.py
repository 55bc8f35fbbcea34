"""An answer taken apart: the list of records as it was sent, and what stands around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from servicetsunami.sdk import ConfigError, DataError, nearest
from servicetsunami.sdk.http import HttpResponse

_MOST_NAMES = 20
_LONGEST_NAME = 60
_PROBE = 256
"""Looking for so many bytes is quicker than looking for all of them."""


@dataclass(frozen=True)
class Page:
    """One answer of a stream."""

    answer: HttpResponse = field(repr=False)
    records: bytes = field(repr=False)
    """The JSON list of the records, byte by byte as it came."""
    envelope: Any = field(repr=False)
    """The body, with an empty list in the place of the records."""

    @cached_property
    def is_empty(self) -> bool:
        """Tell whether the list holds no records."""
        return not self.records[1:-1].strip()

    def last(self, name: str) -> Any:
        """Return a field of the last record; None where it is missing."""
        record = json.loads(bytes(msgspec.json.decode(self.records, type=list[msgspec.Raw])[-1]))
        return record.get(name) if isinstance(record, dict) else None


def opened(answer: HttpResponse, path: str, *, null_is_empty: bool = False) -> Page:
    """Find the records at `path`; raises `DataError` for what is no JSON, `ConfigError` where there is no list."""
    names = tuple(path.split(".")) if path else ()
    try:
        records = _found(answer, names)
    except (ValueError, RecursionError):
        records = b""
    if records[:1] != b"[":
        return _otherwise(answer, names, null_is_empty=null_is_empty)
    if not names:
        return Page(answer, records, [])
    return Page(answer, records, _around(answer, records))


def at(body: Any, path: str) -> Any:
    """Return what the body holds at a path such as `meta.next`; None where there is nothing."""
    for name in path.split("."):
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _found(answer: HttpResponse, names: tuple[str, ...]) -> bytes:
    value: Any = msgspec.json.decode(answer.body, type=_envelope(names))
    for _ in names:
        value = value.inner
    return bytes(value)


@lru_cache(maxsize=64)
def _envelope(names: tuple[str, ...]) -> Any:
    kind: Any = msgspec.Raw
    for name in reversed(names):
        kind = msgspec.defstruct("Envelope", [("inner", kind)], rename={"inner": name})
    return kind


def _around(answer: HttpResponse, records: bytes) -> Any:
    """Return the body without its records, read strictly: a name that comes twice would hide a list."""
    begin = answer.body.find(records[:_PROBE])
    if not answer.body.startswith(records, begin):
        begin = answer.body.find(records)
    rest = answer.body[:begin] + b"[]" + answer.body[begin + len(records) :]
    return HttpResponse(answer.url, answer.status, answer.headers, rest).json()


def _otherwise(answer: HttpResponse, names: tuple[str, ...], *, null_is_empty: bool) -> Page:
    """Say why there are no records, from the whole body; its JSON may be unusual and still hold some."""
    body = answer.json()
    value, path = body, ""
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            raise _no_records(value, name, path)
        value, path = value[name], f"{path}.{name}" if path else name
    if value is None and null_is_empty:
        return Page(answer, b"[]", body)
    if isinstance(value, list):
        raise DataError(
            f"the answer of {answer.url} is JSON, but not of valid Unicode in UTF-8",
            code="bad_json",
            fix="make the server answer in UTF-8",
        )
    raise _no_list(value, path)


def _no_records(value: Any, name: str, path: str) -> ConfigError:
    where = f"'{path}'" if path else "the answer"
    known = _names(value)
    return ConfigError(
        f"{where} holds no '{name}', where the records should be",
        code="records_not_found",
        why=f"it holds: {', '.join(known)}" if known else f"it is {_kind(value)}",
        field="records",
        fix="set the stream's records to the path of the list, such as data.items; empty if the answer is the list",
        did_you_mean=nearest(name, known),
    )


def _no_list(value: Any, path: str) -> ConfigError:
    where = f"'{path}'" if path else "the answer"
    known = _names(value)
    lists = [name for name in known if isinstance(value[name], list)]
    return ConfigError(
        f"{where} is {_kind(value)}, not a list of records",
        code="records_not_found",
        why=f"it holds: {', '.join(known)}" if known else None,
        field="records",
        fix="set the stream's records to the path of the list, such as data.items",
        did_you_mean=[f"{path}.{name}" if path else name for name in lists],
    )


def _names(value: Any) -> list[str]:
    """Name what an object holds, as far as the names can be shown; never a value."""
    names = value if isinstance(value, Mapping) else ()
    shown = [name for name in names if name.isprintable() and 0 < len(name) <= _LONGEST_NAME]
    return shown[:_MOST_NAMES]


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
