"""A connector written before watermarks and releases were known loads, has its capabilities and passes what applies."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.plugins import Plugins, discover
from servicetsunami.sdk import Capability, Stream, capabilities
from servicetsunami.sdk.testing import (
    FeedContract,
    FeedProbe,
    LocalContext,
    SourceContract,
    SourceProbe,
    failing_checks,
)

OLDER = '''
"""Orders: a connector as one wrote it for the first release."""

from servicetsunami.sdk import ChangeFeed, Changes, Checkpoint, Config, NotFound, Source, Stream, hookimpl

ROWS, LOG = {}, []


class OrdersConfig(Config):
    """Where the orders are."""

    shop: str


class Orders(Source[OrdersConfig], ChangeFeed):
    """Orders of a shop."""

    name = "orders"

    def streams(self):
        return [Stream("orders", key=("id",), cursor="at")]

    def read(self, read):
        if read.stream.name != "orders":
            raise NotFound("there is no such stream")
        rows = [row for row in ROWS.values() if read.since is None or row["at"] >= read.since][: read.limit]
        if rows:
            yield [{name: row[name] for name in read.columns or row} for row in rows]

    def position(self, streams):
        if any(stream.name != "orders" for stream in streams):
            raise NotFound("there is no such stream")
        return {"at": len(LOG)}

    def changes(self, streams, state):
        end = len(LOG)
        for at in range(state["at"], end):
            for first in range(0, len(LOG[at]), 4):
                yield Changes("orders", LOG[at][first : first + 4])
            yield Checkpoint({"at": at + 1})
        yield Checkpoint({"at": end})

    def ack(self, state):
        pass


@hookimpl
def connectors():
    return [Orders]
'''
NESTED = """
from pydantic import BaseModel, SecretStr
from servicetsunami.sdk import Config, Source, hookimpl


class Login(BaseModel):
    password: SecretStr


class NestedConfig(Config):
    login: Login


class Nested(Source[NestedConfig]):
    '''Hides its secret.'''

    name = "nested"

    def streams(self):
        return []

    def read(self, read):
        return iter(())


@hookimpl
def connectors():
    return [Nested]
"""


def installed(folder: Path, module: str, source: str, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Install a distribution of one module and find it."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[servicetsunami.v1]\n{module} = {module}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)
    return discover(entry for dist in metadata.distributions(path=[str(folder)]) for entry in dist.entry_points)


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    return installed(tmp_path, "older_orders", OLDER, monkeypatch)


class OlderFeed(FeedContract):
    """How the suite writes to the shop."""

    column = "name"
    large = 9

    def write(self, config: Mapping[str, Any], op: str, **row: Any) -> None:
        assert config == {"shop": "corner"}
        shop = import_module("older_orders")
        shop.LOG.append([{"_op": op, **row}])
        shop.ROWS.pop(row["id"], None)
        shop.ROWS.update({row["id"]: row} if op != "d" else {})

    def insert(self, config: Mapping[str, Any], key: int, value: str) -> None:
        self.write(config, "c", id=key, at=key, name=value)

    def update(self, config: Mapping[str, Any], key: int, value: str) -> None:
        self.write(config, "u", id=key, at=key, name=value)

    def delete(self, config: Mapping[str, Any], key: int) -> None:
        self.write(config, "d", id=key)


def test_an_older_connector_is_found_with_all_it_can_do(older: Plugins) -> None:
    assert older.failures == ()
    assert capabilities(older.connector("orders")) == {Capability.READ, Capability.CHANGES}


def test_an_older_feed_releases_nothing_and_does_not_know_its_lag(older: Plugins, tmp_path: Path) -> None:
    orders = older.connector("orders")
    feed: Any = orders(orders.config_type.model_validate({"shop": "corner"}), LocalContext(data_dir=tmp_path / "data"))

    feed.release([Stream("orders")])

    assert feed.lag_bytes([Stream("orders")]) is None


def test_an_older_connector_passes_the_contract_of_sources(older: Plugins, tmp_path: Path) -> None:
    import_module("older_orders").ROWS.update({n: {"id": n, "at": n, "name": f"order {n}"} for n in range(5)})

    failed = failing_checks(SourceContract(), SourceProbe(older.connector("orders"), {"shop": "corner"}, tmp_path))

    assert failed == set()


def test_an_older_feed_passes_the_contract_of_feeds(older: Plugins, tmp_path: Path) -> None:
    probe = FeedProbe(older.connector("orders"), {"shop": "corner"}, tmp_path, followed="orders")

    assert failing_checks(OlderFeed(), probe) == set()


def test_a_test_context_without_a_connection_name_has_one(tmp_path: Path) -> None:
    assert LocalContext(data_dir=tmp_path).connection == "conn_test"


def test_a_connector_whose_secret_lies_within_a_model_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = installed(tmp_path, "nested_secret", NESTED, monkeypatch)

    assert plugins.found == ()
    assert ["login.password" in failure.reason for failure in plugins.failures] == [True]
