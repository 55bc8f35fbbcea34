"""An answer: its status, its headers and its whole body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin

from servicetsunami.sdk.errors import DataError

_LINK = re.compile(r"<([^>]*)>\s*((?:;\s*[\w*]+\s*=\s*(?:\"[^\"]*\"|[^;,]*)\s*)*)")
_REL = re.compile(r";\s*rel\s*=\s*\"?([^\";,]+)", re.IGNORECASE)


@dataclass(frozen=True)
class HttpResponse:
    """A successful answer, read to its end. Header names are lower case."""

    url: str
    """Where it came from, after redirects and without its query, which may hold a key."""
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, decimals exact; raises `DataError` (`bad_json`), also if a name comes twice."""
        try:
            return json.loads(self.body, parse_float=Decimal, object_pairs_hook=_unique, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"the answer of {self.url} is not JSON, so nothing of it is taken",
                code="bad_json",
                why=f"{len(self.body):,} bytes of {self.headers.get('content-type', 'no type')}",
                fix="check the path, and that it answers in JSON",
            ) from error

    @property
    def links(self) -> dict[str, str]:
        """The targets of the Link header by their relation (RFC 8288), as whole URLs."""
        found: dict[str, str] = {}
        for target, parameters in _LINK.findall(self.headers.get("link", "")):
            for relations in _REL.findall(parameters):
                found |= dict.fromkeys(relations.strip().split(), urljoin(self.url, target))
        return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
