"""Fetching the keys that an issuer publishes: one checked address, no redirects, no more than a few kilobytes."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from servicetsunami.runtime.addresses import AddressPolicy
from servicetsunami.runtime.dialling import dial
from servicetsunami.sdk import TransientError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    import httpx2

_PATIENCE_SECONDS = 5.0
_LONGEST_ANSWER = 256 * 1024
# An operator names the issuer, who often lives in a private network; metadata addresses are refused all the same.
_POLICY = AddressPolicy(allow_private=True)


async def fetch_keys(url: str, *, trust: ssl.SSLContext | None = None) -> bytes:
    """Return what is published at `url`; raises `TsunamiError`. `trust` replaces the system's certificates."""
    import httpx2

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = await asyncio.to_thread(dial, parts.hostname or "", port, _POLICY, timeout_seconds=_PATIENCE_SECONDS)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await _get(parts, address.ip, port, trust)
    except (httpx2.HTTPError, TimeoutError, OSError) as error:
        raise _unavailable(type(error).__name__) from None


async def _get(parts: SplitResult, ip: str, port: int, trust: ssl.SSLContext | None) -> bytes:
    import httpx2

    place = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    target = urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
    headers = {"host": parts.netloc, "accept": "application/json", "accept-encoding": "identity"}
    names = {"sni_hostname": parts.hostname} if parts.scheme == "https" else {}
    async with (
        httpx2.AsyncClient(trust_env=False, follow_redirects=False, verify=trust or True) as client,
        client.stream("GET", target, headers=headers, extensions=names) as response,
    ):
        return await _body(response)


async def _body(response: httpx2.Response) -> bytes:
    if response.status_code != 200 or "content-encoding" in response.headers:
        raise _unavailable(f"the answer has status {response.status_code}")
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LONGEST_ANSWER:
            raise _unavailable("the answer is too long")
    return body


def _unavailable(why: str) -> TransientError:
    return TransientError("the issuer's keys cannot be fetched", code="keys_unavailable", why=why)
