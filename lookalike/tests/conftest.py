"""A look-alike for a module of tests, and unmodified clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from databricks import sql
from databricks.sdk import WorkspaceClient

from servicetsunami_lookalike import Lookalike


@pytest.fixture(scope="module")
def lookalike() -> Iterator[Lookalike]:
    with Lookalike() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_faults(lookalike: Lookalike) -> None:
    lookalike.faults.clear()


@pytest.fixture
def connect(lookalike: Lookalike) -> Iterator[Callable[..., Any]]:
    """Open connections of the SQL connector, as an admin unless another token is given."""
    with ExitStack() as opened:

        def connection(token: str = lookalike.token, **options: Any) -> Any:
            found = sql.connect(
                server_hostname="127.0.0.1",
                http_path=lookalike.http_path,
                access_token=token,
                enable_telemetry=False,
                _connection_uri=lookalike.host + lookalike.http_path,
                _retry_delay_max=5,
                _retry_delay_min=0.01,
                **options,
            )
            opened.callback(found.close)
            return found

        yield connection


@pytest.fixture
def run(connect: Callable[..., Any]) -> Callable[..., list[dict[str, Any]]]:
    """Run a statement as an admin and return its rows."""
    cursor = connect().cursor()

    def ran(text: str, parameters: Any = None) -> list[dict[str, Any]]:
        cursor.execute(text, parameters)
        found: list[dict[str, Any]] = cursor.fetchall_arrow().to_pylist()
        return found

    return ran


@pytest.fixture
def workspace(lookalike: Lookalike) -> WorkspaceClient:
    """Return the SDK's client, as an admin."""
    return WorkspaceClient(host=lookalike.host, token=lookalike.token)


@pytest.fixture
def catalog(run: Callable[..., Any], request: pytest.FixtureRequest) -> str:
    """Make a catalog of the test's own, with schema `s` and volume `s.v`."""
    name = f"c_{abs(hash(request.node.name)) % 10**8}"
    run(f"CREATE CATALOG {name}")
    run(f"CREATE SCHEMA {name}.s")
    run(f"CREATE VOLUME {name}.s.v")
    return name
