"""Walking the pages of a list, one after another or several at once, from the first or from where a read stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import urljoin

import msgspec

from servicetsunami.sdk import ConfigError, DataError, Json, NotFound, PermanentError
from servicetsunami.sdk.http import HttpResponse
from servicetsunami_rest.bodies import Page, at, opened
from servicetsunami_rest.config import Paging, StreamSettings
from servicetsunami_rest.session import Request, Session


@dataclass(frozen=True)
class Step:
    """One page, and where a later read would go on; {} where it would not."""

    page: Page
    then: Json


@dataclass(frozen=True)
class Walk:
    """The pages of one list."""

    session: Session
    stream: StreamSettings
    path: str
    params: Mapping[str, Any]
    at_once: int = 1
    """Requests under way at the same time; with one, a page is taken in before the next is asked for."""
    start: Json = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        """Yield the pages in order; raises `DataError` (`page_loop`) where they would never end."""
        if self._paging.kind not in ("page", "offset"):
            yield from self._linked()
        elif self.at_once > 1 and (self._paging.kind == "page" or self._paging.size):
            yield from _distinct(self._counted_at_once())
        else:
            yield from _distinct(self._counted())

    @property
    def _paging(self) -> Paging:
        return self.stream.paging

    @property
    def _param(self) -> str:
        return self._paging.param or self._paging.kind

    @property
    def _sized(self) -> dict[str, Any]:
        size = {self._paging.size_param: self._paging.size} if self._paging.size_param else {}
        return {**self.params, **size}

    def _linked(self) -> Iterator[Step]:
        """Follow what each page says of the next one."""
        seen: set[str] = set()
        place = dict(self.start)
        while True:
            page = self._page(self.session.get(self._linked_request(place)))
            following = self._following(page)
            yield Step(page, following)
            if not following:
                return
            mark = repr(sorted(following.items()))
            if mark in seen or following == place:
                raise _loop("a page leads to one that was read before")
            seen.add(mark)
            place = following

    def _linked_request(self, place: Json) -> Request:
        if "url" in place:
            return place["url"], {}
        cursor = {self._param: place["cursor"]} if "cursor" in place else {}
        return self.path, {**self._sized, **cursor}

    def _following(self, page: Page) -> Json:
        kind, name = self._paging.kind, self._paging.next or "next"
        found: Any
        if kind == "link":
            found = page.answer.links.get("next")
        elif kind == "cursor" and self._paging.last_field:
            found = None if page.is_empty else _given(page.last(self._paging.last_field), self._paging.last_field)
        else:
            found = at(page.envelope, name) if kind != "none" else None
        if found in (None, "", False):
            return {}
        allowed = (str, int, Decimal) if kind == "cursor" else (str,)
        if isinstance(found, bool) or not isinstance(found, allowed):
            raise _no_next(name)
        if kind == "cursor":
            return {"cursor": str(found) if isinstance(found, Decimal) else found}
        return {"url": urljoin(page.answer.url, str(found))}

    def _counted(self) -> Iterator[Step]:
        """Ask for one page after another until one is empty."""
        place = self._first
        while (page := self._counted_page(place)) is not None and not page.is_empty:
            place += 1 if self._paging.kind == "page" else _length(page)
            yield Step(page, {self._paging.kind: place})

    def _counted_page(self, place: int) -> Page | None:
        try:
            return self._page(self.session.get((self.path, {**self._sized, self._param: place})))
        except NotFound:
            if place == self._first or not self._paging.past_end_is_404:
                raise
            return None

    def _counted_at_once(self) -> Iterator[Step]:
        """Ask for several pages ahead; begin anew behind a page that is shorter than asked for."""
        place, stride = self._first, self._stride
        while True:
            with closing(self.session.get_all(self._ahead(place, stride), self.at_once)) as answers:
                for page in self._until_end(answers, place):
                    length = _length(page) if self._paging.kind == "offset" else stride
                    if length != stride:
                        place, stride = place + length, length
                        yield Step(page, {"offset": place})
                        break
                    place += stride
                    yield Step(page, {self._paging.kind: place})
                else:
                    return

    def _until_end(self, answers: Iterator[HttpResponse], first: int) -> Iterator[Page]:
        for number in count():
            try:
                answer = next(answers, None)
            except NotFound:
                if not self._paging.past_end_is_404 or (number == 0 and first == self._first):
                    raise
                return
            page = self._page(answer) if answer else None
            if page is None or page.is_empty:
                return
            yield page

    def _ahead(self, place: int, stride: int) -> Iterator[Request]:
        return ((self.path, {**self._sized, self._param: number}) for number in count(place, stride))

    @property
    def _stride(self) -> int:
        return 1 if self._paging.kind == "page" else self._paging.size or 1

    @property
    def _first(self) -> int:
        zero = self._paging.first if self._paging.kind == "page" else 0
        return int(self.start.get(self._paging.kind, zero))

    def _page(self, answer: HttpResponse) -> Page:
        return opened(answer, self.stream.records, null_is_empty=self.stream.null_is_empty)


def _distinct(steps: Iterator[Step]) -> Iterator[Step]:
    """Refuse a page that repeats the one before it: the server takes no notice of the paging parameter."""
    before = b""
    for step in steps:
        if step.page.records == before:
            raise _loop("two pages in a row hold the same records")
        before = step.page.records
        yield step


def _length(page: Page) -> int:
    return len(msgspec.json.decode(page.records, type=list[msgspec.Raw]))


def _given(value: Any, name: str) -> Any:
    if value is None:
        raise _no_next(name)
    return value


def _no_next(name: str) -> DataError:
    return DataError(
        f"'{name}' does not say where the next page is, so the records behind this page cannot be read",
        code="bad_paging",
        field="paging",
        fix="set the stream's paging.next or paging.last_field to what holds the URL or the cursor",
    )


def _loop(what: str) -> DataError:
    return DataError(
        f"{what}, so the pages would never end",
        code="page_loop",
        field="paging",
        fix="check paging.kind, paging.param and paging.next against the API's documentation",
    )


EXPIRED = (NotFound, ConfigError, PermanentError, DataError)
"""What a server says of a place that was good once."""
