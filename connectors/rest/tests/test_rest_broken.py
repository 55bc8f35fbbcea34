"""A hundred and fifty ways in which an answer can be broken: none of them is taken for rows that are whole."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from servicetsunami.sdk import TsunamiError

Api = Any
Reader = Any
"""The fixtures; their classes are in conftest.py, which tests cannot import."""
ROWS = [{"id": number, "name": f"Zoë {number}", "amount": number + 0.5} for number in range(200)]
BODY = json.dumps(ROWS).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
STREAM = {"name": "t", "path": "/t"}


def sized(body: bytes, *, length: int | None = None, more: bytes = b"") -> bytes:
    return HEAD + more + b"content-length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def chunked(body: bytes, *, end: bytes = b"0\r\n\r\n", size: int = 1000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + end


def zipped(body: bytes, cut: int) -> bytes:
    packed = gzip.compress(body)
    return sized(packed[: len(packed) - cut], more=b"content-encoding: gzip\r\n")


def deflated(body: bytes, cut: int) -> bytes:
    packed = zlib.compress(body)
    return sized(packed[: len(packed) - cut], more=b"content-encoding: deflate\r\n")


OFFSETS = [0, 1, 2, 10, *range(50, len(BODY) - 1, len(BODY) // 20), len(BODY) - 1]
CUT: dict[str, bytes] = {
    **{f"cut at {at}": sized(BODY[:at], length=len(BODY)) for at in OFFSETS},
    **{f"chunks cut at {at}": chunked(BODY)[: len(HEAD) + 28 + at] for at in OFFSETS},
    **{f"no last chunk after {at}": chunked(BODY[:at], end=b"") for at in OFFSETS},
    **{f"length of what was cut at {at}": sized(BODY[:at]) for at in OFFSETS},
    **{f"gzip cut by {cut}": zipped(BODY, cut) for cut in (1, 2, 4, 8, 9, 100, 500)},
    **{f"deflate cut by {cut}": deflated(BODY, cut) for cut in (1, 2, 4, 8, 100, 500)},
    **{f"{at} bytes of no length": HEAD + b"\r\n" + BODY[:at] for at in OFFSETS},
}
WRONG: dict[str, bytes] = {
    "html": sized(b"<html>Login</html>"),
    "nothing": sized(b""),
    "spaces": sized(b"   \n"),
    "another shape": sized(b'{"error": "maintenance"}'),
    "a text": sized(b'"rows"'),
    "a number": sized(b"42"),
    "null": sized(b"null"),
    "texts in the list": sized(b'[{"id": 1}, "x"]'),
    "lists in the list": sized(b'[{"id": 1}, [2]]'),
    "null in the list": sized(b'[{"id": 1}, null]'),
    "a field twice": sized(b'[{"id": 1, "id": 2}]'),
    "NaN": sized(b'[{"id": NaN}]'),
    "Infinity": sized(b'[{"id": -Infinity}]'),
    "a comma too many": sized(b'[{"id": 1},]'),
    "two values": sized(b'[{"id": 1}] [{"id": 2}]'),
    "single quotes": sized(b"[{'id': 1}]"),
    "latin-1": sized('[{"id": "Zoë"}]'.encode("latin-1")),
    "utf-16": sized('[{"id": 1}]'.encode("utf-16")),
    "a lone surrogate": sized(b'[{"id": "\\ud800"}]'),
    "a null byte": sized(b'[{"id": "a\x00b"}]'),
    "a comment": sized(b'[{"id": 1} /* more */]'),
    "very deep": sized(b'[{"id":' * 100_000),
    "half a character": sized('[{"id": "ë'.encode()[:-1]),
    "not gzip": sized(BODY, more=b"content-encoding: gzip\r\n"),
    "an unknown coding": sized(BODY, more=b"content-encoding: snappy\r\n"),
    "two lengths": HEAD + b"content-length: 5\r\ncontent-length: 7\r\n\r\n" + BODY,
    "a length that is none": HEAD + b"content-length: many\r\n\r\n" + BODY,
    "bad chunk size": HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "no status": b"hello\r\n\r\n",
    "nothing at all": b"",
    "half a head": HEAD[:20],
}
BROKEN = {**CUT, **WRONG}


def test_there_are_a_hundred_and_fifty() -> None:
    assert len(BROKEN) >= 150


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_an_error_or_every_row_of_it(wire: bytes, reader: Reader, api: Api) -> None:
    api.routes["/t"] = api.reply(wire=wire)

    outcome = _outcome(lambda: reader.rows(STREAM))

    assert isinstance(outcome, TsunamiError), f"{outcome!r:.200}"
    assert outcome.code not in ("internal", "plugin_crashed")


@pytest.mark.parametrize("wire", [sized(BODY), chunked(BODY), zipped(BODY, 0), deflated(BODY, 0)])
def test_an_answer_that_is_whole_gives_every_row(wire: bytes, reader: Reader, api: Api) -> None:
    api.routes["/t"] = api.reply(wire=wire)

    assert [row["id"] for row in reader.rows(STREAM)] == list(range(200))


@pytest.mark.parametrize("kind", ["page", "offset"])
@pytest.mark.parametrize("wire", ["cut at 50", "html", "another shape", "nothing", "gzip cut by 4"])
def test_a_broken_page_in_the_middle_ends_the_read(kind: str, wire: str, reader: Reader, api: Api) -> None:
    whole = api.paged(ROWS)
    asked_for: list[Any] = []

    def route(asked: Any) -> Any:
        asked_for.append(asked)
        return api.reply(wire=BROKEN[wire]) if len(asked_for) >= 3 else whole(asked)

    api.routes["/t"] = route
    paging = {"kind": kind, "size_param": "limit", "size": 20}

    outcome = _outcome(lambda: reader.rows({**STREAM, "paging": paging}))

    assert isinstance(outcome, TsunamiError)


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except TsunamiError as error:
        return error
