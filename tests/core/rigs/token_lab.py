"""An endpoint of OAuth 2 that is strict, and an installation whose one connector reads with its tokens."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from servicetsunami.operations.app import App
from servicetsunami.plugins import FoundPlugin, Plugins, discover
from servicetsunami.records import open_records, open_vault
from servicetsunami.runtime import Presence, load_settings
from servicetsunami.sdk import manifest

FIRST = "canary-refresh-0"
CLIENT_SECRET = "canary-client-secret"
PLUGINS = str(Path(__file__).parents[1] / "worker_plugins")
"""Where workers find the connector."""


class Endpoint:
    """A token endpoint that takes each refresh token once, and gives the next one with the access token."""

    def __init__(self) -> None:
        self.used: list[str] = []
        self.refused: list[str] = []
        self.good = FIRST
        self.prefix = "canary-access"
        self.codes: dict[str, dict[str, str]] = {}
        self.forgets = False
        """True to give no refresh token to those who sign in."""
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                status, answer = endpoint.answer(form)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def sign_in(self, url: str) -> str:
        """Be the site: let whoever comes with this address sign in, and return where they are sent."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"canary-code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            return self._exchanged(form) if form["grant_type"] == "authorization_code" else self._refreshed(form)

    def _exchanged(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form["code"], {})
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        proven = asked.get("code_challenge") == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        same = asked.get("redirect_uri") == form["redirect_uri"] and asked["client_id"] == form["client_id"]
        if not (proven and same and form.get("client_secret") == CLIENT_SECRET):
            return 400, {"error": "invalid_grant"}
        tokens = {"access_token": "canary-access-0", "expires_in": 3600}
        return 200, tokens if self.forgets else {**tokens, "refresh_token": self.good}

    def _refreshed(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        refresh = form["refresh_token"]
        if refresh != self.good:
            self.refused.append(refresh)
            return 400, {"error": "invalid_grant"}
        self.used.append(refresh)
        self.good = f"canary-refresh-{len(self.used)}"
        access = f"{self.prefix}-{len(self.used):03d}"
        return 200, {
            "access_token": access,
            "refresh_token": self.good,
            "expires_in": 3600,
            "instance_url": "https://na1.example",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@asynccontextmanager
async def opened(home: Path, **settings: Any) -> AsyncIterator[App]:
    """Open an app with the connector, as a process of its own would."""
    tokened = importlib.import_module("token_connectors").Tokened
    sinks = [plugin for plugin in discover().found if plugin.kind == "sink"]
    found = Plugins((FoundPlugin("tokened", "connector", tokened, "tokened", "1", None, manifest(tokened)), *sinks))
    records = await open_records(f"sqlite:///{home}/records.db", open_vault(home, master_key=None))
    with closing(Presence(home)) as presence:
        given = {"home": str(home), "allow_private_addresses": "true", **settings}
        app = App(load_settings(given, environ={}, cwd=home), found, records, presence)
        await records.create_tenant("default")
        try:
            yield app
        finally:
            await app.close()
