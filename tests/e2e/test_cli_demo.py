"""The demo and the help as people run them: a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer

pytestmark = pytest.mark.server
TSUNAMI = [sys.executable, "-m", "servicetsunami.cli"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    # Not tmp_path: where the tests run as root, PostgreSQL runs as another user, who may not enter that one.
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _environment(temporary: Path, **more: str) -> Mapping[str, str]:
    # Short, since a socket's path must fit into about 100 bytes.
    return {**os.environ, "TMPDIR": str(temporary), "HOME": str(temporary), **more}


def test_the_demo_answers_and_leaves_nothing_behind(temporary: Path) -> None:
    ended = subprocess.run([*TSUNAMI, "demo"], env=_environment(temporary), capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert "136 people signed up last month; a day later it is 161." in ended.stdout
    assert "tenant_demo.bronze.customers: succeeded, incremental: 30 rows written" in ended.stdout
    assert "tenant_demo.silver.fair_list succeeded: 120 rows" in ended.stdout
    assert "2026-09-15  40" in ended.stdout
    assert "claude mcp add lakehouse -- /" in ended.stdout
    assert "password='********'" in ended.stdout
    assert list(temporary.iterdir()) == []


def test_the_demo_takes_another_postgres_and_drops_its_database(temporary: Path, postgres: ThrowawayServer) -> None:
    url = f"postgresql://{postgres.user}:{postgres.password}@{postgres.host}:{postgres.port}/{postgres.database}"
    environment = _environment(temporary, TSUNAMI_DEMO_POSTGRES_URL=url)

    first, second = (
        subprocess.run([*TSUNAMI, "demo"], env=environment, capture_output=True, text=True, check=False)
        for _ in range(2)
    )

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert postgres.password not in first.stdout + first.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing_behind(temporary: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*TSUNAMI, "demo"], env=_environment(temporary), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        while "-> list_source_tables" not in demo.stdout.readline():
            assert demo.poll() is None
        demo.send_signal(number)
        _, err = demo.communicate()

    assert demo.returncode == 130
    assert err == "interrupted\n"
    assert list(temporary.iterdir()) == []


def test_a_demo_that_may_not_log_in_says_what_to_do(temporary: Path, postgres: ThrowawayServer) -> None:
    url = f"postgresql://{postgres.user}:hunter2@{postgres.host}:{postgres.port}/postgres"

    ended = subprocess.run(
        [*TSUNAMI, "demo", "--postgres-url", url],
        env=_environment(temporary),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 4
    assert ended.stderr.startswith("error: password_refused: ")
    assert "hunter2" not in ended.stdout + ended.stderr


def test_help_imports_neither_operations_nor_a_driver_nor_rich() -> None:
    listing = (
        "import sys; from servicetsunami.cli.running import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    )

    ended = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)

    loaded = set(ended.stderr.split())
    assert "Commands:" in ended.stdout
    assert not loaded & {"rich.console", "pydantic", "pyarrow", "sqlalchemy", "mcp", "servicetsunami.operations"}
