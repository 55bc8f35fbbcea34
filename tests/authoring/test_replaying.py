"""HTTP that was recorded is replayed exactly, strictly, and holds no secret in any form."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from servicetsunami.sdk.http import basic
from servicetsunami.sdk.testing.replaying import Cassette, ReplayedContext, UnexpectedRequestError

SECRET = "canary +/päss="
ROWS = [{"id": 1, "name": "Zoë"}, {"id": 2, "name": SECRET}]


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        body = b"\xff\xfe\x00" if self.path.startswith("/raw") else json.dumps(ROWS, ensure_ascii=False).encode()
        if self.path.startswith("/token"):
            body = b'{"access_token": "canary-issued", "expires_in": 60}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("set-cookie", "session=canary")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def used(url: str, folder: Path, *, records: bool) -> tuple[list[Any], Cassette]:
    """Do what a connector does, and return what it got."""
    cassette = Cassette.at(folder / "c.json", records=records)
    cassette.secrets = (SECRET,)
    ctx = ReplayedContext(data_dir=folder / "data", cassette=cassette)
    headers = {"x-api-key": quote(SECRET), **basic("ada", SecretStr(SECRET))}
    http = ctx.http(url, bearer=None, headers=headers, params={"api_key": SECRET})
    found = [
        http.get("/rows", {"page": 1, "q": SECRET}).json(),
        http.get("/raw").body,
        http.request("POST", "/token", content=f"refresh_token={quote(SECRET)}&grant=x".encode()).json(),
        http.get("/rows", {"page": 2}).json(),
    ]
    http.close()
    if records:
        cassette.save()
    return found, cassette


def test_what_was_recorded_is_replayed_without_a_server(url: str, tmp_path: Path) -> None:
    recorded, _ = used(url, tmp_path, records=True)

    replayed, cassette = used(url, tmp_path, records=False)

    assert replayed[1] == recorded[1] == b"\xff\xfe\x00"
    assert [row["id"] for row in replayed[0]] == [1, 2]
    assert cassette.unused == []


def test_a_recording_holds_no_secret_in_any_form(url: str, tmp_path: Path) -> None:
    used(url, tmp_path, records=True)

    text = (tmp_path / "c.json").read_text(encoding="utf-8")

    assert "canary" not in text
    assert quote(SECRET) not in text
    assert b64encode(SECRET.encode()).decode() not in text
    assert "set-cookie" not in text
    assert "Zoë" in text


def test_a_request_that_was_not_recorded_fails_and_says_what_there_is(url: str, tmp_path: Path) -> None:
    used(url, tmp_path, records=True)
    cassette = Cassette.at(tmp_path / "c.json", records=False)
    http = ReplayedContext(data_dir=tmp_path / "data", cassette=cassette).http(url)

    with pytest.raises(UnexpectedRequestError) as unexpected:
        http.get("/other")

    assert "/other is not in c.json" in str(unexpected.value)
    assert "/raw" in str(unexpected.value)
    assert "--tsunami-record" in str(unexpected.value)
    assert len(cassette.unused) == 4


def test_an_answer_is_given_once(url: str, tmp_path: Path) -> None:
    used(url, tmp_path, records=True)
    cassette = Cassette.at(tmp_path / "c.json", records=False)
    http = ReplayedContext(data_dir=tmp_path / "data", cassette=cassette).http(url, params={"api_key": "another"})

    http.get("/raw")

    with pytest.raises(UnexpectedRequestError):
        http.get("/raw")
