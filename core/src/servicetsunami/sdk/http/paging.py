"""Walking pages: one request after another until the last page says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from servicetsunami.sdk.errors import DataError
from servicetsunami.sdk.http.client import HttpClient
from servicetsunami.sdk.http.response import HttpResponse

Next = Callable[[HttpResponse, Mapping[str, Any]], "str | Mapping[str, Any] | None"]
"""Tells from a page and the parameters it was asked with where the next is: a URL, parameters to change, or None."""


def pages(
    http: HttpClient, path: str, params: Mapping[str, Any] | None = None, *, then: Next
) -> Iterator[HttpResponse]:
    """GET `path` and every page after it; raises `DataError` (`page_loop`) when a page leads to one that was read."""
    query: Mapping[str, Any] = dict(params or {})
    seen = set()
    while True:
        asked = (path, tuple(sorted((name, str(value)) for name, value in query.items())))
        if asked in seen:
            raise _loop(path)
        seen.add(asked)
        page = http.get(path, query)
        yield page
        step = then(page, query)
        if step is None:
            return
        path, query = (step, {}) if isinstance(step, str) else (path, {**query, **step})


def link_header(page: HttpResponse, _params: Mapping[str, Any]) -> str | None:
    """Go on where the Link header says `rel="next"`."""
    return page.links.get("next")


def body_next_url(key: str) -> Next:
    """Go on at the URL that the body holds under `key`, such as `links.next`; relative to that of the page."""

    def following(page: HttpResponse, _params: Mapping[str, Any]) -> str | None:
        found = _at(page.json(), key)
        return urljoin(page.url, found) if isinstance(found, str) and found else None

    return following


def body_cursor(key: str, param: str) -> Next:
    """Go on with the value that the body holds under `key`, given as the parameter `param`."""
    return lambda page, _params: {param: found} if (found := _at(page.json(), key)) not in (None, "") else None


def next_page_number(param: str, records: Callable[[HttpResponse], list[Any]], *, first: int = 1) -> Next:
    """Count pages in the parameter `param` until one holds no records."""
    return lambda page, params: {param: int(params.get(param, first)) + 1} if records(page) else None


def next_offset(param: str, records: Callable[[HttpResponse], list[Any]]) -> Next:
    """Count records in the parameter `param` until a page holds none."""
    return lambda page, params: {param: int(params.get(param, 0)) + len(found)} if (found := records(page)) else None


def _at(body: Any, key: str) -> Any:
    for part in key.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def _loop(path: str) -> DataError:
    return DataError(
        "a page leads to one that was read before, so the pages would never end",
        code="page_loop",
        why=path.partition("?")[0][:200],
        fix="check the paging settings against the server's documentation",
    )
