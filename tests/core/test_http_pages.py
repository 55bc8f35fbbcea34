"""Pages of an answer are walked to their end, by whatever leads from one to the next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_origin import Opened, Origin, opening, reply

from servicetsunami.sdk import DataError
from servicetsunami.sdk.http import (
    HttpClient,
    HttpResponse,
    Next,
    body_cursor,
    body_next_url,
    link_header,
    next_offset,
    next_page_number,
    pages,
)
from servicetsunami.sdk.testing import LocalContext


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with opening(tmp_path) as open_both:
        yield open_both


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
