"""Files of object stores: the real client against servers on this machine that speak S3's and Google's protocols."""

from __future__ import annotations

import json
import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from servicetsunami.sdk import ConfigError, Read, TransientError, TsunamiError
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_files import FilesConfig, FilesSource

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
KEYS = {"access_key_id": "AKIACANARY", "secret_access_key": "canary-secret"}


def put(url: str, content: bytes, **headers: str) -> None:
    told = {"content-type": "application/octet-stream", **headers}
    asked = urllib.request.Request(url, data=content, method="PUT", headers=told)
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 200


class S3:
    """moto's server."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.signed = {"authorization": "AWS4-HMAC-SHA256 Credential=x/20240101/us-east-1/s3/aws4_request"}
        put(f"{self.url}/shop", b"", **self.signed)

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        put(f"{self.url}/shop/{quote(name)}", data, **self.signed)

    def settings(self, location: str = "s3://shop") -> dict[str, Any]:
        return {"location": location, "endpoint": self.url, **KEYS}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.close()


@pytest.fixture
def ctx(tmp_path: Path) -> LocalContext:
    return LocalContext(data_dir=tmp_path / "data")


def rows(ctx: LocalContext, name: str, since: Any = None, **settings: Any) -> list[dict[str, Any]]:
    source = FilesSource(FilesConfig.model_validate(settings), ctx)
    try:
        stream = next(stream for stream in source.streams() if stream.name == name)
        items: Any = source.read(Read(stream, since=since))
        return [row for item in items for row in item.to_pylist()]
    finally:
        source.close()


def test_objects_are_tables_as_files_are(s3: S3, ctx: LocalContext) -> None:
    s3.write("a/orders.csv", "id,name\n1,Ada\n2,Zoë\n")
    s3.write("a/visits/1.csv", "day\n1\n")
    s3.write("a/visits/Übersicht 2.csv", "day\n2\n")
    given = s3.settings("s3://shop/a")

    found = rows(ctx, "orders", **given)
    visits = rows(ctx, "visits", **given)

    assert [(row["id"], row["name"], row["_source_file"]) for row in found] == [
        (1, "Ada", "orders.csv"),
        (2, "Zoë", "orders.csv"),
    ]
    assert sorted(row["day"] for row in visits) == [1, 2]


def test_a_parquet_object_is_read_from_its_end(s3: S3, ctx: LocalContext) -> None:
    table = pa.table({"n": pa.array(range(200_000), pa.int64())})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=20_000)
    s3.write("p/data.parquet", sink.getvalue().to_pybytes())

    found = rows(ctx, "data", **s3.settings("s3://shop/p/data.parquet"))

    assert [row["n"] for row in found] == list(range(200_000))


def test_a_large_listing_comes_page_by_page(s3: S3, ctx: LocalContext) -> None:
    for number in range(1_200):
        s3.write(f"many/{number:05}.csv", f"n\n{number}\n")
    source = FilesSource(
        FilesConfig.model_validate({**s3.settings("s3://shop/many"), "streams": {"few": "0000*.csv"}}), ctx
    )

    (stream,) = source.streams()
    source.close()

    assert stream.size_bytes == 10 * len("n\n0\n")


def test_only_new_objects_come_the_next_time(s3: S3, ctx: LocalContext) -> None:
    s3.write("inc/1.csv", "n\n1\n")
    given = {**s3.settings("s3://shop/inc"), "streams": {"all": "*.csv"}}
    since = max(row["_source_modified"] for row in rows(ctx, "all", **given))

    assert rows(ctx, "all", since=since.replace(year=2099), **given) == []
    assert [row["n"] for row in rows(ctx, "all", since=since, **given)] == [1]


def test_an_object_that_changes_while_it_is_read_does_not_count(s3: S3, ctx: LocalContext) -> None:
    s3.write("change/a.csv", "n\n" + "1\n" * 6_000_000)
    source = FilesSource(FilesConfig.model_validate(s3.settings("s3://shop/change/a.csv")), ctx)
    (stream,) = source.streams()
    items = source.read(Read(stream))
    next(items)

    s3.write("change/a.csv", "n\n2\n")

    with pytest.raises(TransientError):
        list(items)
    source.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"location": "s3://no-such-bucket"}, "object_not_found"),
        ({"location": "s3://shop/no/such/object.csv"}, "object_not_found"),
        ({"endpoint": "http://127.0.0.1:1"}, "connection_refused"),
        ({"endpoint": "http://no.such.host.invalid"}, "host_not_found"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, Any], code: str, s3: S3, ctx: LocalContext) -> None:
    with pytest.raises(TsunamiError) as told:
        rows(ctx, "x", **{**s3.settings(), **changes})

    assert told.value.code == code
    assert "canary" not in f"{told.value} {told.value.problem()}".lower()


@pytest.mark.parametrize("endpoint", ["http://169.254.169.254", "http://10.0.0.1", "http://metadata.google.internal"])
def test_an_address_that_may_not_be_reached_is_not(endpoint: str, s3: S3, ctx: LocalContext) -> None:
    with pytest.raises(ConfigError) as refused:
        rows(ctx, "x", **{**s3.settings(), "endpoint": endpoint})

    assert refused.value.code in ("address_not_allowed", "host_not_found")


def test_nothing_of_the_environment_is_used(s3: S3, ctx: LocalContext, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    elsewhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "HTTP_PROXY",
    ):
        monkeypatch.setenv(name, elsewhere)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-machine")
    s3.write("env/a.csv", "n\n1\n")
    without = {name: value for name, value in s3.settings("s3://shop/env").items() if name not in KEYS}

    found = rows(ctx, "a", **s3.settings("s3://shop/env"))
    with suppress(TsunamiError):
        rows(ctx, "a", **without)

    assert [row["n"] for row in found] == [1]
    with pytest.raises(TimeoutError):
        listener.accept()
    listener.close()


class _OfGoogle(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    google: Google

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.google.tokens += 1
        self._send(200, json.dumps({"access_token": "canary-access", "expires_in": 3600}).encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.headers.get("authorization") != "Bearer canary-access":
            self._send(401, b"")
        elif "list-type=2" in self.path:
            self._send(200, self.google.listing(self.path), {"content-type": "application/xml"})
        else:
            self._object(unquote(self.path.split("?")[0]).removeprefix("/shop/"))

    def _object(self, name: str) -> None:
        body = self.google.objects.get(name)
        if body is None:
            self._send(404, b"")
            return
        told = {"last-modified": "Wed, 01 May 2024 10:00:00 GMT", "etag": f'"{len(body)}"'}
        wanted = self.headers.get("range")
        if wanted:
            first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            told["content-range"] = f"bytes {first}-{min(last, len(body) - 1)}/{len(body)}"
            body = body[first : last + 1]
        self._send(206 if wanted else 200, body, told)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Google:
    """What of Google Cloud Storage a reader needs: a listing, and objects in ranges."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.tokens = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_OfGoogle,), {"google": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer_as(self, handler: type[_OfGoogle]) -> None:
        self._server.RequestHandlerClass = type("Handler", (handler,), {"google": self})

    def listing(self, path: str) -> bytes:
        prefix = path.partition("prefix=")[2].partition("&")[0].replace("%2F", "/")
        entries = "".join(
            f"<Contents><Key>{name}</Key><LastModified>2024-05-01T10:00:00.000Z</LastModified>"
            f"<ETag>x</ETag><Size>{len(body)}</Size></Contents>"
            for name, body in self.objects.items()
            if name.startswith(prefix)
        )
        return f"<?xml version='1.0'?><ListBucketResult>{entries}</ListBucketResult>".encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_google_is_asked_with_a_token_of_the_account_alone(ctx: LocalContext) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = {
        "type": "service_account",
        "client_email": "reader@project.iam.gserviceaccount.com",
        "private_key": private.decode(),
        "private_key_id": "k1",
        "token_uri": "http://169.254.169.254/latest",
    }
    google = Google()
    google.objects = {"a/orders.csv": b"id\n1\n2\n"}
    given = {"location": "gs://shop/a", "endpoint": google.url, "service_account_json": json.dumps(key)}

    found = rows(ctx, "orders", **given)
    google.close()

    assert [row["id"] for row in found] == [1, 2]
    assert google.tokens == 1


def test_a_file_at_a_web_address_is_fetched_through_the_host(ctx: LocalContext) -> None:
    site = Google()
    site.answer_as(_OfWeb)
    site.objects = {"exports/Übersicht.csv": b"id,name\n1,Ada\n"}
    address = f"{site.url}/exports/{quote('Übersicht.csv')}"

    found = rows(ctx, "Übersicht", location=address)
    with pytest.raises(TsunamiError) as missing:
        rows(ctx, "x", location=f"{site.url}/exports/no.csv")
    with pytest.raises(ConfigError) as refused:
        rows(ctx, "x", location="http://169.254.169.254/latest/meta-data.csv")
    site.close()

    assert [(row["id"], row["_source_file"], row["_source_modified"].year) for row in found] == [
        (1, "Übersicht.csv", 2024)
    ]
    assert (missing.value.code, refused.value.code) == ("path_not_found", "address_not_allowed")
    assert list(ctx.data_dir.iterdir()) == []


@pytest.mark.parametrize("address", ["https://example.com/a.csv?sig=canary", "https://ada:canary@example.com/a.csv"])
def test_an_address_with_a_key_in_it_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="they would be shown") as refused:
        FilesConfig(location=address)

    assert "canary" not in str(refused.value)


class _OfWeb(_OfGoogle):
    def do_GET(self) -> None:
        self._object(unquote(self.path).removeprefix("/"))
