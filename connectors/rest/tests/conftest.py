"""A server for the connector's tests: it answers as each test says, and keeps what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pytest

from servicetsunami.sdk import Checkpoint, Read
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_rest import RestConfig, RestSource


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer: JSON of any value, or bytes; `wire` is sent as it is, and the connection closed."""

    value: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wire: bytes | None = None

    @property
    def body(self) -> bytes:
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()


Route = Callable[[Asked], Any]


class Api:
    """Answers below `base_url`; `routes` say how, each a function of the request or a fixed answer."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.routes: dict[str, Any] = {}
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        route = self.routes.get(asked.path, Reply({"error": "no such path"}, status=404))
        found = route(asked) if callable(route) else route
        return found if isinstance(found, Reply) else Reply(found)

    @staticmethod
    def reply(value: Any = None, **parts: Any) -> Reply:
        return Reply(value, **parts)

    @staticmethod
    def paged(records: list[Any], size: int = 2) -> Route:
        """Answer with the page of `records` that `page` (from 1) or `offset` asks for."""

        def route(asked: Asked) -> list[Any]:
            wide = int(asked.query.get("limit", size))
            begin = int(asked.query.get("offset", (int(asked.query.get("page", 1)) - 1) * wide))
            return records[begin : begin + wide]

        return route

    def queries(self, path: str) -> list[dict[str, str]]:
        return [one.query for one in self.asked if one.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: Api

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        reply = self.api.answer(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
        if reply.wire is not None:
            self.wfile.write(reply.wire)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def serving() -> Iterator[Api]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        api = Api(f"http://127.0.0.1:{server.server_address[1]}")
        server.RequestHandlerClass = type("Handler", (_Handler,), {"api": api})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


class Patient(LocalContext):
    """A context in which time costs nothing; it keeps how long it was asked to wait."""

    @property
    def waits(self) -> list[float]:
        return self._slept

    def sleep(self, seconds: float) -> None:
        self._slept.append(seconds)


@dataclass
class Reader:
    """Opens the connector on the test's server."""

    api: Api
    data_dir: Path

    def __post_init__(self) -> None:
        self.ctx = Patient(data_dir=self.data_dir)
        self._opened: list[RestSource] = []

    def source(self, *streams: dict[str, Any], **settings: Any) -> RestSource:
        given = {"base_url": self.api.base_url, "streams": list(streams), **settings}
        source = RestSource(RestConfig.model_validate(given), self.ctx)
        self._opened.append(source)
        return source

    def close(self) -> None:
        for source in self._opened:
            source.close()

    def items(self, stream: dict[str, Any], *others: dict[str, Any], read: Read | None = None, **settings: Any) -> Any:
        source = self.source(stream, *others, **settings)
        found = {one.name: one for one in source.streams()}
        items: list[Any] = []
        for item in source.read(read or Read(found[stream["name"]])):
            items += [item] if isinstance(item, Checkpoint) else list(to_batches(item, None))
        return items

    def rows(self, stream: dict[str, Any], *others: dict[str, Any], **how: Any) -> list[dict[str, Any]]:
        batches = [item for item in self.items(stream, *others, **how) if isinstance(item, pa.RecordBatch)]
        return [row for batch in batches for row in batch.to_pylist()]

    def table(self, records: Any, **settings: Any) -> pa.Table:
        """Read records that come in one page."""
        self.api.routes["/t"] = records
        batches = self.items({"name": "t", "path": "/t", **settings})
        return pa.Table.from_batches(batches)


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


@pytest.fixture
def other_api() -> Iterator[Api]:
    with serving() as api:
        yield api


@pytest.fixture
def reader(api: Api, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(api, tmp_path / "data")
    yield reader
    reader.close()
