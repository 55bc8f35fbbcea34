"""Columns that land unreadable: hashed under a key of the tenant, or masked.

A hash is the same for the same value in every table of a tenant, so that tables still join by it, and nobody without
the key can look values up by hashing guesses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami.sdk import ConfigError
from servicetsunami.sync.choosing import Mask
from servicetsunami.sync.fitting import plain, texts

_REDACTED = "***"
_LAST4_FROM = 8
"""Shorter texts show nothing: four characters would be half of them."""
_HASH_BYTES = 16
_DOMAIN = r"^.*[^@]@([^@]+)$"


class Masking:
    """What a stream's settings hide, applied to columns and to single cells."""

    def __init__(self, hashed: Collection[str], masked: Mapping[str, Mask], pepper: bytes) -> None:
        if hashed and not pepper:
            raise ConfigError(
                "columns are to be hashed, but there is no key to hash them with",
                code="hash_key_missing",
                field="hash",
                fix="sync through an installation that has a master key",
            )
        self._hashed = frozenset(hashed)
        self._masked = dict(masked)
        self._pepper = pepper

    def __bool__(self) -> bool:
        return bool(self._hashed or self._masked)

    def covers(self, column: str) -> bool:
        """Tell whether a column, named as at the source, does not land as it is."""
        return column in self._hashed or column in self._masked

    def field(self, field: pa.Field) -> pa.Field:
        """Return the field as it is after `column`."""
        if not self.covers(field.name):
            return field
        return (
            field.with_nullable(True) if self._masked.get(field.name) == "null" else pa.field(field.name, pa.string())
        )

    def column(self, name: str, array: pa.Array) -> pa.Array:
        """Return a column without what is to be hidden; null stays null."""
        if name in self._hashed:
            return _hash(array, self._pepper)
        mask = self._masked.get(name)
        return array if mask is None else _MASKING[mask](array)

    def cell(self, name: str, text: str) -> str | None:
        """Return one cell's text without what is to be hidden; None where nothing may be told."""
        if self._masked.get(name) == "null":
            return None
        result: str | None = self.column(name, pa.array([text], pa.string()))[0].as_py()
        return result


def _hash(array: pa.Array, key: bytes) -> pa.Array:
    """Hash each distinct value once: BLAKE2b under the key, 32 hex digits."""
    encoded = _canonical(array).dictionary_encode()
    hashed = [
        hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES, key=key).hexdigest()
        for text in encoded.dictionary.to_pylist()
    ]
    return pa.array(hashed, pa.string()).take(encoded.indices)


def _canonical(array: pa.Array) -> pa.Array:
    """Return one text for one value, whatever width, scale or unit its type has."""
    array = plain(array)
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    text = texts(array)
    if pa.types.is_decimal(kind) or pa.types.is_timestamp(kind):
        text = pc.replace_substring_regex(text, r"(\.[0-9]*[1-9])0+(Z?)$", r"\1\2")
        text = pc.replace_substring_regex(text, r"\.0+(Z?)$", r"\1")
    return text


def _null(array: pa.Array) -> pa.Array:
    return pa.nulls(len(array), array.type)


def _redact(array: pa.Array) -> pa.Array:
    return pc.if_else(array.is_valid(), pa.scalar(_REDACTED), pa.scalar(None, pa.string()))


def _last4(array: pa.Array) -> pa.Array:
    text = texts(array)
    shown = pc.utf8_slice_codeunits(text, -4)
    long = pc.greater_equal(pc.utf8_length(text), _LAST4_FROM)
    return _behind_stars(long, shown, array)


def _email(array: pa.Array) -> pa.Array:
    text = texts(array)
    shown = pc.replace_substring_regex(text, _DOMAIN, r"@\1")
    return _behind_stars(pc.match_substring_regex(text, _DOMAIN), shown, array)


def _behind_stars(may_show: pa.Array, shown: pa.Array, array: pa.Array) -> pa.Array:
    masked = pc.binary_join_element_wise(pa.scalar(_REDACTED), shown, pa.scalar(""))
    return pc.if_else(may_show, masked, _redact(array))


_MASKING: dict[Mask, Callable[[pa.Array], pa.Array]] = {
    "null": _null,
    "redact": _redact,
    "last4": _last4,
    "email": _email,
}
