"""Redaction: a secret that is known is masked wherever it turns up, one that only looks like one is masked too."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import traceback
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

_SHORTEST_VALUE = 4  # masking shorter ones would tear ordinary words apart
_SHORTEST_FRAGMENT = 8
_SENSITIVE = r"(?:[a-z_]*(?:password|passwd|passphrase|secret|token|api_?key)|pwd)"
_SENSITIVE_KEY = re.compile(_SENSITIVE, re.IGNORECASE)
_PATTERNS = (
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?<=://)([^\s:/?#@\"']*):[^\s\"']*@"), rf"\1:{MASK}@"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(
            rf"""\b({_SENSITIVE}["']?\s*[=:]\s*)"""
            r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&"')}\]]+)""",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


class Redactor(logging.Filter):
    """Masks secrets in text; as a logging filter, in whole records. Threads may share one."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Learn live secrets; those under four characters are not masked."""
        forms = {form for value in values if len(value) >= _SHORTEST_VALUE for form in _forms(value)}
        with self._lock:
            if forms <= self._forms:
                return
            self._forms |= forms
            # Longest first, so that a secret that contains another one is masked as a whole.
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._known = re.compile("|".join(re.escape(form) for form in longest_first), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return `text` with every secret masked."""
        known = self._known
        if known is not None:
            text = known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """Return a log value with every secret masked, however deep; what is no plain value becomes text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {self.text(str(key)): self._entry(str(key), entry) for key, entry in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(part) for part in value]
        return self.text(str(value))

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record's message, exception and extra texts; lets every record pass."""
        record.msg, record.args = self.text(record.getMessage()), None
        if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        record.exc_info = None
        for name, value in list(vars(record).items()):
            if isinstance(value, str):
                setattr(record, name, self.text(value))
        return True

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"

    def _entry(self, key: str, value: Any) -> Any:
        # An entry is judged with its key: {"password": "x"} tells as much as password=x.
        return MASK if isinstance(value, str) and _SENSITIVE_KEY.fullmatch(key) else self.value(value)


def _forms(value: str) -> Iterator[str]:
    """Yield the spellings in which a secret may turn up."""
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    yield raw.hex()
    yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield base64 of the secret alone, and the part that does not depend on what stands before and after it.

    `user:password` in an Authorization header shifts the password by one or two bytes.
    """
    for before, clipped in ((0, 0), (1, 2), (2, 3)):
        size = before + len(raw)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            fragment = encode(b"\0" * before + raw).decode("ascii")[clipped : size * 8 // 6]
            if len(fragment) >= _SHORTEST_FRAGMENT or not before:
                yield fragment
