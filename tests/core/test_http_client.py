"""The client that connectors get: whole answers or typed errors, and no key where it does not belong."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from servicetsunami.sdk import (
    AuthError,
    ConfigError,
    DataError,
    NotFound,
    PermanentError,
    PermissionDenied,
    RateLimited,
    TransientError,
)
from servicetsunami.sdk.http import (
    HttpClient,
    HttpResponse,
    Next,
    basic,
    body_cursor,
    body_next_url,
    link_header,
    next_offset,
    next_page_number,
    pages,
)
from servicetsunami.sdk.http.bodies import decoded
from servicetsunami.sdk.testing import LocalContext

ROWS = json.dumps([{"id": number, "name": "Zoë"} for number in range(500)]).encode()
CANARY = "canary-7d21"


@dataclass
class Origin:
    """A server that answers each request with the next of its answers, byte by byte as given, and then closes."""

    answers: list[bytes]
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        answers = iter(self.answers)
        with suppress(OSError):  # the listener is closed at the end of the test
            while True:
                peer, _ = self._listener.accept()
                with peer:
                    head = _head(peer)
                    if head:  # dialling proves that somebody listens, and says nothing
                        self.requests.append(head)
                        peer.sendall(next(answers, b"").replace(b"{self}", self.url.encode()))

    def close(self) -> None:
        self._listener.close()


def _head(peer: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read and (more := peer.recv(65536)):
        read += more
    return read


def reply(body: bytes = b"[]", status: str = "200 OK", **headers: str) -> bytes:
    """Write an answer with its length; headers are given with _ for -."""
    lines = {"content_length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status}\r\nconnection: close\r\n{head}\r\n".encode() + body


Opened = Callable[..., tuple[HttpClient, Origin]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Open a client for a server with these answers; its pauses are counted and not slept."""
    closers: list[Any] = []

    def open_both(*answers: bytes, **options: Any) -> tuple[HttpClient, Origin]:
        origin = Origin(list(answers))
        context = LocalContext(data_dir=tmp_path)
        client = context.http(origin.url, **options)
        client = replace(client, sleep=lambda _seconds: None)
        closers.extend((client, origin))
        return client, origin

    yield open_both
    for one in closers:
        one.close()


def test_json_keeps_decimals_and_text_as_they_are(opened: Opened) -> None:
    http, _ = opened(reply(b'{"price": 12345678901234567890.10, "name": "Zo\xc3\xab"}'))

    assert http.get("/things").json() == {"price": Decimal("12345678901234567890.10"), "name": "Zoë"}


@pytest.mark.parametrize("body", [b"<html>", b'{"a": 1, "a": 2}', b"[NaN]", b"[" * 100_000, b""])
def test_what_is_no_json_is_an_error_that_repeats_nothing(opened: Opened, body: bytes) -> None:
    http, _ = opened(reply(body))

    with pytest.raises(DataError) as refused:
        http.get("/things").json()

    assert refused.value.code == "bad_json"
    assert "<html>" not in str(refused.value.problem())


PACKED, DEFLATED = gzip.compress(ROWS), zlib.compress(ROWS)
CUTS: dict[str, Callable[[int], bytes]] = {
    "half of the length that was told": lambda at: reply(ROWS)[: -len(ROWS) + at],
    "no last chunk": lambda at: reply(_chunk(ROWS[:at]), transfer_encoding="chunked", content_length=""),
    "gzip cut, framed well": lambda at: reply(PACKED[: len(PACKED) * at // 20_000], content_encoding="gzip"),
    "gzip short of its trailer": lambda at: reply(PACKED[: -min(at, 8)], content_encoding="gzip"),
    "gzip with a wrong checksum": lambda at: reply(PACKED[:-8] + at.to_bytes(8, "big"), content_encoding="gzip"),
    "second member cut": lambda at: reply(PACKED + PACKED[: 12 + at // 64], content_encoding="gzip"),
    "deflate cut": lambda at: reply(DEFLATED[: len(DEFLATED) * at // 20_000], content_encoding="deflate"),
    "length unknown": lambda at: reply(ROWS[:at], content_length=""),
    "gzip of unknown length, cut": lambda at: reply(
        PACKED[: len(PACKED) * at // 20_000], content_length="", content_encoding="gzip"
    ),
}


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


@pytest.mark.parametrize("at", [16, 100, 1000, 5000, 10_000])
@pytest.mark.parametrize("how", CUTS)
def test_a_cut_answer_is_never_a_success(opened: Opened, how: str, at: int) -> None:
    http, _ = opened(*[CUTS[how](at)] * 5)

    with pytest.raises((TransientError, PermanentError)) as refused:
        http.get("/rows")

    assert refused.value.code in ("source_interrupted", "unframed_body")


def test_an_answer_that_was_cut_once_is_read_again(opened: Opened) -> None:
    http, origin = opened(reply(ROWS)[:-100], reply(gzip.compress(ROWS), content_encoding="gzip"))

    answer = http.get("/rows")

    assert answer.body == ROWS
    assert len(origin.requests) == 2


def test_several_gzip_members_are_one_body(opened: Opened) -> None:
    http, _ = opened(reply(gzip.compress(ROWS[:99]) + gzip.compress(ROWS[99:]), content_encoding="gzip"))

    assert http.get("/rows").body == ROWS


@given(st.binary(max_size=2000), st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_a_body_comes_out_as_it_went_in_however_it_is_cut_into_chunks(body: bytes, sizes: list[int]) -> None:
    packed = gzip.compress(body)
    edges = [0, *sizes]
    starts = [min(sum(edges[: n + 1]), len(packed)) for n in range(len(edges))] + [len(packed)]

    whole = b"".join(decoded([packed[a:b] for a, b in pairwise(starts)], "gzip"))

    assert whole == body


def test_a_body_that_grows_without_end_is_not_read_on() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))

    with pytest.raises(DataError) as refused:
        for _ in decoded([bomb], "gzip"):
            pass

    assert refused.value.code == "body_too_large"


@pytest.mark.parametrize(
    ("status", "kind", "code", "asked"),
    [
        ("401 Unauthorized", AuthError, "credentials_refused", 1),
        ("403 Forbidden", PermissionDenied, "permission_denied", 1),
        ("404 Not Found", NotFound, "path_not_found", 1),
        ("410 Gone", NotFound, "path_not_found", 1),
        ("422 Unprocessable", PermanentError, "request_refused", 1),
        ("429 Too Many", RateLimited, "rate_limited", 5),
        ("408 Timeout", TransientError, "server_error", 5),
        ("503 Unavailable", TransientError, "server_error", 5),
    ],
)
def test_a_status_is_a_typed_error_and_only_what_may_pass_is_tried_again(
    opened: Opened, status: str, kind: type[Exception], code: str, asked: int
) -> None:
    http, origin = opened(*[reply(CANARY.encode(), status, retry_after="1")] * 5)

    with pytest.raises(kind) as refused:
        http.get("/things", {"key": CANARY})

    assert getattr(refused.value, "code", None) == code
    assert CANARY not in str(refused.value)
    assert len(origin.requests) == asked


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("86400", 300.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("", None)],
)
def test_the_wait_a_server_asks_for_is_kept_within_bounds(opened: Opened, given: str, seconds: float | None) -> None:
    http, _ = opened(*[reply(b"", "429 Too Many", retry_after=given)] * 5)

    with pytest.raises(RateLimited) as refused:
        http.get("/things")

    assert refused.value.retry_after_seconds == seconds


def test_a_request_that_writes_is_sent_once(opened: Opened) -> None:
    http, origin = opened(reply(b"", "503 Unavailable"), reply())

    with pytest.raises(TransientError):
        http.request("POST", "/things", content=b"{}")

    assert len(origin.requests) == 1


def test_keys_go_to_their_own_origin_and_nowhere_else(opened: Opened) -> None:
    other, there = opened(reply(b'["there"]'))
    secret = SecretStr(CANARY)
    http, here = opened(
        reply(b"", "302 Found", location=f"{there.url}/moved"),
        bearer=secret,
        headers={"x-key": CANARY},
        params={"k": CANARY},
    )

    answer = http.get("/things")

    assert (answer.json(), answer.url) == (["there"], f"{there.url}/moved")
    assert here.requests[0].count(CANARY.encode()) == 3
    assert CANARY.encode() not in there.requests[0]
    other.close()


def test_a_redirect_without_end_is_an_error(opened: Opened) -> None:
    http, _ = opened(*[reply(b"", "302 Found", location="/again")] * 6)

    with pytest.raises(PermanentError) as refused:
        http.get("/things")

    assert refused.value.code == "too_many_redirects"


def test_a_redirect_to_a_forbidden_address_is_refused_like_any_other(opened: Opened) -> None:
    http, _ = opened(reply(b"", "302 Found", location="http://169.254.169.254/latest/meta-data"))

    with pytest.raises(ConfigError) as refused:
        http.get("/things")

    assert refused.value.code == "address_not_allowed"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1", "http://", f"http://ada:{CANARY}@127.0.0.1/"])
def test_a_base_url_of_another_form_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        LocalContext(data_dir=tmp_path).http(url)

    assert (refused.value.code, refused.value.field) == ("bad_base_url", "base_url")
    assert CANARY not in str(refused.value.problem())


def test_basic_authentication_and_parameters_are_sent_as_they_should_be(opened: Opened) -> None:
    http, origin = opened(reply(), headers=basic("Ada", SecretStr("pä:ss")), params={"api_key": "k v"})

    http.get("things?sort=id", {"since": "2024-01-01T00:00:00Z", "none": None, "tag": ["a", "b"]})

    head = origin.requests[0].decode()
    assert "GET /things?sort=id&api_key=k+v&since=2024-01-01T00%3A00%3A00Z&tag=a&tag=b HTTP/1.1" in head
    assert "authorization: Basic QWRhOnDDpDpzcw==" in head


def numbered(start: int, size: int = 2, last: int = 5) -> bytes:
    return json.dumps(list(range(start, min(start + size, last)))).encode()


def walk(http: HttpClient, **how: Any) -> list[Any]:
    return [row for page in pages(http, "/rows", {"limit": 2}, **how) for row in page.json()]


def test_pages_are_walked_by_the_link_header(opened: Opened) -> None:
    following = '<{self}/rows?page=2>; rel="next", <{self}/rows>; rel="first prev"'
    http, _ = opened(reply(numbered(0), link=following), reply(numbered(2)))

    assert walk(http, then=link_header) == [0, 1, 2, 3]


def rows_of(page: HttpResponse) -> list[Any]:
    found: list[Any] = page.json()
    return found


@pytest.mark.parametrize("then", [next_page_number("page", rows_of), next_offset("skip", rows_of)])
def test_pages_are_walked_by_number_and_by_offset(opened: Opened, then: Next) -> None:
    http, _ = opened(reply(numbered(0)), reply(numbered(2)), reply(numbered(4)), reply())

    assert walk(http, then=then) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("then", [body_next_url("links.next"), body_cursor("meta.cursor", "c")])
def test_pages_are_walked_by_what_the_body_says(opened: Opened, then: Next) -> None:
    first = {"rows": [1], "links": {"next": "/rows?c=2"}, "meta": {"cursor": "2"}}
    last = {"rows": [2], "links": {"next": None}, "meta": {}}
    http, origin = opened(reply(json.dumps(first).encode()), reply(json.dumps(last).encode()))

    found = [row for page in pages(http, "/rows", then=then) for row in page.json()["rows"]]

    assert found == [1, 2]
    assert b"c=2" in origin.requests[1]


def test_pages_that_lead_back_are_an_error(opened: Opened) -> None:
    http, _ = opened(*[reply(link='</rows>; rel="next"')] * 3)

    with pytest.raises(DataError) as refused:
        list(pages(http, "/rows", then=link_header))

    assert refused.value.code == "page_loop"


def test_many_are_asked_for_at_once_and_come_in_the_order_asked_for(opened: Opened) -> None:
    http, _ = opened(*[reply(b"[%d]" % number) for number in range(20)])

    answers = http.get_all([(f"/{number}", {}) for number in range(20)], at_once=4)

    assert [answer.url.rpartition("/")[2] for answer in answers] == [str(number) for number in range(20)]


def test_closing_waits_for_what_is_under_way_and_leaves_no_connection(opened: Opened) -> None:
    http, _ = opened(*[reply(b"[%d]" % number) for number in range(20)])
    answers = http.get_all([(f"/{number}", {}) for number in range(20)], at_once=4)
    next(answers)

    http.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("http-")]
    assert http.pool.connections == []


def test_a_refusal_is_explained_by_whoever_knows_the_api(tmp_path: Path) -> None:
    def explain(answer: HttpResponse) -> PermissionDenied | None:
        reason = answer.json().get("reason")
        return PermissionDenied("not shared", code=reason) if reason else None

    told = b'{"reason": "not_shared"}'
    answers = [b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body) for body in (told, b"{}")]
    origin = Origin(answers)
    http = LocalContext(data_dir=tmp_path / "data").http(origin.url, explain=explain)

    codes = []
    for _ in answers:
        with pytest.raises(PermissionDenied) as refused:
            http.get("/")
        codes.append(refused.value.code)
    http.close()

    assert codes == ["not_shared", "permission_denied"]


@pytest.mark.parametrize("value", ["käy", "key\n", "key\r\nx: y", "\ud800"])
def test_a_key_that_no_header_may_hold_is_told_without_it(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        LocalContext(data_dir=tmp_path / "data").http("http://127.0.0.1:1", headers={"x-api-key": value})

    assert refused.value.code == "bad_header"
    assert value not in str(refused.value)


@pytest.mark.parametrize("target", ["/api/rows?page=2", "?page=2", "rows?page=2"])
def test_a_link_to_the_next_page_is_taken_relative_to_its_page(target: str, tmp_path: Path) -> None:
    more = b'HTTP/1.1 200 OK\r\nlink: <%s>; rel="next"\r\ncontent-length: 3\r\n\r\n[1]' % target.encode()
    last = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[2]"
    origin = Origin([more, last])
    http = LocalContext(data_dir=tmp_path / "data").http(f"{origin.url}/api")

    found = [page.json() for page in pages(http, "/rows", then=link_header)]
    http.close()

    assert found == [[1], [2]]
    assert origin.requests[1].startswith(b"GET /api/rows?page=2 ")
