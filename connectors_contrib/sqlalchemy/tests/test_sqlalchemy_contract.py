"""The connector passes the contract of every connector, over both databases."""

from __future__ import annotations

from typing import Any

import pytest

from servicetsunami.sdk.testing import SourceContract
from servicetsunami_sqlalchemy import SqlSource

TABLES = (
    "create table customers (id integer primary key, name varchar(100), signed_up datetime not null)",
    "create table `lines` (`order` int not null, no int not null, amount decimal(10,2), primary key (`order`, no))",
    "create table notes (body varchar(200))",
    "create table bare (id integer primary key)",
    *(
        f"insert into customers values ({number}, 'no {number} Zoë', '2024-01-{1 + number // 3:02} 10:00:00')"
        for number in range(1, 40)
    ),
    *(f"insert into `lines` values ({number // 4}, {number % 4}, {number}.25)" for number in range(30)),
    "insert into notes values ('one'), (null), ('one')",
)


class TestSqliteContract(SourceContract):
    connector = SqlSource
    bad_configs = ({"database": "no-such.db"}, {"dialect": "oracle+nothing", "host": "127.0.0.1", "port": 1})

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        database = request.getfixturevalue("sqlite")
        database.run(*TABLES)
        settings: dict[str, Any] = database.settings
        return settings


@pytest.mark.server
class TestMariaContract(SourceContract):
    connector = SqlSource
    bad_configs = ({"password": "not-the-password-5"}, {"database": "no_such"}, {"port": 1}, {"host": "no.such.host"})

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        database = request.getfixturevalue("maria")
        database.run(*TABLES)
        settings: dict[str, Any] = database.settings
        return settings
