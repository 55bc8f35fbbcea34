"""Columns that land hashed or masked, and that their values show nowhere else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.records import open_vault
from servicetsunami.sdk import RESCUED, ConfigError, Json, Stream
from servicetsunami.sync.shaping import Shape

PEPPER = b"p" * 32


@pytest.mark.parametrize(
    ("mask", "given", "shown"),
    [
        ("null", "secret", None),
        ("redact", "secret", "***"),
        ("last4", "4111111111111234", "***1234"),
        ("last4", "1234567", "***"),
        ("email", "ann@example.com", "***@example.com"),
        ("email", "a@b@example.com", "***@example.com"),
        ("email", "@example.com", "***"),
        ("email", "no address", "***"),
        ("email", "ann\nlee@example.com", "***"),
    ],
)
def test_a_mask_shows_what_it_says(mask: str, given: str, shown: str | None) -> None:
    landed = shape({"mask": {"c": mask}}).apply(pa.record_batch({"c": [given, None]}))

    assert landed.column("c").to_pylist() == [shown, None]


def test_a_masked_number_lands_as_text_and_a_nulled_one_keeps_its_type() -> None:
    batch = pa.record_batch({"c": [4111111111111234]})

    assert shape({"mask": {"c": "last4"}}).apply(batch).to_pylist() == [{"c": "***1234"}]
    assert shape({"mask": {"c": "null"}}).apply(batch).schema.field("c").type == pa.int64()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.50"), Decimal("1.5000")),
        (Decimal(100), 100),
        (5, "5"),
        (datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), datetime(2024, 1, 1, tzinfo=UTC)),
    ],
)
def test_equal_values_hash_equally_whatever_type_they_come_in(one: Any, other: Any) -> None:
    assert hashed(one) == hashed(other)


def test_a_hash_is_keyed_and_different_values_have_different_ones() -> None:
    values = [1, 2, "a", "b", True, b"\xff", {"a": 1}, [1], Decimal("1.05"), Decimal("10.5"), 100, 1.5]

    hashes = [hashed(value) for value in values]

    assert len({*hashes}) == len(values)
    assert all(len(digest) == 32 for digest in hashes)
    assert hashed("a", b"other" * 8) != hashed("a")


def test_hashing_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Shape.of(Stream("s"), {"hash": ["c"]}, None)

    assert caught.value.code == "hash_key_missing"


def test_a_hashed_key_still_tells_rows_apart() -> None:
    batch = pa.record_batch({"c": list(range(1000))})
    stream = Stream("s", schema=batch.schema, key=("c",))

    landed = Shape.of(stream, {"hash": ["c"], "rename": {"c": "id"}}, None, pepper=PEPPER).apply(batch)

    assert len({*landed.column("id").to_pylist()}) == 1000


def test_a_cell_that_was_rescued_is_hidden_like_its_column() -> None:
    settings = {"hash": ["c"], "mask": {"d": "redact", "e": "null"}, "exclude": ["f"]}
    batch = pa.record_batch({"a": [1], RESCUED: ['{"c": "raw", "d": {"x": "raw"}, "e": "raw", "f": "raw", "a": "1x"}']})

    landed = shape(settings).apply(batch).to_pylist()[0]

    assert json.loads(landed[RESCUED]) == {"c": hashed("raw"), "d": "***", "a": "1x"}


def test_a_hidden_column_that_does_not_fit_its_table_is_rescued_hidden() -> None:
    known = pa.schema([("c", pa.int64()), ("d", pa.int64())])
    batch = pa.record_batch({"c": ["secret"], "d": ["secret"]})
    hiding = Shape.of(Stream("s", schema=batch.schema), {"hash": ["c"], "mask": {"d": "redact"}}, known, pepper=PEPPER)

    landed = hiding.apply(batch).to_pylist()[0]

    assert json.loads(landed[RESCUED]) == {"c": hashed("secret"), "d": "***"}
    assert "secret" not in repr(hiding.drift)


def test_the_key_for_hashes_belongs_to_a_tenant_and_a_master_key() -> None:
    first, second = (open_vault(Path(), master_key=bytes(range(start, start + 32)).hex()) for start in (1, 2))

    keys = {first.derive("hash/a"), first.derive("hash/b"), second.derive("hash/a")}

    assert len(keys) == 3
    assert first.derive("hash/a") in keys
    assert all(len(key) == 32 and key not in bytes(range(64)) for key in keys)


def shape(settings: Json) -> Shape:
    return Shape.of(Stream("s"), settings, None, pepper=PEPPER)


def hashed(value: Any, pepper: bytes = PEPPER) -> str:
    batch = pa.record_batch({"c": pa.array([value])})
    digest: str = Shape.of(Stream("s"), {"hash": ["c"]}, None, pepper=pepper).apply(batch).column("c")[0].as_py()
    return digest
