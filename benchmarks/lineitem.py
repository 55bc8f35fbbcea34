"""A table like TPC-H's lineitem, made by the server itself: 16 columns, deterministic, about 125 bytes a row."""

from __future__ import annotations

import asyncpg

from servicetsunami.cli.throwaway_postgres import ThrowawayServer

_CREATE = """
create table lineitem (
    l_orderkey bigint not null, l_partkey bigint not null, l_suppkey bigint not null, l_linenumber int not null,
    l_quantity numeric(15,2) not null, l_extendedprice numeric(15,2) not null, l_discount numeric(15,2) not null,
    l_tax numeric(15,2) not null, l_returnflag char(1) not null, l_linestatus char(1) not null,
    l_shipdate date not null, l_commitdate date not null, l_receiptdate date not null,
    l_shipinstruct char(25) not null, l_shipmode char(10) not null, l_comment varchar(44) not null)
"""
_FILL = """
insert into lineitem
select n / 4 + 1, h % 200000 + 1, h % 10000 + 1, n % 4 + 1,
       (h % 50 + 1)::numeric(15,2), ((h % 10000000) / 100.0 + 900)::numeric(15,2), ((h % 11) / 100.0)::numeric(15,2),
       ((h % 9) / 100.0)::numeric(15,2), (array['R', 'A', 'N'])[h % 3 + 1], (array['O', 'F'])[h % 2 + 1],
       date '1992-01-02' + (h % 2526)::int, date '1992-01-31' + (h % 2466)::int, date '1992-01-04' + (h % 2550)::int,
       (array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[h % 4 + 1],
       (array['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])[h % 7 + 1],
       substr('carefully final deposits detect slyly against the furiously pending packages', (h % 30)::int + 1, 27)
from (select n, abs(hashint8(n))::bigint as h from generate_series(0, $1::bigint - 1) as n) as numbers
"""


async def fill(server: ThrowawayServer, rows: int) -> None:
    """Create the table anew with so many rows."""
    connection = await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=server.database,
    )
    try:
        await connection.execute("drop table if exists lineitem")
        await connection.execute(_CREATE)
        await connection.execute(_FILL, rows, timeout=600)
        await connection.execute("vacuum analyze lineitem", timeout=600)
    finally:
        await connection.close()
