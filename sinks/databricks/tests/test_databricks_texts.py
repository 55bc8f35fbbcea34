"""What is written into statements and read out of the catalog is the same."""

from __future__ import annotations

import pyarrow as pa
import pytest
import sqlglot

from servicetsunami.sdk import TableName
from servicetsunami.sdk.delta import Column, from_arrow, to_databricks
from servicetsunami_sink_databricks.places import Places
from servicetsunami_sink_databricks.schemas import changes, create
from servicetsunami_sink_databricks.type_texts import read_type
from servicetsunami_sink_databricks.work import Work
from servicetsunami_sink_databricks.writing_sql import text

TYPES = [
    pa.int8(),
    pa.int64(),
    pa.decimal128(38, 9),
    pa.timestamp("us", tz="UTC"),
    pa.timestamp("us"),
    pa.list_(pa.field("element", pa.string())),
    pa.map_(pa.string(), pa.list_(pa.field("element", pa.int32()))),
    pa.struct([("a", pa.int32()), ("b c", pa.struct([("d`e", pa.decimal128(5, 2))]))]),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_types_come_back_as_they_are_written(kind: pa.DataType) -> None:
    delta = from_arrow(kind)

    assert read_type(to_databricks(delta)) == delta
    assert read_type(to_databricks(delta).lower().replace(": ", ":").replace(", ", ",")) == delta


def test_a_type_that_is_not_known_fits_no_other() -> None:
    assert read_type("variant") == "variant"


@pytest.mark.parametrize("value", ["it's", "back\\slash", "two\nlines", "'; DROP TABLE x; --", "", "ü 🙂"])
def test_texts_are_read_as_they_were_meant(value: str) -> None:
    tree = sqlglot.parse_one(f"SELECT {text(value)} AS x", dialect="databricks")

    assert tree.expressions[0].this.this == value


def test_work_comes_back_from_the_ledger() -> None:
    columns = (Column("id", "long", comment="it's"), Column("tags", {"type": "array", "elementType": "string"}))
    work = Work("apply", "l1", columns, ("id",), 3, ("id",), "c", "soft", ("tags",), (2, "2024-01-01 00:00:00+00:00"))

    assert Work.from_json(work.to_json()) == work


def test_a_table_is_changed_by_what_differs_alone() -> None:
    place = Places("acme").of(TableName("bronze", "t"))
    now = (Column("id", "integer", nullable=False), Column("gone", "string", nullable=False))
    wanted = (Column("id", "long", nullable=False), Column("gone", "string"), Column("new", "date", comment="it's"))

    assert changes(place, now, wanted, (), "") == [
        "ALTER TABLE `tenant_acme`.`bronze`.`t` ADD COLUMNS (`new` DATE COMMENT 'it\\'s')",
        "ALTER TABLE `tenant_acme`.`bronze`.`t` ALTER COLUMN `id` TYPE BIGINT",
        "ALTER TABLE `tenant_acme`.`bronze`.`t` ALTER COLUMN `gone` DROP NOT NULL",
    ]
    assert changes(place, wanted, wanted, (), "") == []


def test_names_are_quoted_wherever_they_stand() -> None:
    place = Places("acme").of(TableName("bronze", "t"))
    statement = create(place, (Column("a`b; DROP", "long"),), ("a`b; DROP",), "")

    assert "`a``b; DROP` BIGINT" in statement
    assert "CLUSTER BY (`a``b; DROP`)" in statement
