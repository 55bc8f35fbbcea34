"""A server that checks tokens with the keys its issuer publishes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from http_lab import AUDIENCE, ISSUER, Served, post, serving


@dataclass
class Provider:
    """An identity provider that publishes its keys, or fails."""

    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    asked: int = 0
    fails: bool = False

    def make(self, name: str) -> None:
        self.keys[name] = rsa.generate_private_key(65537, 2048)

    def published(self) -> bytes:
        found = [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}
            for name, key in self.keys.items()
        ]
        return json.dumps({"keys": found}).encode()

    def token(self, name: str) -> str:
        now = int(time.time())
        said = {"iss": ISSUER, "aud": [AUDIENCE], "sub": "ada", "tenant": "acme", "scope": "read", "iat": now}
        return jwt.encode({**said, "exp": now + 60}, self.keys[name], "RS256", {"kid": name, "typ": "at+jwt"})


@contextmanager
def published(provider: Provider) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked += 1
            self.send_response(500 if provider.fails else 200)
            self.end_headers()
            self.wfile.write(provider.published())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        server.shutdown()


@contextmanager
def checked(folder: Path, provider: Provider) -> Iterator[Served]:
    with published(provider) as url:
        settings = {
            "TSUNAMI_MCP_AUTH_ISSUER": ISSUER,
            "TSUNAMI_MCP_AUTH_AUDIENCE": AUDIENCE,
            "TSUNAMI_MCP_AUTH_JWKS_URL": url,
        }
        with serving(folder, "acme", settings=settings) as served:
            yield served


def statuses(served: Served, *tokens: str) -> list[int]:
    return [post(served, authorization=f"Bearer {token}").status_code for token in tokens]


def test_tokens_are_checked_with_published_keys_that_are_fetched_once(tmp_path: Path) -> None:
    provider, other = Provider(), Provider()
    provider.make("a")
    other.make("a")
    with checked(tmp_path, provider) as served:
        found = statuses(served, provider.token("a"), other.token("a"), provider.token("a"))
        provider.make("b")
        found += statuses(served, provider.token("b"))

    assert found == [200, 401, 200, 401]
    assert provider.asked == 1


def test_nobody_is_let_in_while_no_keys_can_be_had(tmp_path: Path) -> None:
    provider = Provider(fails=True)
    provider.make("a")
    with checked(tmp_path, provider) as served:
        found = statuses(served, *[provider.token("a")] * 20)

    assert found == [401] * 20
    assert provider.asked < 20
    assert "the issuer's keys cannot be fetched" in served.logged()
