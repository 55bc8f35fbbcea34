"""Addresses that work once for one file and one method, for whoever has them, as those of a cloud's storage do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import quote

_KEY = secrets.token_bytes(32)
_SECONDS = 3600


def presign(base_url: str, method: str, path: str, seconds: int = _SECONDS) -> str:
    """Return an address for one method on one path, good for so many seconds."""
    until = int(time.time()) + seconds
    return f"{base_url}/presigned{quote(path)}?until={until}&signature={_signature(method, path, until)}"


def is_valid(method: str, path: str, until: int, signature: str) -> bool:
    """Tell whether an address was made here for this, and still holds."""
    return until >= time.time() and hmac.compare_digest(signature, _signature(method, path, until))


def _signature(method: str, path: str, until: int) -> str:
    return hmac.new(_KEY, f"{method} {path} {until}".encode(), hashlib.sha256).hexdigest()
