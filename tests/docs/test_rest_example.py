"""The example of a connector over HTTP is as short as it says, and passes the contract of every connector."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from servicetsunami.sdk.testing import SourceContract

MODULE = Path(__file__).parents[2] / "docs/examples/connector-rest-sdk/src/servicetsunami_issues/__init__.py"
TOKEN = "token-of-the-tests"
ISSUES = [{"id": n, "title": f"no {n}", "updated_at": f"2024-05-{1 + n // 4:02}T10:00:00Z"} for n in range(40)]


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("servicetsunami_issues", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["servicetsunami_issues"] = module
    spec.loader.exec_module(module)
    return module


class Api(BaseHTTPRequestHandler):
    """Ten issues at a time, to whoever has the token."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        known = parts.path == "/repos/ada/shop/issues"
        if not known or self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._send(401 if known else 404, [])
            return
        found = [issue for issue in ISSUES if str(issue["updated_at"]) >= query.get("since", "")]
        first = int(query.get("first", 0))
        after = urlencode({**query, "first": first + 10})
        more = f'<{parts.path}?{after}>; rel="next"' if found[first + 10 :] else None
        self._send(200, found[first : first + 10], more)

    def _send(self, status: int, body: Any, link: str | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        if link:
            self.send_header("link", link)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


class TestIssuesContract(SourceContract):
    connector = loaded().Issues
    bad_configs = ({"token": "not-the-token"}, {"repository": "ada/shopp"}, {"base_url": "http://127.0.0.1:1"})

    @pytest.fixture
    def config(self, server: str) -> dict[str, str]:
        return {"repository": "ada/shop", "token": TOKEN, "base_url": server}


def test_the_example_has_at_most_30_lines_of_code() -> None:
    tree = ast.parse(MODULE.read_text(encoding="utf-8"))
    texts = {
        id(node.body[0]) for node in ast.walk(tree) if hasattr(node, "body") and node.body and _is_text(node.body[0])
    }
    lines = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and id(node) not in texts
        for line in range(node.lineno, node.lineno + 1)
    }

    assert len(lines) <= 30


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
