"""The page about the Python client: its examples run, and it names every method."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.client import AsyncServiceTsunami, ServiceTsunami

PAGE = (Path(__file__).parents[2] / "docs/reference/python-client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    with throwaway_postgres() as server:
        asyncio.run(_fill(server))
        told = [_run(_at(example, server), tmp_path) for example in EXAMPLES]

    assert told == [
        "tenant_default.bronze.customers 2\n1 Ada\n2 Grace\n",
        "1 2\n",
        "table_not_found ('bronze.customers',)\n",
    ]


def test_the_page_names_every_method_as_it_is_called() -> None:
    table = PAGE.partition("<!-- methods: begin -->")[2].partition("<!-- methods: end -->")[0]
    named = dict(re.findall(r"^\| `(\w+)\((.*?)\)`", table, re.MULTILINE))
    methods = {name: one for name, one in vars(ServiceTsunami).items() if not name.startswith("_")}

    assert set(named) == set(methods)
    assert {name: _parameters(given) for name, given in named.items() if given != "..."} == {
        name: list(inspect.signature(one).parameters)[1:] for name, one in methods.items() if named[name] != "..."
    }


def test_the_async_methods_take_what_the_others_take() -> None:
    both = [
        {name: list(inspect.signature(one).parameters.values()) for name, one in vars(kind).items() if name[0] != "_"}
        for kind in (AsyncServiceTsunami, ServiceTsunami)
    ]

    assert both[0] == both[1]


def _parameters(given: str) -> list[str]:
    names = [part.partition("=")[0].strip("* ") for part in given.split(",")]
    return [name for name in names if name]


def _at(example: str, server: ThrowawayServer) -> str:
    """Return an example with the database of the test in place of the one that it tells of."""
    given = f'host="{server.host}", port={server.port}, database="{server.database}", user="{server.user}", '
    told = 'host="db.example.com", port=5432, database="shop", user="reader", '
    return example.replace(told, given).replace('password="secret"', f'password="{server.password}"')


def _run(example: str, folder: Path) -> str:
    environment = {**os.environ, "TSUNAMI_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", example], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _fill(server: ThrowawayServer) -> None:
    import asyncpg

    connection = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database
    )
    await connection.execute("create table customers (id int primary key, name text)")
    await connection.execute("insert into customers values (1, 'Ada'), (2, 'Grace')")
    await connection.close()
