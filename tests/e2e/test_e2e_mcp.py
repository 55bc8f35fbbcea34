"""A real MCP client over stdio does the main job, in both protocol eras, and every value equals the source's."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from mcp import Client, StdioServerParameters

ERAS = ["legacy", "2026-07-28"]


class Typed(NamedTuple):
    """A column: its type, a value as SQL, and how PostgreSQL is asked for the value an answer must show."""

    type: str
    value: str
    expected: str = "{}::text"


TYPES = {
    "a_bool": Typed("boolean", "true", "{}"),
    "a_smallint": Typed("smallint", "-32768", "{}"),
    "an_int": Typed("integer", "2147483647", "{}"),
    "a_bigint": Typed("bigint", "9223372036854775807"),
    "a_real": Typed("real", "1.5", "{}"),
    "a_double": Typed("double precision", "0.1", "{}"),
    "a_double_nan": Typed("double precision", "'NaN'", "'nan'"),
    "a_double_infinity": Typed("double precision", "'-Infinity'", "'-inf'"),
    "a_decimal": Typed("numeric(38, 10)", "1234567890123456789012345678.0123456789"),
    "a_decimal_negative_scale": Typed("numeric(5, -2)", "123456"),
    "a_numeric": Typed("numeric", "123456789012345678901234567890123456789012345.000000001"),
    "a_numeric_nan": Typed("numeric", "'NaN'"),
    "a_numeric_infinity": Typed("numeric", "'Infinity'"),
    "some_money": Typed("money", "'-1234.56'", "{}::numeric::text"),
    "some_text": Typed("text", "E'Zoë \"quoted\", 日本\\n🦄'"),
    "some_empty_text": Typed("text", "''"),
    "a_null_text": Typed("text", "null"),
    "a_char": Typed("char(5)", "'ab'", "{}::bpchar || '   '"),
    "a_varchar": Typed("varchar(10)", "'x'"),
    "a_name": Typed("name", "'n'"),
    "some_bytes": Typed("bytea", r"'\x00ff5c'", "encode({}, 'hex')"),
    "a_date": Typed("date", "'2024-02-29'"),
    "a_time": Typed("time", "'23:59:59.123456'"),
    "a_timetz": Typed("timetz", "'01:02:03.5+05:30'"),
    "a_timestamp": Typed("timestamp", "'1999-12-31 23:59:59.999999'", "to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"),
    "a_timestamptz": Typed(
        "timestamptz",
        "'2026-03-01 12:00:00.000001+05:30'",
        "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    ),
    "an_interval": Typed("interval", "'1 year 2 months 3 days 04:05:06.789'", "'P1Y2M3DT4H5M6.789S'"),
    "a_uuid": Typed("uuid", "'7d444840-9dc0-11d1-b245-5ffdce74fad2'"),
    "some_json": Typed("json", '\'{"big": 12345678901234567890123, "a": [1, null]}\''),
    "some_jsonb": Typed("jsonb", '\'{"b": 1.10, "a": "ü"}\''),
    "some_ints": Typed("int[]", "'{1,null,3}'", "to_json({})::text"),
    "some_nested_texts": Typed("text[][]", "'{{a,b},{c,NULL}}'", "to_json({})::text"),
    "an_enum": Typed("mood", "'fine'"),
    "a_composite": Typed("place", "row('Köln', 50.94)", "to_json({})::text"),
    "a_domain": Typed("positive", "7", "{}"),
    "a_range": Typed("int4range", "'[1,5)'"),
    "a_multirange": Typed("int4multirange", "'{[1,3),[7,9)}'"),
    "an_inet": Typed("inet", "'192.168.0.1/24'"),
    "a_cidr": Typed("cidr", "'10.0.0.0/8'"),
    "a_macaddr": Typed("macaddr", "'08:00:2b:01:02:03'"),
    "some_bits": Typed("bit(5)", "B'10110'"),
    "some_varbits": Typed("bit varying", "B'101'"),
    "a_tsvector": Typed("tsvector", "to_tsvector('simple', 'a fat cat')"),
    "an_oid": Typed("oid", "4294967295", "{}::int8"),
    "a_point": Typed("point", "'(1.5,-2)'"),
    "a_pg_lsn": Typed("pg_lsn", "'16/B374D848'"),
}
SETUP = (
    "create type mood as enum ('fine', 'tired')",
    "create type place as (city text, latitude numeric)",
    "create domain positive as int check (value > 0)",
    f"create table every_type (id int primary key, {', '.join(f'{name} {t.type}' for name, t in TYPES.items())})",
    f"insert into every_type values (1, {', '.join(t.value for t in TYPES.values())})",
    "insert into every_type (id) values (2)",
)


class Lake(Protocol):
    """What the fixture `lake` offers."""

    home: Path
    database: Any


def server(lake: Lake) -> StdioServerParameters:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TSUNAMI_")}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "servicetsunami.cli", "serve"],
        env={**environ, "TSUNAMI_HOME": str(lake.home)},
    )


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    answer: dict[str, Any] = result.structured_content or {}
    return answer


async def main_job(lake: Lake, era: str) -> dict[str, Any]:
    async with Client(server(lake), mode=era) as client:
        connected = await call(client, "connect_postgres", name="shop", **lake.database.config())
        connection = connected["connection_id"]
        tested = await call(client, "test_connection", connection_id=connection)
        listed = await call(client, "list_source_tables", connection_id=connection)
        synced = await call(client, "sync_to_bronze", connection_id=connection, table_name="every_type")
        answered = await call(client, "query_sql", sql="select * from bronze.every_type order by id")
        return {"tested": tested, "listed": listed, "synced": synced, "answered": answered}


@pytest.mark.parametrize("era", ERAS)
def test_every_value_read_back_through_mcp_equals_what_postgres_says(lake: Lake, era: str) -> None:
    lake.database.run(*SETUP)
    expressions = ", ".join(t.expected.replace("{}", name) for name, t in TYPES.items())
    expected = lake.database.rows(f"select {expressions} from every_type where id = 1")[0]

    done = asyncio.run(main_job(lake, era))

    assert done["tested"]["status"] == "success"
    assert [table["table_name"] for table in done["listed"]["tables"]] == ["every_type"]
    assert (done["synced"]["status"], done["synced"]["rows"]) == ("succeeded", 2)
    names = [column["name"] for column in done["answered"]["columns"]]
    first, second = (dict(zip(names, row, strict=True)) for row in done["answered"]["rows"])
    assert {name: first[name] for name in TYPES} == dict(zip(TYPES, expected, strict=True))
    assert {name: second[name] for name in TYPES} == dict.fromkeys(TYPES)


def test_the_alias_and_the_generic_tool_do_the_same_job(lake: Lake) -> None:
    lake.database.run("create table t (id int primary key)", "insert into t values (1)")

    async def job() -> tuple[dict[str, Any], list[str]]:
        async with Client(server(lake), mode="2026-07-28") as client:
            connected = await call(
                client, "connect_source", connector="postgres", name="shop", config=lake.database.config()
            )
            synced = await call(
                client, "sync_table_to_bronze", connection_id=connected["connection_id"], table_name="t"
            )
            listed = [tool.name for tool in (await client.list_tools()).tools]
            return synced, listed

    synced, listed = asyncio.run(job())

    assert synced["bronze_table"] == "tenant_default.bronze.t"
    assert "sync_to_bronze" in listed
    assert "sync_table_to_bronze" not in listed


def test_a_password_given_in_a_tool_call_is_in_no_file_of_ours(lake: Lake) -> None:
    lake.database.run("create table t (id int primary key)", "insert into t values (1)")
    secret = lake.database.config()["password"]

    asyncio.run(_connect_and_sync(lake))

    files = [path for path in lake.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".parquet" for path in files)
    assert [path.name for path in files if secret.encode() in path.read_bytes()] == []


async def _connect_and_sync(lake: Lake) -> None:
    async with Client(server(lake), mode="2026-07-28") as client:
        connected = await call(client, "connect_postgres", name="shop", **lake.database.config())
        await call(client, "sync_to_bronze", connection_id=connected["connection_id"], table_name="t")
