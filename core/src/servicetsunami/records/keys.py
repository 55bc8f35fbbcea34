"""Master keys: their text form, and the ring of those that open secrets."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from servicetsunami.sdk import ConfigError

_SHORTEST = 32
_FEWEST_DIFFERENT_BYTES = 8


@dataclass(frozen=True)
class MasterKey:
    """One key that seals and opens the keys of secrets."""

    id: str
    """Eight bytes in hex, derived from the key."""
    wrapping: bytes = field(repr=False)
    """The 32 bytes that AES uses."""
    text: str = field(repr=False)
    """The key as it is kept."""

    @classmethod
    def parse(cls, text: str, *, origin: str) -> MasterKey:
        """Read a key in hex or base64; raises `ConfigError` (`key_invalid`), which never repeats it."""
        material = _decode(text.strip())
        if material is None:
            raise _invalid(origin, "is neither hex nor base64")
        if len(material) < _SHORTEST:
            raise _invalid(origin, f"has {len(material)} bytes, fewer than {_SHORTEST}")
        if len(set(material)) < _FEWEST_DIFFERENT_BYTES:
            raise _invalid(origin, "is not random")
        return cls(_derive(material, b"id")[:8].hex(), _derive(material, b"wrapping"), text.strip())

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose; they tell nothing of the key nor of those for other purposes."""
        return _derive(_decode(self.text) or b"", b"derived/" + purpose.encode())

    @classmethod
    def new(cls) -> MasterKey:
        """Make a key from the operating system's randomness."""
        return cls.parse(base64.b64encode(secrets.token_bytes(_SHORTEST)).decode(), origin="a new key")


class KeyRing:
    """The keys in force, the one that seals first.

    None is forgotten while the process lives, so that a secret read before a rotation ended opens after it.
    """

    def __init__(self, keys: Iterable[MasterKey]) -> None:
        self._keys = list(keys)
        self._known = {key.id: key for key in self._keys}

    def __iter__(self) -> Iterator[MasterKey]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def newest(self) -> MasterKey:
        """The key that seals."""
        return self._keys[0]

    def find(self, key_id: str) -> MasterKey | None:
        """Return a key by its id."""
        return self._known.get(key_id)

    def take(self, keys: Iterable[MasterKey]) -> None:
        """Put these keys in force."""
        self._keys = list(keys)
        self._known |= {key.id: key for key in self._keys}


def parse_keys(texts: Iterable[str], *, origin: str) -> list[MasterKey]:
    """Read several keys, the first of which seals; raises `ConfigError` if one is bad or there is none."""
    keys = [MasterKey.parse(text, origin=origin) for text in texts if text.strip()]
    if not keys:
        raise _invalid(origin, "is empty")
    return keys


def _decode(text: str) -> bytes | None:
    for decode in (bytes.fromhex, _from_base64):
        try:
            return decode(text)
        except (ValueError, binascii.Error):
            continue
    return None


def _from_base64(text: str) -> bytes:
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)


def _derive(material: bytes, purpose: bytes) -> bytes:
    return hmac.digest(material, b"servicetsunami/master-key/v1/" + purpose, "sha256")


def _invalid(origin: str, found: str) -> ConfigError:
    return ConfigError(
        f"the master key in {origin} {found}, so no secret can be sealed or opened",
        code="key_invalid",
        field="master_key",
        fix="give at least 32 random bytes in base64, such as `openssl rand -base64 32` prints",
    )
