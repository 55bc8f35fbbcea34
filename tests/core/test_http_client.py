"""The client that connectors get: whole answers or typed errors, and no key where it does not belong."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from http_origin import Opened, Origin, opening, reply
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
    HttpResponse,
    basic,
)
from servicetsunami.sdk.http.bodies import decoded
from servicetsunami.sdk.testing import LocalContext

ROWS = json.dumps([{"id": number, "name": "Zoë"} for number in range(500)]).encode()
CANARY = "canary-7d21"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with opening(tmp_path) as open_both:
        yield open_both


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
