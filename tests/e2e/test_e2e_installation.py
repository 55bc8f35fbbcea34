"""What a person is told when the installation itself is at fault, by the command line they would see it on."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from servicetsunami.operations.models import RunView
from servicetsunami.operations.sync import list_runs
from servicetsunami.sdk import Problem

BIG = "create table big as select n as id, repeat(md5(n::text), 12) as filler from generate_series(1, 100) as n"
GROW = "insert into big select n, (select string_agg(md5(random()::text), '') from generate_series(n, n + 20))"
COUNT = "select count(*), count(distinct id) from bronze.big"


class Lake(Protocol):
    """What the fixture `lake` offers."""

    home: Path
    database: Any
    do: Callable[..., Any]
    command: Callable[..., tuple[int, str, str]]

    def connect(self, name: str = ..., streams: dict[str, Any] | None = ..., **changes: Any) -> str: ...

    def sync(self, connection: str, table: str, mode: str | None = ...) -> RunView: ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...


def synced(lake: Lake) -> str:
    lake.database.run(BIG)
    connection = lake.connect()
    assert lake.sync(connection, "big").status == "succeeded"
    return connection


def told(errors: str) -> dict[str, str]:
    """Return the lines of a shown problem by their label; the first holds the code and the message."""
    lines = [line.strip().partition(": ") for line in errors.splitlines() if ": " in line]
    by_label = {label: text for label, _, text in lines}
    code, _, message = by_label["error"].partition(": ")
    return by_label | {"code": code, "error": message}


def refusal(lake: Lake, *arguments: str, **environment: str) -> tuple[int, dict[str, str]]:
    """Run a command that shall be refused with nothing on standard output."""
    code, output, errors = lake.command(*arguments, **environment)
    assert output == ""
    assert "Traceback" not in errors
    return code, told(errors)


def test_a_key_file_that_others_may_read_is_not_used(lake: Lake) -> None:
    connection = synced(lake)
    key = lake.home / "master.key"
    key.chmod(0o644)

    code, problem = refusal(lake, "sync", connection, "big")

    assert code == 2
    assert problem["error"] == f"the key file {key} may be read by others (mode 0644), so it is not used"
    assert problem["fix"] == f"chmod 600 '{key}'; if others may have read it, rotate the keys afterwards"
    assert problem["code"] == "key_file_permissions"
    key.chmod(0o600)
    assert lake.rows(COUNT) == [(100, 100)]


def test_a_key_file_that_is_no_file_is_told_and_left_as_it_is(lake: Lake) -> None:
    connection = synced(lake)
    key = lake.home / "master.key"
    kept = key.rename(lake.home / "kept.key")
    key.mkdir(mode=0o700)

    code, problem = refusal(lake, "sync", connection, "big")

    assert code == 2
    assert problem["error"] == f"the key file {key} cannot be read, so no secret can be sealed or opened"
    assert problem["why"] == "Is a directory"
    assert problem["fix"] == ("bring the file back from a backup; without it, move it away and store every secret anew")
    assert problem["code"] == "key_file_unreadable"
    key.rmdir()
    kept.rename(key)
    assert lake.sync(connection, "big").status == "succeeded"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"\xff\xfe garbage", "key_file_unreadable", "the key file {key} cannot be read"),
        (b"not a key!\n", "key_invalid", "the master key in the file {key} is neither hex nor base64"),
        (b"", "key_invalid", "the master key in the file {key} is empty"),
    ],
)
def test_a_garbled_key_file_is_told_and_no_new_key_takes_its_place(
    lake: Lake, content: bytes, code: str, message: str
) -> None:
    connection = synced(lake)
    key = lake.home / "master.key"
    good = key.read_bytes()
    key.write_bytes(content)

    status, problem = refusal(lake, "sync", connection, "big")

    assert (status, problem["code"]) == (2, code)
    assert problem["error"].startswith(message.format(key=key))
    assert problem["error"].endswith("so no secret can be sealed or opened")
    assert problem["fix"]
    assert key.read_bytes() == content
    key.write_bytes(good)
    assert lake.sync(connection, "big").status == "succeeded"


def test_a_key_that_was_replaced_leaves_secrets_unreadable_and_says_how_to_go_on(lake: Lake) -> None:
    connection = synced(lake)
    key = lake.home / "master.key"
    key.unlink()

    code, problem = refusal(lake, "sync", connection, "big")

    assert (code, problem["code"]) == (1, "secret_unreadable")
    assert problem["fix"] == (
        "connect the source again to store the secret anew; if the master key was replaced, bring the old one back"
    )
    assert lake.rows(COUNT) == [(100, 100)]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import a_driver_that_is_missing\n", "a_driver_that_is_missing"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("def connectors(:\n", "SyntaxError"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_stops_nobody(
    lake: Lake, tmp_path: Path, source: str, why: str
) -> None:
    connection = synced(lake)
    site = tmp_path / "site"
    information = site / "tsunami_broken-0.1.dist-info"
    information.mkdir(parents=True)
    (site / "tsunami_broken.py").write_text(source, encoding="utf-8")
    (information / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: tsunami-broken\nVersion: 0.1\n", encoding="utf-8"
    )
    (information / "entry_points.txt").write_text("[servicetsunami.v1]\nbroken = tsunami_broken\n", encoding="utf-8")

    listed = lake.command("plugins", "--json", PYTHONPATH=str(site))
    sync = lake.command("sync", connection, "big", "--json", PYTHONPATH=str(site))

    assert listed[0] == 0
    plugins = json.loads(listed[1])
    (failure,) = plugins["failures"]
    assert (failure["distribution"], failure["version"]) == ("tsunami-broken", "0.1")
    assert why in failure["reason"]
    assert {"postgres", "lakehouse"} <= {plugin["name"] for plugin in plugins["plugins"]}
    assert (sync[0], json.loads(sync[1])["runs"][0]["status"]) == (0, "succeeded")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of four megabytes, outside of pytest's folders, whose cleaning it could stop after a kill."""
    folder = Path(tempfile.mkdtemp(prefix="tsunami-small-"))
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mount.returncode:
        folder.rmdir()
        pytest.skip(f"no small file system can be mounted here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


@pytest.mark.parametrize("part", ["data", "home"])
def test_a_full_disk_fails_the_run_with_a_fix_and_the_table_stays(lake: Lake, small_disk: Path, part: str) -> None:
    if part == "data":
        (lake.home / "data").symlink_to(small_disk)
    else:
        lake.home.rmdir()
        lake.home.symlink_to(small_disk)
    connection = synced(lake)
    lake.database.run(f"{GROW} from generate_series(101, 30000) as n")

    full = lake.sync(connection, "big")
    at_first = lake.rows(COUNT)
    lake.database.run("delete from big where id > 1000")
    again = lake.sync(connection, "big")

    assert full.status == "failed"
    assert full.problem == Problem(
        code="disk_full",
        message="writing rows of bronze.big failed because the disk is full; nothing of it is visible",
        fix="free space on the disk of the lakehouse folder, or point `path` at a larger one, and run it again",
    )
    assert at_first == [(100, 100)]
    assert (again.status, lake.rows(COUNT)) == ("succeeded", [(1000, 1000)])
    assert [run.status for run in lake.do(list_runs).runs] == ["succeeded", "failed", "succeeded"]


REFUSALS = {
    "records_remote_unavailable": (
        {"API_BASE_URL": "https://api.example.com", "API_INTERNAL_KEY": "canary"},
        """API_BASE_URL asks for a system of record on another machine, which this release cannot use, so it does not
        start""",
        """unset API_BASE_URL to keep the records on this machine, or set TSUNAMI_RECORDS_URL to a PostgreSQL that
        several machines share""",
    ),
    "sink_databricks_unavailable": (
        {
            "DATABRICKS_HOST": "adb-1.azuredatabricks.net",
            "DATABRICKS_TOKEN": "canary",
            "TSUNAMI_PLUGINS_ALLOW": "servicetsunami-postgres,servicetsunami-sink-lakehouse",
        },
        """DATABRICKS_HOST, DATABRICKS_TOKEN asks for Databricks, but no sink named databricks is installed, so nothing
        starts""",
        """pip install 'servicetsunami[databricks]', or set TSUNAMI_SINK=lakehouse to use the lakehouse on this machine
        although DATABRICKS_HOST, DATABRICKS_TOKEN is set""",
    ),
    "sink_databricks_incomplete": (
        {"DATABRICKS_HOST": "adb-1.azuredatabricks.net", "DATABRICKS_TOKEN": "canary"},
        """DATABRICKS_HOST, DATABRICKS_TOKEN asks for Databricks, but DATABRICKS_WAREHOUSE_ID is not set, so nothing
        starts""",
        """set DATABRICKS_WAREHOUSE_ID, or set TSUNAMI_SINK=lakehouse to use the lakehouse on this machine although
        DATABRICKS_HOST, DATABRICKS_TOKEN is set""",
    ),
    "http_needs_authentication": (
        {"MCP_TRANSPORT": "streamable-http", "TSUNAMI_MCP_HOST": "0.0.0.0"},
        "the MCP server would serve 0.0.0.0 without knowing who calls, so it does not start",
        """set TSUNAMI_MCP_AUTH_ISSUER, TSUNAMI_MCP_PUBLIC_URL and TSUNAMI_MCP_AUTH_JWKS_URL (or TSUNAMI_MCP_AUTH_KEY),
        or serve this machine only: leave TSUNAMI_MCP_HOST at 127.0.0.1 and allow no other host""",
    ),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_server_refuses_what_it_cannot_serve_and_says_so_on_standard_error(lake: Lake, code: str) -> None:
    environment, words, fix = REFUSALS[code]

    status, problem = refusal(lake, "serve", **environment)

    assert (status, problem["code"]) == (2, code)
    assert problem["error"] == " ".join(words.split())
    assert problem["fix"] == " ".join(fix.split())
    assert "canary" not in json.dumps(problem)
