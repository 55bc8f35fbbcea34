"""Requests and responses, apart from how they travel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from servicetsunami_lookalike.grants import Principal


@dataclass
class Request:
    """A request; `body` is read at most once."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    stream: BinaryIO
    length: int
    principal: Principal = field(default_factory=lambda: Principal(""))
    groups: Mapping[str, str] = field(default_factory=dict)
    """What the route's pattern found in the path."""

    def body(self) -> bytes:
        """Read the whole body."""
        return self.stream.read(self.length)

    def json(self) -> dict[str, Any]:
        """Read the body as an object; an empty one is empty."""
        found = json.loads(self.body() or b"{}")
        if not isinstance(found, dict):
            raise ApiError(400, "MALFORMED_REQUEST", "the body is no object")
        return found

    def save(self, target: Path) -> None:
        """Stream the body into a file, which is whole or not there."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        left = self.length
        with part.open("wb") as file:
            while left:
                chunk = self.stream.read(min(left, 1024 * 1024))
                if not chunk:
                    break
                file.write(chunk)
                left -= len(chunk)
        if left:
            part.unlink()
            raise ConnectionError("the body ended early")
        part.replace(target)


@dataclass
class Response:
    """An answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A request is refused, as the REST APIs of Databricks refuse."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return what the client sees."""
        body = json.dumps({"error_code": self.code, "message": str(self)}).encode()
        return Response(self.status, body, {"content-type": "application/json", **self.headers})


def as_json(value: Mapping[str, Any] | None = None, status: int = 200) -> Response:
    """Answer with an object."""
    return Response(status, json.dumps(value or {}, default=str).encode(), {"content-type": "application/json"})
