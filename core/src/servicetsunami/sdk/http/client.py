"""The client a connector gets: paced, retried, redirected with care, and read to the end."""

from __future__ import annotations

import random
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from servicetsunami.sdk.errors import ConfigError, DataError, PermanentError, TransientError, TsunamiError
from servicetsunami.sdk.http.bodies import ACCEPTED, cut, decoded
from servicetsunami.sdk.http.refusals import refusal
from servicetsunami.sdk.http.response import HttpResponse

if TYPE_CHECKING:
    import httpcore2
    from pydantic import SecretStr

    from servicetsunami.sdk.context import Address

Explain = Callable[[HttpResponse], TsunamiError | None]
_MOST_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.5
_MOST_REDIRECTS = 5
_MOST_CONNECTIONS = 16
_MOST_BODY_BYTES = 256 * 1024 * 1024
_MOST_REFUSAL_BYTES = 1 << 20
_DICE = random.SystemRandom()
_AGAIN = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be sent twice."""


@dataclass(frozen=True, kw_only=True)
class HttpClient:
    """Sends requests below one base URL. Threads may share it; whoever opened it closes it."""

    base_url: str
    pool: httpcore2.ConnectionPool = field(repr=False)
    sleep: Callable[[float], None] = field(repr=False)
    """Waits, or raises `Cancelled`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent to the base URL's own origin alone."""
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to every query; sent to the base URL's own origin alone."""
    timeout_seconds: float = 60.0
    pace: Pace = field(repr=False)
    explain: Explain | None = field(default=None, repr=False)
    """Makes a typed error of an answer that refuses; None where its status says enough."""
    _closed: threading.Event = field(default_factory=threading.Event, init=False, repr=False, compare=False)
    _under_way: set[ThreadPoolExecutor] = field(default_factory=set, init=False, repr=False, compare=False)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> HttpResponse:
        """GET a path below the base URL, or a whole URL; `None` in `params` is left out.

        Raises what the answer's status means, `TransientError` when trying again did not help, and `DataError`.
        """
        return self.request("GET", path, params=params)

    def get_all(
        self, requests: Iterable[tuple[str, Mapping[str, Any]]], *, at_once: int = 8
    ) -> Generator[HttpResponse, None, None]:
        """GET several paths, `at_once` of them at the same time, and yield the answers in the order asked for."""
        todo = iter(requests)
        name = f"http-{id(todo)}"
        threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._under_way.add(threads)
        try:
            under_way: list[Future[HttpResponse]] = [threads.submit(self.get, *one) for one in islice(todo, at_once)]
            while under_way:
                answer = under_way.pop(0).result()
                under_way += [threads.submit(self.get, *one) for one in islice(todo, 1)]
                yield answer
        finally:
            self._under_way.discard(threads)
            # A generator that nobody closed may be collected in one of the very threads.
            is_inside = threading.current_thread().name.startswith(name)
            threads.shutdown(wait=not is_inside, cancel_futures=True)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        again: bool | None = None,
    ) -> HttpResponse:
        """Send a request; `again` says whether it may be sent twice, by default only if its method reads."""
        url = self._url(path, params)
        attempts = _MOST_ATTEMPTS if (method in _AGAIN if again is None else again) else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._follow(method, url, headers or {}, content)
            except TransientError as error:
                if attempt == attempts or self._closed.is_set():
                    raise
                self.sleep(_pause_seconds(attempt, error))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close every connection, those of requests under way too; leaving a `with` block does so as well."""
        self._closed.set()
        threads = list(self._under_way)
        for one in threads:
            one.shutdown(wait=False, cancel_futures=True)
        self.pool.close()
        for one in threads:  # what was cut off may have connected anew
            one.shutdown(wait=True)
        if threads:
            self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _url(self, path: str, params: Mapping[str, Any] | None) -> str:
        whole = urljoin(f"{self.base_url.rstrip('/')}/", path if "://" in path else path.lstrip("/"))
        given = {name: value for name, value in (params or {}).items() if value is not None}
        own = self.params if _origin(whole) == _origin(self.base_url) else {}
        query = urlencode({**own, **given}, doseq=True)
        parts = urlsplit(whole)
        return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, query) if part), fragment=""))

    def _follow(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> HttpResponse:
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._send(method, url, headers, content)
            target = answer.headers.get("location")
            if not 300 <= answer.status < 400 or target is None or answer.status == 304:
                return answer
            url = _redirected(url, target)
        raise PermanentError(
            f"{_shown(url)} leads in circles: more than {_MOST_REDIRECTS} redirects",
            code="too_many_redirects",
            fix="use the address that the last redirect names",
        )

    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> HttpResponse:
        self.pace.wait(self.sleep)
        own = self.headers if _origin(url) == _origin(self.base_url) else {}
        sent = {
            "host": urlsplit(url).netloc.rpartition("@")[2],
            "accept-encoding": ACCEPTED,
            "user-agent": "servicetsunami",
            **own,
            **headers,
        }
        if content:
            sent["content-length"] = str(len(content))
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout_seconds)
        with (
            _typed(url),
            self.pool.stream(
                method, url, headers=list(sent.items()), content=content or None, extensions={"timeout": timeout}
            ) as answer,
        ):
            return _read(method, url, answer, self.explain)


class Pace:
    """Spaces requests of all threads: at most so many a second, None for as fast as they come."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, sleep: Callable[[float], None]) -> None:
        """Wait for this request's turn."""
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._gap
        if turn > now:
            sleep(turn - now)


class Reach(Protocol):
    """What a client needs of the host."""

    def dial(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> Address:
        """Resolve a host, check its addresses and prove that one accepts a connection."""

    def sleep(self, seconds: float) -> None:
        """Wait, or raise `Cancelled`."""


def open_http(
    base_url: str,
    ctx: Reach,
    *,
    bearer: SecretStr | None = None,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    per_second: float | None = None,
    timeout_seconds: float = 60.0,
    explain: Explain | None = None,
) -> HttpClient:
    """Return a client for a base URL; connectors call `self.ctx.http`."""
    from servicetsunami.sdk.http.transport import open_pool

    _check_base(base_url)
    sent = {name.lower(): value for name, value in {**_bearer(bearer), **(headers or {})}.items()}
    _check_headers(sent)
    return HttpClient(
        base_url=base_url,
        pool=open_pool(ctx.dial, connections=_MOST_CONNECTIONS),
        sleep=ctx.sleep,
        headers=sent,
        params=params or {},
        timeout_seconds=timeout_seconds,
        pace=Pace(per_second),
        explain=explain,
    )


def _check_base(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme in ("http", "https") and parts.hostname and not parts.username and not parts.password:
        return
    # Not repeated: it may hold user and password.
    raise ConfigError(
        "the base URL is not one of the form https://host/path, without user and password",
        code="bad_base_url",
        field="base_url",
        fix="write it as https://host/path and give credentials in the settings made for them",
    )


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            # Not repeated: it is most likely a secret.
            raise ConfigError(
                f"the value of the header '{name}' holds letters that no header may have, so nothing is sent",
                code="bad_header",
                fix="check the token or key: it may have been copied with something around it",
            )


def basic(user: str, password: SecretStr) -> dict[str, str]:
    """Return the header of HTTP's basic authentication."""
    pair = f"{user}:{password.get_secret_value()}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _bearer(token: SecretStr | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _redirected(url: str, target: str) -> str:
    """Return where a redirect leads; its address is checked like any other when it is dialled."""
    new = urljoin(url, target)
    if urlsplit(new).scheme not in ("http", "https") or (_origin(url)[0], _origin(new)[0]) == ("https", "http"):
        raise PermanentError(
            f"{_shown(url)} leads to an address without encryption, which is not followed",
            code="insecure_redirect",
            fix="make the server redirect to https, or ask the right address outright",
        )
    return new


def _shown(url: str) -> str:
    """Return a URL as it may be shown: its query may hold a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _pause_seconds(attempt: int, error: TransientError) -> float:
    if error.retry_after_seconds is not None:
        return error.retry_after_seconds
    # Jitter keeps many readers that failed together from coming back together.
    return _FIRST_PAUSE_SECONDS * float(2 ** (attempt - 1)) * _DICE.uniform(0.5, 1.5)


def _read(method: str, url: str, answer: httpcore2.Response, explain: Explain | None) -> HttpResponse:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    refused = refusal(method, _shown(url), answer.status, headers)
    if refused is not None:
        raise _explained(url, answer, headers, explain) or refused
    body = b"" if method == "HEAD" else _whole(answer, headers)
    return HttpResponse(_shown(url), answer.status, headers, body)


def _explained(
    url: str, answer: httpcore2.Response, headers: dict[str, str], explain: Explain | None
) -> TsunamiError | None:
    if explain is None:
        return None
    body, pieces = b"", decoded(answer.iter_stream(), headers.get("content-encoding", "").lower())
    for piece in pieces:
        body += piece
        if len(body) > _MOST_REFUSAL_BYTES:
            return None
    return explain(HttpResponse(_shown(url), answer.status, headers, body))


def _whole(answer: httpcore2.Response, headers: Mapping[str, str]) -> bytes:
    pieces, size = [], 0
    for piece in decoded(answer.iter_stream(), headers.get("content-encoding", "").lower()):
        size += len(piece)
        if size > _MOST_BODY_BYTES:
            raise DataError(
                f"an answer is longer than {_MOST_BODY_BYTES >> 20} MiB, so it is not read on",
                code="body_too_large",
                fix="ask the server for smaller pages",
            )
        pieces.append(piece)
    _check_framed(answer, headers)
    return b"".join(pieces)


def _check_framed(answer: httpcore2.Response, headers: Mapping[str, str]) -> None:
    """Refuse a body that says nowhere how long it is: one that was cut looks like one that is whole."""
    bodyless = answer.status in (204, 304)
    framed = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
    if not (bodyless or framed or "content-encoding" in headers):
        raise PermanentError(
            "the server does not say how long its answer is, so nobody can tell whether it is whole",
            code="unframed_body",
            fix="make the server, or the proxy before it, send Content-Length or chunks",
        )


@contextmanager
def _typed(url: str) -> Iterator[None]:
    """Turn what the connection raises into typed errors; what was read of a broken answer is thrown away."""
    import httpcore2

    try:
        yield
    except httpcore2.TimeoutException as error:
        raise TransientError(f"{_shown(url)} did not answer in time", code="source_timeout") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise cut(f"the connection to {_shown(url)} ended in the middle") from error
