"""The connector keeps the contract that the host relies on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk import Stream
from servicetsunami.sdk.testing import SourceContract
from servicetsunami_postgres import PostgresSource, splitting

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

KEYS = count(1_000_000)

SHOP = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text, updated_at timestamptz NOT NULL)",
    "INSERT INTO customers SELECT i, 'no ' || i, to_timestamp(1767225600 + i * 3600) FROM generate_series(1, 1500) i",
    "CREATE TABLE prices (amount numeric(10,2), since date, tags text[])",
    "INSERT INTO prices VALUES (1.50, '2026-01-01', '{a,b}'), (NULL, NULL, NULL), (2, '2026-02-01', '{}')",
    "CREATE TABLE readings (sensor int, at timestamptz, PRIMARY KEY (sensor, at)) PARTITION BY LIST (sensor)",
    "CREATE TABLE readings_1 PARTITION OF readings FOR VALUES IN (1)",
    "CREATE TABLE readings_2 PARTITION OF readings FOR VALUES IN (2)",
    "INSERT INTO readings SELECT 1 + i % 2, to_timestamp(1767225600 + i * 60) FROM generate_series(1, 400) i",
    "CREATE VIEW names AS SELECT name FROM customers WHERE id < 10",
)


class TestPostgresContract(SourceContract):
    connector = PostgresSource
    bad_configs = (
        {"password": "not-the-password-7"},
        {"port": 1},
        {"database": "no_such_database"},
        {"user": "no_such_user"},
        {"sslmode": "verify-full"},
        {"schemas": ["no_such_schema"]},
        {"port": 0},
        {"dsn": "postgres://u:p@h/d"},
    )

    @pytest.fixture(autouse=True)
    def _database(self, database: "Database") -> None:
        self.database = database

    @contextmanager
    def late_row(self, config: Mapping[str, Any], stream: Stream) -> Iterator[None]:
        del config
        assert stream.name == "customers"
        with self.database.held(f"INSERT INTO customers VALUES ({next(KEYS)}, 'late', now())", commits=True):
            yield

    @pytest.fixture
    def config(self, database: "Database", monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
        monkeypatch.setattr(splitting, "LEAST_BYTES", 1)
        database.run(*SHOP)
        server = database.server
        return {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": server.password,
            "database": server.database,
        }
