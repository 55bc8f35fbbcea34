"""The columns of an answer: as exact as those of a table, though a query does not tell a numeric's scale."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from servicetsunami_postgres.parsing import bytes_of_hex, typed
from servicetsunami_postgres.types import SourceType, landing

_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_MOST_DIGITS = 38


def answer_column(cells: Sequence[str | None], kind: SourceType) -> pa.Array:
    """Return the cells as the type they land as; as text where one of them does not fit it."""
    texts = pa.array(cells, pa.string())
    lands = landing(kind)
    if kind.name == "numeric" and kind.schema == "pg_catalog":
        decimal = _decimal(cells)
        return texts if decimal is None else typed(texts, decimal)
    if lands.is_hex:
        return bytes_of_hex(texts)
    if pa.types.is_string(lands.type):
        return texts
    if lands.fits and not pc.all(pc.match_substring_regex(texts, lands.fits), min_count=0).as_py():
        return texts
    return typed(texts, lands.type)


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind those that came before."""
    found: list[str] = []
    for name in names:
        chosen, count = name, 1
        while chosen in found:
            count += 1
            chosen = f"{name}_{count}"
        found.append(chosen)
    return found


def _decimal(cells: Sequence[str | None]) -> pa.DataType | None:
    """Return the decimal type that holds every cell exactly; None where there is none."""
    whole, scale = 1, 0
    for cell in cells:
        if cell is not None:
            match = _NUMBER.fullmatch(cell)
            if match is None:
                return None
            whole, scale = max(whole, len(match[1])), max(scale, len(match[2] or ""))
    return pa.decimal128(_MOST_DIGITS, scale) if whole + scale <= _MOST_DIGITS else None
