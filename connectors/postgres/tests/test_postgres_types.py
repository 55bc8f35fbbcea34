"""Every type lands by value: exactly, or as null with its text in `_rescued`."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import Changes

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

UTC_TIMESTAMP = pa.timestamp("us", tz="UTC")
TEXT = pa.string()

# type, Arrow type, and pairs of a literal and what it must be in Arrow.
EXACT: list[tuple[str, pa.DataType, list[tuple[str, Any]]]] = [
    ("boolean", pa.bool_(), [("true", True), ("false", False)]),
    ("smallint", pa.int16(), [("-32768", -32768), ("32767", 32767)]),
    ("integer", pa.int32(), [("-2147483648", -2147483648)]),
    ("bigint", pa.int64(), [("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))]),
    ("oid", pa.int64(), [("4294967295", 4294967295)]),
    (
        "real",
        pa.float32(),
        [("1.5", 1.5), ("'Infinity'", inf), ("-0.0", -0.0), ("3.4028235e38", 3.4028234663852886e38)],
    ),
    ("double precision", pa.float64(), [("0.1", 0.1), ("5e-324", 5e-324), ("'-Infinity'", -inf), ("1e308", 1e308)]),
    ("numeric(10,2)", pa.decimal128(10, 2), [("-1.5", Decimal("-1.50")), ("99999999.99", Decimal("99999999.99"))]),
    ("numeric(38,10)", pa.decimal128(38, 10), [("1234567890123456789012345678.0123456789",) * 2]),
    ("numeric(5)", pa.decimal128(5, 0), [("12345", Decimal(12345))]),
    ("numeric(3,-2)", pa.decimal128(5, 0), [("12345", Decimal(12300))]),
    ("numeric(3,5)", pa.decimal128(5, 5), [("0.00123", Decimal("0.00123"))]),
    ("numeric", TEXT, [("1.10", "1.10"), ("1e-20", "0.00000000000000000001"), ("'NaN'", "NaN")]),
    ("numeric(50,3)", TEXT, [("'12345678901234567890123456789012345678901234567.125'",) * 2]),
    ("money", pa.decimal128(21, 2), [("'-92233720368547758.08'", Decimal("-92233720368547758.08"))]),
    (
        "text",
        TEXT,
        [("''", ""), ("'NULL'", "NULL"), ("E'a\\n\"b\",\\r\\tc'", 'a\n"b",\r\tc'), ("'\\.'", "\\."), ("'é🌊'", "é🌊")],
    ),
    ("varchar(5)", TEXT, [("'ab '", "ab ")]),
    ("char(5)", TEXT, [("'ab'", "ab   ")]),
    ('"char"', TEXT, [("'x'", "x")]),
    ("name", TEXT, [("'n'", "n")]),
    ("date", pa.date32(), [("'0001-01-01'", date(1, 1, 1)), ("'9999-12-31'", date(9999, 12, 31))]),
    ("time", pa.time64("us"), [("'23:59:59.999999'", time(23, 59, 59, 999999)), ("'00:00'", time(0))]),
    ("timetz", TEXT, [("'12:00:00.5+05:30'", "12:00:00.5+05:30"), ("'24:00-03'", "24:00:00-03")]),
    ("timestamp", pa.timestamp("us"), [("'2024-02-29 12:00:00.000001'", datetime(2024, 2, 29, 12, 0, 0, 1))]),
    ("timestamp(0)", pa.timestamp("us"), [("'0001-01-01'", datetime(1, 1, 1))]),
    ("timestamptz", UTC_TIMESTAMP, [("'2024-06-01 02:00:00.5+02'", datetime(2024, 6, 1, 0, 0, 0, 500000, tzinfo=UTC))]),
    ("interval", TEXT, [("'1 year 2 mons -3 days 04:05:06.789'", "P1Y2M-3DT4H5M6.789S"), ("'0'", "PT0S")]),
    ("uuid", TEXT, [("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("json", TEXT, [('\'{"b": 1,  "a": 12345678901234567890}\'', '{"b": 1,  "a": 12345678901234567890}')]),
    ("jsonb", TEXT, [('\'{"b": 1.10, "a": null}\'', '{"a": null, "b": 1.10}'), ("'null'", "null")]),
    ("bytea", pa.binary(), [("'\\x00ff0a22'", b'\x00\xff\n"'), ("''", b"")]),
    ("bit(5)", TEXT, [("B'10110'", "10110")]),
    ("varbit", TEXT, [("B''", ""), ("B'101'", "101")]),
    ("integer[]", TEXT, [("'{1,NULL,3}'", "[1,null,3]"), ("'{}'", "[]"), ("'{{1,2},{3,4}}'", "[[1,2],[3,4]]")]),
    ("text[]", TEXT, [("ARRAY['a,b', '\"', NULL, '']", '["a,b","\\"",null,""]')]),
    ("numeric[]", TEXT, [("ARRAY[12345678901234567890.123456789, 'NaN']", '[12345678901234567890.123456789,"NaN"]')]),
    ("timestamptz[]", TEXT, [("ARRAY['2024-01-01 00:00+02'::timestamptz]", '["2023-12-31T22:00:00+00:00"]')]),
    ("jsonb[]", TEXT, [("ARRAY['{\"a\": 1}'::jsonb]", '[{"a": 1}]')]),
    ("int4range", TEXT, [("'[1,5)'", "[1,5)"), ("'empty'", "empty"), ("'(,)'", "(,)")]),
    ("tstzrange", TEXT, [("'[2024-01-01 00:00+00,)'", '["2024-01-01 00:00:00+00",)')]),
    ("nummultirange", TEXT, [("'{[1.5,2],[7,8)}'", "{[1.5,2],[7,8)}")]),
    ("inet", TEXT, [("'192.168.0.1'", "192.168.0.1"), ("'::1/64'", "::1/64")]),
    ("cidr", TEXT, [("'10.0.0.0/8'", "10.0.0.0/8")]),
    ("macaddr", TEXT, [("'08:00:2b:01:02:03'", "08:00:2b:01:02:03")]),
    ("macaddr8", TEXT, [("'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05")]),
    ("tsvector", TEXT, [("'a:1 fat:2'", "'a':1 'fat':2")]),
    ("tsquery", TEXT, [("'a & b'", "'a' & 'b'")]),
    ("point", TEXT, [("'(0.1,2)'", "(0.1,2)")]),
    ("polygon", TEXT, [("'((0,0),(1,1),(1,0))'", "((0,0),(1,1),(1,0))")]),
    ("pg_lsn", TEXT, [("'16/B374D848'", "16/B374D848")]),
    ("regclass", TEXT, [("'pg_class'", "pg_class")]),
    ("jsonpath", TEXT, [("'$.a'", '$."a"')]),
    ("mood", TEXT, [("'so happy'", "so happy")]),
    (
        "pair",
        TEXT,
        [("ROW(1.50, 'a\"b')", '{"amount":1.50,"label":"a\\"b"}'), ("ROW(NULL, NULL)", '{"amount":null,"label":null}')],
    ),
    ("mood[]", TEXT, [("ARRAY['so happy', NULL]::mood[]", '["so happy",null]')]),
    ("cents", pa.decimal128(12, 2), [("12.5", Decimal("12.50"))]),
    ("inner_cents", pa.decimal128(12, 2), [("7", Decimal("7.00"))]),
    ("tags", TEXT, [("ARRAY['x']", '["x"]')]),
]

MISFITS: list[tuple[str, list[tuple[str, str]]]] = [
    ("numeric(10,2)", [("'NaN'", "NaN")]),
    ("date", [("'infinity'", "infinity"), ("'0044-03-15 BC'", "0044-03-15 BC"), ("'10000-01-01'", "10000-01-01")]),
    ("timestamp", [("'-infinity'", "-infinity"), ("'294276-12-31 23:59:59.999999'", "294276-12-31 23:59:59.999999")]),
    ("timestamptz", [("'infinity'", "infinity"), ("'4713-01-01 00:00:00+00 BC'", "4713-01-01 00:00:00+00 BC")]),
    ("time", [("'24:00'", "24:00:00")]),
]

TYPES = (
    "CREATE TYPE mood AS ENUM ('so happy', 'sad')",
    "CREATE TYPE pair AS (amount numeric(10,2), label text)",
    "CREATE DOMAIN inner_cents AS numeric(12,2) CHECK (value > 0)",
    "CREATE DOMAIN cents AS inner_cents",
    "CREATE DOMAIN tags AS text[]",
)


def _fill(database: "Database", kind: str, literals: list[str], *types: str) -> None:
    rows = ", ".join(f"({number}, {literal})" for number, literal in enumerate(literals))
    database.run(*types, f"CREATE TABLE t (id int PRIMARY KEY, v {kind})", f"INSERT INTO t VALUES {rows}, (999, NULL)")


def _value(expected: Any, kind: pa.DataType) -> Any:
    if pa.types.is_decimal(kind):
        return Decimal(expected)
    return expected.strip("'") if isinstance(expected, str) and len(expected) > 40 else expected


@pytest.mark.parametrize(("kind", "arrow", "pairs"), EXACT, ids=[case[0] for case in EXACT])
def test_a_type_lands_with_its_exact_values(
    database: "Database", kind: str, arrow: pa.DataType, pairs: list[tuple[str, Any]]
) -> None:
    _fill(database, kind, [literal for literal, _ in pairs], *TYPES)

    rows = database.rows("t")

    schema = database.stream("t").schema
    assert schema is not None
    assert schema.field("v").type == arrow
    assert [row["v"] for row in rows] == [*(_value(expected, arrow) for _, expected in pairs), None]
    assert all(row.get("_rescued") is None for row in rows)


@pytest.mark.parametrize(("kind", "pairs"), MISFITS, ids=[case[0] for case in MISFITS])
def test_a_value_that_does_not_fit_is_rescued_as_text(
    database: "Database", kind: str, pairs: list[tuple[str, str]]
) -> None:
    _fill(database, kind, [literal for literal, _ in pairs])

    rows = database.rows("t")

    assert [row["v"] for row in rows] == [None] * (len(pairs) + 1)
    rescued = [row["_rescued"] and json.loads(row["_rescued"]) for row in rows]
    assert rescued == [*({"v": text} for _, text in pairs), None]


def test_a_change_has_the_values_of_a_read(database: "Database") -> None:
    cases = [(kind, literal) for kind, pairs in (*((k, p) for k, _, p in EXACT), *MISFITS) for literal, _ in pairs]
    columns = ", ".join(f"v{number} {kind}" for number, (kind, _) in enumerate(cases))
    database.run(*TYPES, f"CREATE TABLE t (id int PRIMARY KEY, {columns})", "INSERT INTO t (id) VALUES (0)")
    source, stream = database.source(), database.stream("t")
    state = source.position([stream])

    database.run(
        f"INSERT INTO t VALUES (1, {', '.join(literal for _, literal in cases)})", "UPDATE t SET id = id WHERE id = 0"
    )
    changes = [item.rows for item in source.changes([stream], state) if isinstance(item, Changes)]
    source.release([stream])

    (batch,) = changes
    assert isinstance(batch, pa.RecordBatch)
    assert stream.schema is not None
    assert [batch.schema.field(name) for name in stream.schema.names] == list(stream.schema)
    inserted, updated = ({**row, "_op": None} for row in batch.to_pylist())
    read = {row["id"]: {**row, "_op": None} for row in database.rows("t")}
    assert {0: updated, 1: inserted} == read


def test_a_value_beside_one_that_does_not_fit_stays_what_it_is(database: "Database") -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, d date, n numeric(6,3), tm time, b bytea, s text, f bool)",
        "INSERT INTO t VALUES (1, 'infinity', 1.5, '24:00', '\\x01', 'a\"\n', true), "
        "(2, '2024-01-02', 'NaN', '01:02:03.5', NULL, '', NULL), (3, NULL, -2, NULL, '', NULL, false)",
    )

    rows = database.rows("t")

    assert [tuple(row.values()) for row in rows] == [
        (1, None, Decimal("1.500"), None, b"\x01", 'a"\n', True, '{"d": "infinity", "tm": "24:00:00"}'),
        (2, date(2024, 1, 2), None, time(1, 2, 3, 500000), None, "", None, '{"n": "NaN"}'),
        (3, None, Decimal("-2.000"), None, b"", None, False, None),
    ]


def test_not_a_number_is_a_float_like_others(database: "Database") -> None:
    database.run("CREATE TABLE t (v float8)", "INSERT INTO t VALUES ('NaN')")

    (row,) = database.rows("t")

    assert isnan(row["v"])


def test_a_row_whose_only_column_is_null_is_a_row(database: "Database") -> None:
    database.run("CREATE TABLE t (v text)", "INSERT INTO t VALUES (NULL), (''), (NULL), ('\\.')")

    rows = database.rows("t")

    assert [row["v"] for row in rows] == [None, "", None, "\\."]


def test_a_setting_of_the_role_changes_no_value(database: "Database") -> None:
    database.run(
        "CREATE TABLE t (a timestamptz, b date, c interval, d float8, e bytea)",
        "INSERT INTO t VALUES ('2024-01-01 00:00+00', '2024-02-03', '1 day', 0.1::float8 + 0.2::float8, '\\x0102')",
        "ALTER ROLE postgres SET timezone = 'Asia/Tokyo'",
        "ALTER ROLE postgres SET datestyle = 'German'",
        "ALTER ROLE postgres SET intervalstyle = 'sql_standard'",
        "ALTER ROLE postgres SET extra_float_digits = -10",
        "ALTER ROLE postgres SET bytea_output = 'escape'",
    )

    try:
        (row,) = database.rows("t")
    finally:
        database.run("ALTER ROLE postgres RESET ALL")

    assert tuple(row.values()) == (datetime(2024, 1, 1, tzinfo=UTC), date(2024, 2, 3), "P1D", 0.1 + 0.2, b"\x01\x02")


def test_an_extension_type_lands_as_text(database: "Database") -> None:
    if not database.ask("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"):
        pytest.skip("this server does not bring the extension vector")
    database.run("CREATE EXTENSION vector", "CREATE TABLE t (v vector(3))", "INSERT INTO t VALUES ('[1,2.5,3]')")

    rows = database.rows("t")

    assert rows == [{"v": "[1,2.5,3]"}]


def test_xml_and_hstore_land_as_text(installed: "Database") -> None:
    installed.run(
        "CREATE EXTENSION hstore",
        "CREATE TABLE t (x xml, h hstore)",
        "INSERT INTO t VALUES ('<a b=\"1\">é</a>', 'k => \"v,\", n => NULL')",
    )

    rows = installed.rows("t")

    assert rows == [{"x": '<a b="1">é</a>', "h": '"k"=>"v,", "n"=>NULL'}]


def test_an_older_server_reads_alike(installed: "Database") -> None:
    _fill(installed, "timestamptz", ["'2024-06-01 02:00:00.5+02'", "'infinity'"])

    rows = installed.rows("t")

    assert [row["v"] for row in rows] == [datetime(2024, 6, 1, 0, 0, 0, 500000, tzinfo=UTC), None, None]
    assert rows[1]["_rescued"] == '{"v": "infinity"}'


def test_text_that_is_no_utf_8_is_rescued(installed: "Database") -> None:
    installed.run("DROP DATABASE IF EXISTS bytes")
    installed.run("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
    installed.run("CREATE TABLE t (v text)", "INSERT INTO t VALUES (E'a\\xff'), ('b')", database="bytes")
    source = installed.source(database="bytes")

    rows = installed.read(source)

    assert rows == [{"v": None, "_rescued": '{"v": "a\\\\xff"}'}, {"v": "b", "_rescued": None}]


def test_a_changed_text_that_is_no_utf_8_is_rescued(installed: "Database") -> None:
    installed.run("DROP DATABASE IF EXISTS bytes")
    installed.run("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
    installed.run("CREATE TABLE t (id int PRIMARY KEY, v text)", database="bytes")
    source = installed.source(database="bytes")
    (stream,) = source.streams()
    state = source.position([stream])
    installed.run("INSERT INTO t VALUES (1, E'a\\xff'), (2, 'b')", database="bytes")

    changes = [item.rows for item in source.changes([stream], state) if isinstance(item, Changes)]
    source.release([stream])

    assert [batch.to_pylist() for batch in changes if isinstance(batch, pa.RecordBatch)] == [
        [
            {"id": 1, "v": None, "_op": "c", "_rescued": '{"v": "a\\\\xff"}'},
            {"id": 2, "v": "b", "_op": "c", "_rescued": None},
        ]
    ]


def test_columns_keep_comment_and_source_type(database: "Database") -> None:
    database.run(
        "CREATE TABLE t (price numeric(8,2), label varchar(3))",
        "COMMENT ON COLUMN t.price IS 'without tax'",
        "COMMENT ON TABLE t IS 'What we sell.'",
    )

    stream = database.stream("t")

    assert stream.schema is not None
    assert stream.description == "What we sell."
    assert stream.schema.field("price").metadata == {b"comment": b"without tax", b"source_type": b"numeric(8,2)"}
    assert stream.schema.field("label").metadata == {b"source_type": b"character varying(3)"}


def test_wide_rows_and_large_cells_come_through(database: "Database") -> None:
    database.run(
        "CREATE TABLE t AS SELECT i AS id, repeat(i::text || E'\"\\n', 300000) AS body FROM generate_series(1, 30) i"
    )

    rows = database.rows("t")

    sizes = {row["id"]: len(row["body"]) for row in rows}
    assert sizes == {i: (len(str(i)) + 2) * 300_000 for i in range(1, 31)}
