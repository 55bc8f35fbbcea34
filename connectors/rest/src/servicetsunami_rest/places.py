"""The parent records of a child stream: what fills the placeholders of its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from servicetsunami.sdk import DataError
from servicetsunami_rest.bodies import Page
from servicetsunami_rest.columns import exact
from servicetsunami_rest.config import StreamSettings
from servicetsunami_rest.session import Session
from servicetsunami_rest.walking import Walk


class Places:
    """Iterates over the values of some fields of a parent stream, each combination once."""

    def __init__(self, session: Session, parent: StreamSettings, fields: Mapping[str, str], at_once: int) -> None:
        self._walk = Walk(session, parent, parent.path, parent.params, at_once)
        self._parent = parent
        self._fields = fields

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the value of each placeholder."""
        seen: set[tuple[Any, ...]] = set()
        for step in self._walk.steps():
            for values in self._of(step.page):
                mark = tuple(values.values())
                if mark not in seen:
                    seen.add(mark)
                    yield values

    def _of(self, page: Page) -> Iterator[dict[str, Any]]:
        for record in msgspec.json.decode(page.records, type=list[dict[str, msgspec.Raw]]):
            found = {name: exact(bytes(record.get(of, b"null"))) for name, of in self._fields.items()}
            for name, value in found.items():
                if isinstance(value, bool) or not isinstance(value, str | int):
                    raise _no_place(self._parent.name, self._fields[name])
            yield found


def segment(value: Any, name: str) -> str:
    """Return a value as one segment of a path, which it cannot leave."""
    text = str(value)
    if text in ("", ".", ".."):
        raise DataError(
            f"a parent's field for {{{name}}} is '{text}', which is no part of a path",
            code="bad_parent_field",
            field="parent",
            fix="choose a field that identifies the parent's records",
        )
    return quote(text, safe="")


def _no_place(stream: str, field: str) -> DataError:
    return DataError(
        f"a record of '{stream}' holds no text or integer in '{field}', so its children cannot be asked for",
        code="bad_parent_field",
        field="parent",
        fix="name a field in parent.fields that every record of the parent stream has",
    )
