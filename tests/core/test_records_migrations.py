"""Tables are made and brought up to date when the records are opened, whoever else opens them at that moment."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from servicetsunami.cli.throwaway_postgres import throwaway_postgres
from servicetsunami.records import open_records, open_vault
from servicetsunami.records.database import database_at
from servicetsunami.records.migrate import NEWEST, bring_up_to_date, migrations, version
from servicetsunami.records.schema import metadata
from servicetsunami.sdk import ConfigError, PermanentError, TransientError, TsunamiError

_LOADED = """
import asyncio, sys
from pathlib import Path
from servicetsunami.records import open_records, open_vault

def loaded():
    heavy = ("aiosqlite", "alembic", "asyncpg", "cryptography", "sqlalchemy", "sqlalchemy.orm")
    print([name for name in heavy if name in sys.modules])

async def start(home):
    await (await open_records(f"sqlite:///{home}/records.db", open_vault(Path(home), master_key=None))).close()

loaded()
asyncio.run(start(sys.argv[1]))
loaded()
"""
NewDatabase = Callable[[], str]
_RACER = """
import asyncio, json, sys
from pathlib import Path
from servicetsunami.records import open_records, open_vault
from servicetsunami.sdk import TableName

async def race(url, home, me):
    records = await open_records(url, open_vault(Path(home), master_key=None))
    await records.create_tenant("acme")
    connection = await records.create_connection(
        "acme", name=f"shop {me}", connector="x", settings={}, secrets={"password": "p"}, streams={}
    )
    claimed = {}
    for table in ("a", "b", "c", "d"):
        wanted = [TableName("bronze", table), TableName("bronze", f"shop_{me}_{table}")]
        claimed[table] = str((await records.claim_table("acme", connection.id, table, wanted)).table)
    await records.close()
    return claimed

sys.stdin.read()
print(json.dumps(asyncio.run(race(*sys.argv[1:]))))
"""


def _open(url: str, home: Path) -> None:
    async def play() -> None:
        await (await open_records(url, open_vault(home, master_key=None))).close()

    asyncio.run(play())


def _ask(url: str, work: Callable[[Connection], object]) -> object:
    async def play() -> object:
        database = database_at(url)
        try:
            return await database.write(work)
        finally:
            await database.close()

    return asyncio.run(play())


def _refusal(url: str, home: Path) -> TsunamiError:
    with pytest.raises(TsunamiError) as refused:
        _open(url, home)
    return refused.value


def test_the_migrations_make_the_tables_that_the_program_expects(new_database: NewDatabase, tmp_path: Path) -> None:
    url = new_database()
    _open(url, tmp_path)

    differences = _ask(url, lambda db: compare_metadata(_comparing(db), metadata))

    assert differences == []


def test_the_newest_migration_is_the_one_the_program_names() -> None:
    scripts = ScriptDirectory.from_config(migrations())

    assert scripts.get_current_head() == NEWEST
    assert scripts.get_bases() == ["0001"]


def test_opening_again_changes_nothing(new_database: NewDatabase, tmp_path: Path) -> None:
    url = new_database()

    for _ in range(2):
        _open(url, tmp_path)

    assert _ask(url, version) == NEWEST


def test_records_newer_than_the_program_are_refused_and_left_alone(new_database: NewDatabase, tmp_path: Path) -> None:
    url = new_database()
    _open(url, tmp_path)
    _ask(url, lambda db: db.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'").rowcount)

    refusal = _refusal(url, tmp_path)

    assert isinstance(refusal, ConfigError)
    assert refusal.code == "records_newer"
    assert "0999" in str(refusal)
    assert NEWEST in str(refusal)


def test_a_migration_that_breaks_off_leaves_nothing_behind(new_database: NewDatabase) -> None:
    url = new_database()

    async def break_off() -> None:
        database = database_at(url)

        def migrate_and_fail(db: Connection) -> None:
            from alembic import command

            command.upgrade(migrations(db), "head")
            raise EOFError

        try:
            await database.write(migrate_and_fail)
        except EOFError:
            found = await database.read(version)
            await bring_up_to_date(database)
            assert (found, await database.read(version)) == (None, NEWEST)
        finally:
            await database.close()

    asyncio.run(break_off())


def test_processes_that_start_at_once_all_open_the_records_and_share_out_the_names(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    url = new_database()
    racers = [_race(url, tmp_path, number) for number in range(5)]

    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    ended = [racer.communicate(timeout=120) for racer in racers]

    assert [stderr for _, stderr in ended] == [""] * 5
    claims = [json.loads(stdout) for stdout, _ in ended]
    for table in ("a", "b", "c", "d"):
        names = {claim[table] for claim in claims}
        assert f"bronze.{table}" in names
        assert len(names) == 5


def test_a_file_is_for_its_owner_only_and_in_wal_mode(tmp_path: Path) -> None:
    file = tmp_path / "new" / "records.db"

    _open(f"sqlite:///{file}", tmp_path)

    with sqlite3.connect(file) as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == ("wal",)
    assert file.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    file.write_text("these are notes, not a database\n" * 50, encoding="utf-8")
    before = file.read_bytes()

    refusal = _refusal(f"sqlite:///{file}", tmp_path)

    assert isinstance(refusal, PermanentError)
    assert refusal.code == "records_unreadable"
    assert file.read_bytes() == before


def test_a_server_that_does_not_answer_is_told_without_its_address(tmp_path: Path) -> None:
    refusal = _refusal("postgresql://someone:canary-7@127.0.0.1:1/records", tmp_path)

    assert isinstance(refusal, TransientError)
    assert refusal.code == "records_unavailable"
    assert "canary-7" not in str(refusal.problem())


@pytest.mark.server
def test_a_server_that_does_not_let_us_in_says_why_without_the_password(tmp_path: Path) -> None:
    with throwaway_postgres() as server:
        place = f"{server.host}:{server.port}"
        wrong_password = _refusal(f"postgres://postgres:canary-7@{place}/postgres?sslmode=disable", tmp_path)
        password = quote(server.password, safe="")
        no_database = _refusal(f"postgresql://postgres:{password}@{place}/records", tmp_path)
        no_tls = _refusal(f"postgresql://postgres:{password}@{place}/postgres?sslmode=require", tmp_path)

    assert (wrong_password.code, no_database.code, no_tls.code) == (
        "records_login",
        "records_login",
        "records_unavailable",
    )
    assert wrong_password.why == 'password authentication failed for user "postgres"'
    assert no_database.why == 'database "records" does not exist'
    assert "rejected SSL upgrade" in str(no_tls.why)
    assert "canary-7" not in str(wrong_password.problem())
    assert password not in f"{no_database.problem()} {no_tls.problem()}"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")

    refusal = _refusal(f"sqlite:///{tmp_path}/taken/records.db", tmp_path)

    assert refusal.code == "records_unavailable"


def test_a_full_disk_is_told_and_what_was_stored_stays(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    _open(url, tmp_path)

    with pytest.raises(TransientError) as refused:
        _ask(url, _fill_the_disk)

    assert refused.value.code == "records_full"
    assert _ask(url, lambda db: db.exec_driver_sql("SELECT count(*) FROM tenants").scalar_one()) == 0


def test_importing_the_records_loads_no_database_library_and_opening_only_what_it_needs(tmp_path: Path) -> None:
    _open(f"sqlite:///{tmp_path}/records.db", tmp_path)

    loaded = subprocess.run(
        [sys.executable, "-c", _LOADED, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert loaded == ["[]", "['aiosqlite', 'sqlalchemy']"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mysql://u:canary-7@h/d", "begins with 'mysql'"),
        ("records.db", "cannot be read as a URL"),
        ("canary-7", "cannot be read as a URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("", "cannot be read as a URL"),
        ("postgresql://u:x@canary-7@h/d", "holds an @, which is written %40"),
        ("postgresql://u:canary-7@h:canary-7/d", "cannot be read as a URL"),
        ("postgresql://u:canary-7@h", "names no host or no database"),
        ("postgresql:///d", "names no host or no database"),
        ("postgresql://u:canary-7@h/d?options=-c", "has an option 'options'"),
        ("postgresql://u:canary-7@h/d?sslmode=canary-7", "sslmode is none of disable, allow"),
        ("sqlite:////tmp/records.db?mode=memory", "has an option 'mode'"),
    ],
)
def test_an_address_that_is_not_served_is_refused_and_not_repeated(tmp_path: Path, url: str, found: str) -> None:
    refusal = _refusal(url, tmp_path)

    assert isinstance(refusal, ConfigError)
    assert (refusal.code, refusal.field) == ("records_url", "records_url")
    assert found in str(refusal)
    assert "canary-7" not in str(refusal.problem())


def _fill_the_disk(db: Connection) -> None:
    # SQLite answers a reached limit of pages just as it answers a disk without room.
    db.exec_driver_sql("PRAGMA max_page_count = 1")
    for number in range(1000):
        db.exec_driver_sql(f"INSERT INTO tenants VALUES ('t{number}', '{'x' * 1000}', '2026-11-24 00:00:00')")


def _comparing(db: Connection) -> MigrationContext:
    return MigrationContext.configure(db, opts={"compare_type": True, "compare_server_default": True})


def _race(url: str, home: Path, number: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _RACER, url, str(home), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
