"""HTTP recorded once and replayed for ever: what a connector asks, and what it was answered, in a readable file.

Nothing secret is kept: of a request only its method, address and body, of an answer no cookies; and in all of it the
secrets that the test names, in every encoding, and whatever is called like one.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from servicetsunami.sdk.testing.context import LocalContext

if TYPE_CHECKING:
    import httpcore2

    from servicetsunami.sdk.http import HttpClient

MASK = "***"
_SECRET_NAME = re.compile(r"token|key|secret|passw|sig|code|credential|assertion", re.IGNORECASE)
_SECRET_FIELD = re.compile(r'("(?:access_token|refresh_token|id_token|client_secret|password)"\s*:\s*")[^"]*(")')
_SECRET_PAIR = re.compile(r"((?:^|&)[^=&]*(?:token|key|secret|passw|assertion|code)[^=&]*=)[^&]*", re.IGNORECASE)
_KEPT_HEADERS = frozenset({"content-type", "link", "location", "retry-after", "etag", "last-modified"})


class UnexpectedRequestError(AssertionError):
    """A connector asked for what is not in the cassette."""


@dataclass(frozen=True)
class Interaction:
    """One request and its answer."""

    method: str
    url: str
    body: str
    status: int
    headers: dict[str, str]
    text: str
    """The answer's body; in base64 after `base64:` where it is no text."""


@dataclass
class Cassette:
    """The interactions of one test."""

    path: Path
    records: bool
    secrets: tuple[str, ...] = ()
    interactions: list[Interaction] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    @classmethod
    def at(cls, path: Path, *, records: bool) -> Cassette:
        """Open a cassette: empty to record, else what was recorded."""
        if records or not path.exists():
            return cls(path, records)
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, records, interactions=[Interaction(**one) for one in found])

    def save(self) -> None:
        """Write what was recorded."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        told = [asdict(one) for one in self.interactions]
        self.path.write_text(f"{json.dumps(told, indent=1, ensure_ascii=False)}\n", encoding="utf-8")

    def keep(self, interaction: Interaction) -> None:
        """Add an interaction, without its secrets."""
        self.interactions.append(
            replace(
                interaction,
                url=self.scrubbed(interaction.url),
                body=self.scrubbed(interaction.body),
                headers={name: self.scrubbed(value) for name, value in interaction.headers.items()},
                text=self.scrubbed(interaction.text),
            )
        )

    def answer(self, method: str, url: str, body: str) -> Interaction:
        """Return the first answer to a request that was not given yet; raises `UnexpectedRequestError`."""
        asked = method, self.scrubbed(url), self.scrubbed(body)
        for number, one in enumerate(self.interactions):
            if number not in self.used and (one.method, one.url, one.body) == asked:
                self.used.add(number)
                return one
        left = [f"  {one.method} {one.url}" for number, one in enumerate(self.interactions) if number not in self.used]
        raise UnexpectedRequestError(
            f"{method} {asked[1]} is not in {self.path.name}; left in it:\n"
            + ("\n".join(left) or "  nothing")
            + "\nrun with --tsunami-record to record anew"
        )

    @property
    def unused(self) -> list[str]:
        """The requests of the cassette that nobody made."""
        return [f"{one.method} {one.url}" for number, one in enumerate(self.interactions) if number not in self.used]

    def scrubbed(self, text: str) -> str:
        """Return a text without secrets."""
        for form in _forms(self.secrets):
            text = text.replace(form, MASK)
        text = _SECRET_FIELD.sub(rf"\1{MASK}\2", text)
        if re.match(r"https?://", text):
            return _clean_url(text)
        is_form = "=" in text and not re.search(r"[\s{<]", text)
        return _SECRET_PAIR.sub(rf"\1{MASK}", text) if is_form else text


def _forms(secrets: Sequence[str]) -> Iterator[str]:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        raw = secret.encode()
        yield from {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
        yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("="), raw.hex())


def _clean_url(url: str) -> str:
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, MASK if _SECRET_NAME.search(name) else value) for name, value in pairs]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(kept, safe="*"), ""))


@dataclass(frozen=True, kw_only=True)
class ReplayedContext(LocalContext):
    """Host services whose HTTP comes from a cassette, or goes into it."""

    cassette: Cassette

    def http(self, base_url: str, **options: Any) -> HttpClient:
        """Return a client that is answered from the cassette; while recording, by the server."""
        client = super().http(base_url, **options)
        pool = _Recording(client.pool, self.cassette) if self.cassette.records else _Replaying(self.cassette)
        return replace(client, pool=cast("httpcore2.ConnectionPool", pool))


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def iter_stream(self) -> Iterator[bytes]:
        yield self.body


class _Recording:
    def __init__(self, pool: httpcore2.ConnectionPool, cassette: Cassette) -> None:
        self._pool = pool
        self._cassette = cassette

    @contextmanager
    def stream(
        self, method: str, url: str, *, headers: Any, content: bytes | None, extensions: Any
    ) -> Iterator[_Answer]:
        plain = [(name, value) for name, value in headers if name != "accept-encoding"]
        with self._pool.stream(method, url, headers=plain, content=content, extensions=extensions) as found:
            body = b"".join(found.iter_stream())
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in found.headers}
        kept = {name: value for name, value in told.items() if name in _KEPT_HEADERS or name.startswith("sforce-")}
        self._cassette.keep(Interaction(method, url, _text(content or b""), found.status, kept, _text(body)))
        yield _made(found.status, kept, body)

    def close(self) -> None:
        self._pool.close()


class _Replaying:
    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    @contextmanager
    def stream(
        self, method: str, url: str, *, headers: Any, content: bytes | None, extensions: Any
    ) -> Iterator[_Answer]:
        del headers, extensions
        found = self._cassette.answer(method, url, _text(content or b""))
        yield _made(found.status, found.headers, _bytes(found.text))

    def close(self) -> None:
        """Do nothing: no connection is open."""


def _made(status: int, headers: dict[str, str], body: bytes) -> _Answer:
    told = {**headers, "content-length": str(len(body))}
    return _Answer(status, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()], body)


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(body).decode()}"
    return text


def _bytes(text: str) -> bytes:
    return base64.b64decode(text[7:]) if text.startswith("base64:") else text.encode()
