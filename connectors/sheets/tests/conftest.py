"""A server that speaks the Sheets API v4 as its documents describe, with a token endpoint that is strict."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sheets import SheetsConfig, SheetsSource

BOOK = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
EMAIL = "reader@project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
EPOCH = datetime(1899, 12, 30)
_RANGE = re.compile(r"'((?:[^']|'')*)'!([A-Z]+)(\d+):([A-Z]+)(\d+)")


@dataclass(frozen=True)
class Formatted:
    """A number that a cell shows as something else."""

    number: float
    kind: str


@dataclass(frozen=True)
class Wrong:
    """A formula that went wrong."""

    kind: str


@dataclass
class Sheet:
    """A worksheet; what is beyond its rows is empty."""

    title: str
    rows: list[list[Any]]
    hidden: bool = False
    kind: str = "GRID"
    spare_rows: int = 5
    spare_columns: int = 3

    @property
    def size(self) -> tuple[int, int]:
        return len(self.rows) + self.spare_rows, max(map(len, self.rows), default=0) + self.spare_columns


@dataclass
class Book:
    """A spreadsheet."""

    title: str
    sheets: list[Sheet]
    named: dict[str, tuple[int, int, int, int, int]] = field(default_factory=dict)
    """Sheet, first row, row after the last, first column, column after the last; from 0."""


Fault = Callable[[str], tuple[int, dict[str, Any], dict[str, str]] | None]


class Google:
    """The server."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.refresh_token, self.tokens = "canary-refresh", 0
        self.good: set[str] = set()
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        google = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(*google.get(self.path, self.headers.get("authorization", "")))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer(*google.token(dict(parse_qsl(body))))

            def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form["grant_type"] == "refresh_token":
            known = form["refresh_token"] == self.refresh_token and form.get("client_secret") == "canary-client"
        else:
            known = self._is_signed(form["assertion"])
        if not known:
            return 400, {"error": "invalid_grant", "error_description": "canary"}
        self.tokens += 1
        token = f"ya29.canary-{self.tokens}"
        self.good = {token}
        return 200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}

    def _is_signed(self, assertion: str) -> bool:
        try:
            claims = jwt.decode(assertion, key().public_key(), ["RS256"], audience=f"{self.url}/token")
        except jwt.PyJWTError:
            return False
        return bool(claims["iss"] == EMAIL and claims["scope"] == SCOPE)

    def get(self, path: str, authorization: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        self.requests.append(path)
        for fault in self.faults:
            if (found := fault(path)) is not None:
                return found
        if authorization.removeprefix("Bearer ") not in self.good:
            return refusal(401, "UNAUTHENTICATED")
        parts = urlsplit(path)
        book = self.books.get(unquote(parts.path).removeprefix("/v4/spreadsheets/"))
        if book is None:
            return refusal(404, "NOT_FOUND")
        query = parse_qs(parts.query)
        if query.get("includeGridData") == ["true"]:
            return 200, {"sheets": [{"data": [grid(book, text)]} for text in query["ranges"]]}, {}
        return 200, told(book), {}


def refusal(
    status: int, name: str, reason: str | None = None, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return an error as Google writes it."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    body = {"error": {"code": status, "message": "canary", "status": name, "details": details}}
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


def told(book: Book) -> dict[str, Any]:
    sheets = [
        {
            "properties": {
                **({"sheetId": number} if number else {}),
                "title": sheet.title,
                **({"hidden": True} if sheet.hidden else {}),
                "sheetType": sheet.kind,
                "gridProperties": {"rowCount": sheet.size[0], "columnCount": sheet.size[1]},
            }
        }
        for number, sheet in enumerate(book.sheets)
    ]
    named = [
        {
            "name": name,
            "range": {
                **({"sheetId": sheet} if sheet else {}),
                **({"startRowIndex": top} if top else {}),
                "endRowIndex": bottom,
                **({"startColumnIndex": left} if left else {}),
                "endColumnIndex": right,
            },
        }
        for name, (sheet, top, bottom, left, right) in book.named.items()
    ]
    return {"properties": {"title": book.title}, "sheets": sheets, **({"namedRanges": named} if named else {})}


def grid(book: Book, text: str) -> dict[str, Any]:
    """Return the cells of a range: what is empty at the end of a row, or of the range, is left out."""
    found = _RANGE.fullmatch(text)
    assert found, text
    sheet = next(sheet for sheet in book.sheets if sheet.title == found[1].replace("''", "'"))
    top, bottom, left, right = int(found[3]) - 1, int(found[5]), column(found[2]), column(found[4]) + 1
    rows = [{"values": trimmed([cell(value) for value in row[left:right]])} for row in sheet.rows[top:bottom]]
    kept = trimmed([row if row["values"] else {} for row in rows])
    return {**({"startRow": top} if top else {}), **({"rowData": kept} if kept else {})}


def trimmed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    while items and not items[-1]:
        items = items[:-1]
    return items


def cell(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"effectiveValue": {"boolValue": value}}
    if isinstance(value, Wrong):
        return {"effectiveValue": {"errorValue": {"type": value.kind, "message": "canary"}}}
    if isinstance(value, Formatted):
        shown = {"numberFormat": {"type": value.kind}}
        return {"effectiveValue": {"numberValue": value.number}, "effectiveFormat": shown}
    if isinstance(value, str):
        return {"effectiveValue": {"stringValue": value}}
    return {"effectiveValue": {"numberValue": value}}


def column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def day(value: date) -> Formatted:
    return Formatted((datetime(value.year, value.month, value.day) - EPOCH).days, "DATE")


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def key_file(**changes: str) -> str:
    """Return a key file whose addresses lead where nobody may be sent."""
    private = key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key": private.decode(),
        "private_key_id": "k1",
        "token_uri": "http://169.254.169.254/latest",
        "auth_uri": "http://169.254.169.254/latest",
        "universe_domain": "evil.example",
    }
    return json.dumps({**account, **changes})


@pytest.fixture
def google() -> Iterator[Google]:
    server = Google()
    server.books[BOOK] = Book("Budget", [Sheet("Orders", [["id", "customer"], [1, "Ada"], [2, "Grace"]])])
    yield server
    server.close()


class Patient(LocalContext):
    """Host services for which no time passes."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0))


@dataclass
class Desk:
    """Makes sources of the server's spreadsheets."""

    google: Google
    ctx: LocalContext
    opened: list[SheetsSource] = field(default_factory=list)

    def settings(self, **changes: Any) -> dict[str, Any]:
        given = {"spreadsheets": [BOOK], "service_account_json": key_file(), "api_url": self.google.url, **changes}
        return {name: value for name, value in given.items() if value is not None}

    def source(self, **changes: Any) -> SheetsSource:
        source = SheetsSource(SheetsConfig.model_validate(self.settings(**changes)), self.ctx)
        self.opened.append(source)
        return source

    def sheet(self, *rows: list[Any]) -> None:
        """Make a spreadsheet of one worksheet `T`."""
        self.book("Budget", [Sheet("T", [list(row) for row in rows])])

    def book(self, title: str, sheets: list[Sheet], named: Any = None, *, number: str = BOOK) -> None:
        self.google.books[number] = Book(title, sheets, named or {})

    worksheet = staticmethod(Sheet)
    formatted = staticmethod(Formatted)
    wrong = staticmethod(Wrong)
    day = staticmethod(day)
    number = BOOK
    email = EMAIL
    key_file = staticmethod(key_file)
    refusal = staticmethod(refusal)


@pytest.fixture
def desk(google: Google, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(google, Patient(data_dir=tmp_path / "data"))
    yield made
    for source in made.opened:
        source.close()
