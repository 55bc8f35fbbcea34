"""The change feed keeps the contract that the host relies on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk.testing import FeedContract
from servicetsunami_postgres import PostgresSource

if TYPE_CHECKING:
    from conftest import Database

pytestmark = pytest.mark.server

TABLES = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text, photo text, at timestamptz DEFAULT now(), tags text[])",
    "ALTER TABLE customers ALTER photo SET STORAGE EXTERNAL",
    "CREATE TABLE orders (id int PRIMARY KEY)",
)


class TestPostgresFeedContract(FeedContract):
    connector = PostgresSource
    followed = "customers"
    column = "name"

    @pytest.fixture(autouse=True)
    def _database(self, database: "Database") -> None:
        self.database = database

    @pytest.fixture
    def config(self, database: "Database") -> Mapping[str, Any]:
        database.run(*TABLES)
        return database.settings

    def insert(self, config: Mapping[str, Any], key: int, value: str) -> None:
        self._run(config, f"INSERT INTO customers (id, name, tags) VALUES ({key}, '{value}', '{{a,b}}')")

    def update(self, config: Mapping[str, Any], key: int, value: str) -> None:
        self._run(config, f"UPDATE customers SET name = '{value}' WHERE id = {key}")

    def delete(self, config: Mapping[str, Any], key: int) -> None:
        self._run(config, f"DELETE FROM customers WHERE id = {key}")

    def insert_many(self, config: Mapping[str, Any], keys: Sequence[int]) -> None:
        self._run(config, f"INSERT INTO customers (id) SELECT generate_series({keys[0]}, {keys[-1]})")

    @contextmanager
    def open_insert(self, config: Mapping[str, Any], key: int) -> Iterator[None]:
        assert config == self.database.settings
        with self.database.held(f"INSERT INTO customers (id) VALUES ({key})", commits=True):
            yield

    def change_key(self, config: Mapping[str, Any], old: int, new: int) -> None:
        self._run(config, f"UPDATE customers SET id = {new} WHERE id = {old}")

    def truncate(self, config: Mapping[str, Any]) -> None:
        self._run(config, "TRUNCATE customers")

    def leave_unchanged(self, config: Mapping[str, Any], key: int) -> None:
        self._run(config, f"INSERT INTO customers (id, photo) VALUES ({key}, repeat('x', 10000))")
        self.update(config, key, "the photo is as it was")

    def add_column(self, config: Mapping[str, Any]) -> None:
        self._run(config, "ALTER TABLE customers ADD note text DEFAULT 'new'")

    def write_elsewhere(self, config: Mapping[str, Any]) -> None:
        self._run(config, "INSERT INTO orders VALUES (1)")

    def left_behind(self, config: Mapping[str, Any]) -> bool:
        assert config == self.database.settings
        slots = self.database.ask("SELECT count(*) FROM pg_replication_slots")
        return bool(slots or self.database.ask("SELECT count(*) FROM pg_publication"))

    def _run(self, config: Mapping[str, Any], sql: str) -> None:
        assert config == self.database.settings
        self.database.run(sql)
