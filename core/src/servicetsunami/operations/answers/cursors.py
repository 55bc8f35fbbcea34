"""Cursors of results: they lead into a kept result, and only for the tenant and the query they were made for."""

from __future__ import annotations

from dataclasses import dataclass

from servicetsunami.operations.answers.seals import Seal
from servicetsunami.operations.paging import bad_cursor

PURPOSE = "result-cursor/v1"
_PREFIX = "res_"
_ID, _OFFSET = 16, 5


@dataclass(frozen=True)
class Place:
    """A row of a kept result."""

    result_id: str
    offset: int


class Cursors:
    """Makes and opens the cursors of one query, as the guard wrote it, of one tenant."""

    def __init__(self, key: bytes, tenant: str, query: str) -> None:
        self._seal = Seal(key, (tenant, query))

    def cursor(self, place: Place) -> str:
        """Make the cursor of a place."""
        body = bytes.fromhex(place.result_id.removeprefix(_PREFIX)) + place.offset.to_bytes(_OFFSET, "big")
        return self._seal.text(body)

    def place(self, cursor: str) -> Place:
        """Return where a cursor leads; raises `ConfigError` with code `bad_cursor` for any but our own."""
        body = self._seal.opened(cursor)
        if body is None or len(body) != _ID + _OFFSET:
            raise bad_cursor()
        return Place(f"{_PREFIX}{body[:_ID].hex()}", int.from_bytes(body[_ID:], "big"))
