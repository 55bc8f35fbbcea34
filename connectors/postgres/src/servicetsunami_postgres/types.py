"""How each PostgreSQL type lands: the SELECT expression that leaves the server, and the Arrow type it becomes.

The README holds the same table for people. What is not named here lands as the text PostgreSQL prints.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

_PLAIN = "{}"
_MOST_DIGITS = 38
_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?$"
_TIMESTAMPTZ = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?\+00$"
_TIME = r"^([01][0-9]|2[0-3]):"


@dataclass(frozen=True)
class SourceType:
    """A type as the catalogue describes it; a domain is described by what it is made of."""

    name: str
    schema: str = "pg_catalog"
    kind: str = "b"
    """`pg_type.typtype`: b base, c composite, e enum, r range, m multirange, p pseudo."""
    is_array: bool = False
    modifier: int = -1


@dataclass(frozen=True)
class Landing:
    """How one type lands."""

    type: pa.DataType
    expression: str = _PLAIN
    """SELECT expression; `{}` stands for the quoted column."""
    fits: str | None = None
    """Pattern of the texts that `type` can hold; None where it holds every value."""
    is_hex: bool = False
    """True where the text is the hexadecimal form of bytes."""

    def select(self, column: str) -> str:
        """Return the expression for a quoted column."""
        return self.expression.replace("{}", column)


TEXT = Landing(pa.string())
_JSON_TEXT = Landing(pa.string(), "pg_catalog.to_json({})")

_LANDINGS: dict[str, Landing] = {
    "bool": Landing(pa.bool_()),
    "int2": Landing(pa.int16()),
    "int4": Landing(pa.int32()),
    "int8": Landing(pa.int64()),
    "oid": Landing(pa.int64()),
    "float4": Landing(pa.float32()),
    "float8": Landing(pa.float64()),
    "date": Landing(pa.date32(), fits=_DATE),
    "time": Landing(pa.time64("us"), fits=_TIME),
    "timestamp": Landing(pa.timestamp("us"), fits=_TIMESTAMP),
    "timestamptz": Landing(pa.timestamp("us", tz="UTC"), fits=_TIMESTAMPTZ),
    "bytea": Landing(pa.binary(), "pg_catalog.encode({}, 'hex')", is_hex=True),
    # What money prints depends on the server's language; as a number it is always the same.
    "money": Landing(pa.decimal128(21, 2), "{}::pg_catalog.numeric", fits=r"^-?[0-9]+(\.[0-9]{1,2})?$"),
}


def landing(source: SourceType) -> Landing:
    """Return how values of `source` land."""
    if source.is_array or source.kind == "c":
        return _JSON_TEXT
    if source.schema != "pg_catalog" or source.kind != "b":
        return TEXT
    if source.name == "numeric":
        return _numeric(source.modifier)
    return _LANDINGS.get(source.name, TEXT)


def _numeric(modifier: int) -> Landing:
    """Take precision and scale from the type modifier; without one, or beyond 38 digits, only text is exact."""
    if modifier < 4:
        return TEXT
    precision = ((modifier - 4) >> 16) & 0xFFFF
    scale = _signed((modifier - 4) & 0x7FF)
    # Since PostgreSQL 15 a scale may be negative, or greater than the precision.
    digits = precision - scale if scale < 0 else max(precision, scale)
    if digits > _MOST_DIGITS:
        return TEXT
    return Landing(pa.decimal128(digits, max(scale, 0)), fits=_DECIMAL)


def _signed(scale: int) -> int:
    # The scale is kept in 11 bits, as two's complement.
    return scale - 0x800 if scale & 0x400 else scale
