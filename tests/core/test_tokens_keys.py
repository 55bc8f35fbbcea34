"""Where the keys come from that tokens are checked with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from servicetsunami.runtime.key_fetching import fetch_keys
from servicetsunami.runtime.token_keys import PublishedKeys
from servicetsunami.runtime.tokens import TokenRefused
from servicetsunami.sdk import ConfigError, TransientError, TsunamiError

pytestmark = pytest.mark.anyio


def published(*names: str | None, **changes: Any) -> bytes:
    keys = []
    for name in names:
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
        keys.append({**key, "use": "sig", **({} if name is None else {"kid": name}), **changes})
    return json.dumps({"keys": keys}).encode()


class Issuer:
    """Publishes what a test wants, counts how often it is asked, and holds the clock."""

    def __init__(self, *answers: bytes | TsunamiError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.now = 0.0
        self.keys = PublishedKeys(self._fetch, clock=lambda: self.now)

    async def _fetch(self) -> bytes:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(0)
        if isinstance(answer, TsunamiError):
            raise answer
        return answer

    async def knows(self, name: str | None, algorithm: str = "ES256") -> bool:
        try:
            await self.keys.find(name, algorithm)
        except TokenRefused:
            return False
        return True


async def test_keys_are_fetched_once_for_many_tokens() -> None:
    issuer = Issuer(published("a", "b"))

    found = await asyncio.gather(*(issuer.knows(name) for name in "abab"))

    assert (found, issuer.asked) == ([True] * 4, 1)


async def test_an_unknown_key_is_looked_for_once_a_minute() -> None:
    issuer = Issuer(published("a"), published("a", "b"))
    seen = [await issuer.knows("a"), await issuer.knows("b")]

    issuer.now = 61.0
    seen += [await issuer.knows("b"), await issuer.knows("c"), await issuer.knows("d")]

    assert (seen, issuer.asked) == ([True, False, True, False, False], 2)


async def test_a_flood_of_unknown_keys_asks_the_issuer_once() -> None:
    issuer = Issuer(published("a"))

    found = await asyncio.gather(*(issuer.knows(f"unknown-{number}") for number in range(200)))

    assert (any(found), issuer.asked) == (False, 1)


async def test_a_key_that_was_withdrawn_ends_with_the_next_fetch() -> None:
    issuer = Issuer(published("a", "b"), published("b"))
    before = await issuer.knows("a")

    issuer.now = 601.0

    assert (before, await issuer.knows("a"), await issuer.knows("b")) == (True, False, True)


async def test_keys_serve_for_an_hour_while_the_issuer_cannot_be_asked_and_then_no_longer() -> None:
    issuer = Issuer(published("a"), TransientError("down"))
    seen = [await issuer.knows("a")]

    for moment in (601.0, 3599.0, 3700.0):
        issuer.now = moment
        seen.append(await issuer.knows("a"))

    assert seen == [True, True, True, False]


async def test_a_first_fetch_that_failed_is_tried_again_soon() -> None:
    issuer = Issuer(TransientError("down"), published("a"))
    seen = [await issuer.knows("a"), await issuer.knows("a")]
    asked = issuer.asked

    issuer.now = 6.0

    assert (seen, asked, await issuer.knows("a")) == ([False, False], 1, True)


async def test_a_token_without_a_key_name_gets_the_only_key_and_none_of_several() -> None:
    one, several = Issuer(published("a")), Issuer(published("a", "b"))

    assert (await one.knows(None), await several.knows(None)) == (True, False)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [], "keys": []}',
        json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}).encode(),
        published("a", use="enc"),
        published("a", alg="RS256"),
        published("a", d="AA"),
        published("a", x="AA"),
        published("a", "a"),
        json.dumps({"keys": [{"kty": "RSA", "kid": "a"}] * 65}).encode(),
    ],
    ids=[
        "nothing",
        "a list",
        "no keys",
        "no list",
        "no objects",
        "twice",
        "shared secret",
        "for encryption",
        "for another algorithm",
        "private",
        "off the curve",
        "one name for two",
        "too many",
    ],
)
async def test_keys_that_cannot_be_used_prove_nothing(answer: bytes) -> None:
    assert not await Issuer(answer).knows("a")


async def test_a_key_of_another_kind_than_the_algorithm_proves_nothing() -> None:
    issuer = Issuer(published("a"))

    assert not await issuer.knows("a", "RS256")


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def web(*lines: str, body: bytes = b"{}", silent: bool = False) -> AsyncIterator[tuple[str, Sequence[bytes]]]:
    """A web server that gives one answer to everything; yields its address and what it was asked."""
    asked: list[bytes] = []
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
        asked.append(head)
        if silent:
            await ended.wait()
        writer.write("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
        writer.close()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except asyncio.IncompleteReadError:  # the probe of the dialler
            writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys?v=1", asked
    finally:
        ended.set()
        server.close()


async def test_keys_are_fetched_from_the_checked_address() -> None:
    async with web("HTTP/1.1 200 OK", body=b'{"keys": []}') as (url, asked):
        found = await fetch_keys(url.replace("127.0.0.1", "localhost"))

    assert found == b'{"keys": []}'
    assert asked[0].startswith(b"GET /keys?v=1 HTTP/1.1\r\n")
    assert b"host: localhost:" in asked[0].lower()
    assert b"accept-encoding: identity" in asked[0].lower()


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["HTTP/1.1 302 Found", "location: http://127.0.0.1:1/"], b""),
        (["HTTP/1.1 500 Internal Server Error"], b""),
        (["HTTP/1.1 200 OK", "content-encoding: gzip"], b"xx"),
        (["HTTP/1.1 200 OK"], b"x" * 300_000),
        (["nonsense"], b""),
    ],
    ids=["redirect", "failure", "compressed", "too long", "no HTTP"],
)
async def test_an_answer_that_is_not_the_keys_is_refused(lines: list[str], body: bytes) -> None:
    async with web(*lines, body=body) as (url, _asked):
        with pytest.raises(TransientError) as refused:
            await fetch_keys(url)

    assert refused.value.code == "keys_unavailable"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "0.0.0.0"])
async def test_keys_are_never_fetched_from_a_metadata_address(host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await fetch_keys(f"http://{host}/keys")

    assert refused.value.code == "address_not_allowed"
