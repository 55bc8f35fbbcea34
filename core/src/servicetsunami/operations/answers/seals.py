"""Texts that only we can make and nobody can change: a few bytes with a seal over them and over what they are about."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

_LONG = 16


@dataclass(frozen=True)
class Seal:
    """Seals bytes about something, such as a tenant and its query."""

    key: bytes
    about: tuple[str, ...]

    def text(self, body: bytes) -> str:
        """Return the bytes under seal."""
        return base64.urlsafe_b64encode(body + self._of(body)).decode().rstrip("=")

    def opened(self, text: str) -> bytes | None:
        """Return the bytes of a sealed text, None unless it is one of ours about the same."""
        sealed = _decoded(text)
        body = sealed[:-_LONG]
        return body if body and hmac.compare_digest(sealed[-_LONG:], self._of(body)) else None

    def _of(self, body: bytes) -> bytes:
        about = json.dumps(self.about, separators=(",", ":")).encode()
        return hmac.digest(self.key, len(body).to_bytes(4, "big") + body + about, hashlib.sha256)[:_LONG]


def _decoded(text: str) -> bytes:
    """Return a text's bytes, b"" for one that is not written as we write them: one value has one form."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return sealed if base64.urlsafe_b64encode(sealed).decode().rstrip("=") == text else b""
