"""Cursors of results: they lead into a kept result, and only for the tenant and the query they were made for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from servicetsunami.operations.paging import bad_cursor

PURPOSE = "result-cursor/v1"
_PREFIX = "res_"
_ID, _OFFSET, _SEAL = 16, 5, 16


@dataclass(frozen=True)
class Place:
    """A row of a kept result."""

    result_id: str
    offset: int


@dataclass(frozen=True)
class Cursors:
    """Makes and opens the cursors of one query of one tenant."""

    key: bytes
    tenant: str
    query: str
    """As the guard wrote it."""

    def cursor(self, place: Place) -> str:
        """Make the cursor of a place."""
        body = bytes.fromhex(place.result_id.removeprefix(_PREFIX)) + place.offset.to_bytes(_OFFSET, "big")
        return base64.urlsafe_b64encode(body + self._seal(body)).decode().rstrip("=")

    def place(self, cursor: str) -> Place:
        """Return where a cursor leads; raises `ConfigError` with code `bad_cursor` for any but our own."""
        sealed = _decoded(cursor)
        body = sealed[:-_SEAL]
        if len(body) != _ID + _OFFSET or not hmac.compare_digest(sealed[-_SEAL:], self._seal(body)):
            raise bad_cursor()
        return Place(f"{_PREFIX}{body[:_ID].hex()}", int.from_bytes(body[_ID:], "big"))

    def _seal(self, body: bytes) -> bytes:
        about = json.dumps([self.tenant, self.query], separators=(",", ":")).encode()
        return hmac.digest(self.key, body + about, hashlib.sha256)[:_SEAL]


def _decoded(cursor: str) -> bytes:
    """Return a cursor's bytes, b"" for one that is not written as we write them: one cursor has one form."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return sealed if base64.urlsafe_b64encode(sealed).decode().rstrip("=") == cursor else b""
