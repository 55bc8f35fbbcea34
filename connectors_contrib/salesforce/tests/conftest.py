"""A server that speaks Salesforce's REST and Bulk 2.0 query APIs, with tokens that rotate."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from servicetsunami.sdk.testing import LocalContext
from servicetsunami_salesforce import SalesforceConfig, SalesforceSource

BASE = "/services/data/v64.0"
PAGE = 7
FIELDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Id", "id", {}),
    ("IsDeleted", "boolean", {}),
    ("Name", "string", {}),
    ("Amount", "currency", {"precision": 18, "scale": 2}),
    ("Employees", "int", {}),
    ("Founded", "date", {}),
    ("Opens", "time", {}),
    ("Score", "double", {"precision": 18, "scale": 4, "calculated": True}),
    ("Address", "address", {}),
    ("SystemModstamp", "datetime", {}),
)
Answer = tuple[int, Any, dict[str, str]]
Fault = Callable[[str, str], Answer | None]
_QUERY = re.compile(
    r"SELECT (?P<what>.+?) FROM (?P<name>\w+)(?: WHERE SystemModstamp >= (?P<since>\S+))?"
    r"(?P<order> ORDER BY SystemModstamp, Id)?(?: LIMIT (?P<limit>\d+))?"
)


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a record as the API tells it."""
    return {
        "Id": f"001{number:012}AAA",
        "IsDeleted": False,
        "Name": f"Zoë & Söhne, no {number}",
        "Amount": number + 0.25,
        "Employees": number,
        "Founded": "2001-02-03",
        "Opens": "08:30:00.000Z",
        "Score": number / 3,
        "SystemModstamp": f"2024-05-{1 + number // 20:02}T10:00:{number % 20:02}.000+0000",
        **changes,
    }


class Organisation:
    """The server."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {"Account": [row(n) for n in range(40)], "User": [row(1)]}
        self.fields: dict[str, tuple[Any, ...]] = {}
        self.refresh, self.used, self.good = "canary-refresh-0", 0, ""
        self.requests: list[tuple[str, str]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.instance: str | None = None
        self.polls = 0
        """How often a job is looked at in vain."""
        org = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                status, answer, headers = org.answer(
                    self.command, self.path, self.headers.get("authorization", ""), body
                )
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def __getattr__(self, name: str) -> Any:
                if name in ("do_GET", "do_POST", "do_DELETE"):
                    return self._serve
                raise AttributeError(name)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, authorization: str, body: str) -> Answer:
        self.requests.append((method, path))
        for fault in self.faults:
            if (found := fault(method, path)) is not None:
                return found
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/services/oauth2/token":
            return self._token(dict(parse_qsl(body)))
        if not self.good or authorization != f"Bearer {self.good}":
            return refusal(401, "INVALID_SESSION_ID")
        return self._data(method, parts.path.removeprefix(BASE), query, body)

    def _token(self, form: dict[str, str]) -> Answer:
        by_itself = form["grant_type"] == "client_credentials" and form.get("client_secret") == "canary-secret"
        if not by_itself and form.get("refresh_token") != self.refresh:
            return 400, {"error": "invalid_grant", "error_description": "canary"}, {}
        self.used += 1
        self.good, self.refresh = f"canary-access-{self.used}", f"canary-refresh-{self.used}"
        told = {"access_token": self.good, "instance_url": self.instance or self.url, "issued_at": "1"}
        return 200, told if by_itself else {**told, "refresh_token": self.refresh}, {}

    def _data(self, method: str, path: str, query: dict[str, str], body: str) -> Answer:
        if path == "/sobjects":
            return 200, {"sobjects": [{"name": name, "queryable": True} for name in self.objects]}, {}
        if path.endswith("/describe"):
            return self._describe(path.split("/")[2])
        if path in ("/query", "/queryAll"):
            return self._query(query["q"], everything=path == "/queryAll")
        if path.startswith("/query/"):
            return self._page(*path.removeprefix("/query/").rsplit("-", 1))
        return self._job(method, path, query, body)

    def _describe(self, name: str) -> Answer:
        if name not in self.objects:
            return refusal(404, "NOT_FOUND")
        fields = self.fields.get(name, FIELDS)
        return (
            200,
            {"name": name, "label": name, "fields": [{"name": n, "type": t, **more} for n, t, more in fields]},
            {},
        )

    def rows(self, soql: str, *, everything: bool) -> tuple[list[str], list[dict[str, Any]]]:
        found = _QUERY.fullmatch(soql)
        assert found, soql
        since = (found["since"] or "").replace("Z", "+0000")
        rows = [one for one in self.objects[found["name"]] if everything or not one["IsDeleted"]]
        rows = [one for one in rows if not since or one["SystemModstamp"] >= since]
        if found["order"]:
            rows.sort(key=lambda one: (one["SystemModstamp"], one["Id"]))
        return found["what"].split(", "), rows[: int(found["limit"])] if found["limit"] else rows

    def _query(self, soql: str, *, everything: bool) -> Answer:
        names, rows = self.rows(soql, everything=everything)
        if names == ["COUNT()"]:
            return 200, {"totalSize": len(rows), "done": True, "records": []}, {}
        known = {name for name, _, _ in FIELDS}
        if not set(names) <= known:
            return refusal(400, "INVALID_FIELD")
        self._open = [{"attributes": {"type": "x"}, **{name: one[name] for name in names}} for one in rows]
        return self._page("x", "0")

    def _page(self, _query: str, start: str) -> Answer:
        first, total = int(start), len(self._open)
        told = {"totalSize": total, "done": first + PAGE >= total, "records": self._open[first : first + PAGE]}
        more = {} if told["done"] else {"nextRecordsUrl": f"{BASE}/query/x-{first + PAGE}"}
        return 200, {**told, **more}, {"Sforce-Limit-Info": "api-usage=18/15000"}

    def _job(self, method: str, path: str, query: dict[str, str], body: str) -> Answer:
        if method == "POST":
            asked = json.loads(body)
            names, rows = self.rows(asked["query"], everything=asked["operation"] == "queryAll")
            self.jobs["750J"] = {"names": names, "rows": rows, "polls": 0}
            return 200, {"id": "750J", "state": "UploadComplete"}, {}
        job = self.jobs["750J"]
        if method == "DELETE":
            del self.jobs["750J"]
            return 204, "", {}
        if path.endswith("/results"):
            return self._results(job, int(query.get("locator") or 0))
        job["polls"] += 1
        state = "JobComplete" if job["polls"] > self.polls else "InProgress"
        return 200, {"id": "750J", "state": state, "numberRecordsProcessed": len(job["rows"])}, {}

    def _results(self, job: dict[str, Any], first: int) -> Answer:
        some = job["rows"][first : first + 15]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(job["names"])
        writer.writerows([_cell(one[name]) for name in job["names"]] for one in some)
        after = str(first + 15) if first + 15 < len(job["rows"]) else "null"
        return 200, text.getvalue(), {"Sforce-Locator": after, "Sforce-NumberOfRecords": str(len(some))}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("+0000", "Z") if "T" in text and text.endswith("+0000") else text


def refusal(status: int, code: str) -> Answer:
    """Return an error as Salesforce writes it."""
    return status, [{"message": "canary", "errorCode": code, "fields": []}], {}


class Patient(LocalContext):
    """Host services for which no time passes."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0))


@dataclass
class Desk:
    """Makes sources of the organisation."""

    org: Organisation
    ctx: LocalContext
    opened: list[SalesforceSource] = field(default_factory=list)
    row = staticmethod(row)
    refusal = staticmethod(refusal)

    def settings(self, **changes: Any) -> dict[str, Any]:
        given = {
            "login_url": self.org.url,
            "client_id": "key",
            "client_secret": "canary-secret",
            "refresh_token": self.org.refresh,
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    def source(self, **changes: Any) -> SalesforceSource:
        source = SalesforceSource(SalesforceConfig.model_validate(self.settings(**changes)), self.ctx)
        self.opened.append(source)
        return source


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(Organisation(), Patient(data_dir=tmp_path / "data"))
    yield made
    for source in made.opened:
        source.close()
    made.org.close()
