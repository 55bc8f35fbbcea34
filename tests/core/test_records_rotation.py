"""Master keys rotate while the records are in use, and no secret lies in the database in the open."""

import asyncio
import base64
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from servicetsunami.records import EmbeddedRecords, Vault, open_records, open_vault
from servicetsunami.sdk import PermanentError

pytestmark = pytest.mark.anyio
_COUNT = 120
"""Secrets of a store; two batches of a rotation."""
_STEPS = 5
"""Transactions of a rotation of so many: begin, two batches, one that finds nothing left, end."""
_OLD = base64.b64encode(bytes(range(32))).decode()
_NEW = base64.b64encode(bytes(range(60, 100))).decode()
_CANARY = "canary-9f41c7d2-passw0rd"
_ROTATOR = """
import asyncio, os, signal, sys
from pathlib import Path
from servicetsunami.records import open_records, open_vault
from servicetsunami.records.database import Database

home, dies_in = Path(sys.argv[1]), int(sys.argv[2])
write, count = Database.write, 0

async def counted(self, work):
    global count
    count += 1

    def last_words(db):
        result = work(db)
        if count == dies_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return await write(self, last_words)

async def rotate():
    records = await open_records(f"sqlite:///{home}/records.db", open_vault(home, master_key=None))
    Database.write = counted
    await records.rotate_keys()
    await records.close()

asyncio.run(rotate())
"""


@dataclass(frozen=True)
class _Store:
    """Records with many secrets."""

    home: Path
    records: EmbeddedRecords
    secrets: dict[str, str]
    """One secret per connection id."""

    async def opened_by_a_fresh_process(self) -> dict[str, str]:
        """Open every secret with nothing but what is on the disk."""
        fresh = await _open(self.home)
        opened = {id_: (await fresh.reveal_secrets("acme", id_))["password"] for id_ in self.secrets}
        await fresh.close()
        return opened

    def keys_kept(self) -> int:
        """Count the keys in the key file."""
        return len((self.home / "master.key").read_text(encoding="utf-8").split())

    def keys_in_use(self) -> set[str]:
        """Tell which keys the stored envelopes are sealed under."""
        with closing(sqlite3.connect(self.home / "records.db")) as connection:
            return {Vault.key_id_of(sealed) for (sealed,) in connection.execute("SELECT sealed FROM secrets")}

    def execute(self, sql: str) -> None:
        """Change the database behind the program's back."""
        with closing(sqlite3.connect(self.home / "records.db")) as connection, connection:
            connection.execute(sql)


async def _open(home: Path, master_key: str | None = None) -> EmbeddedRecords:
    return await open_records(f"sqlite:///{home}/records.db", open_vault(home, master_key=master_key))


async def _connect(records: EmbeddedRecords, name: str, secret: str, tenant: str = "acme") -> str:
    created = await records.create_connection(
        tenant, name=name, connector="x", settings={"host": "db"}, secrets={"password": secret}, streams={}
    )
    return created.id


def _rotator(home: Path, *, dies_in: int = 0) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _ROTATOR, str(home), str(dies_in)])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[_Store]:
    records = await _open(tmp_path)
    await records.create_tenant("acme")
    secrets = {
        await _connect(records, f"shop {number}", f"secret {number}"): f"secret {number}" for number in range(_COUNT)
    }
    yield _Store(tmp_path, records, secrets)
    await records.close()


async def test_a_rotation_seals_every_secret_under_a_new_key_and_drops_the_old(store: _Store) -> None:
    before = store.keys_in_use()

    count = await store.records.rotate_keys()

    assert count == _COUNT
    assert len(store.keys_in_use()) == 1
    assert not store.keys_in_use() & before
    assert store.keys_kept() == 1
    assert await store.opened_by_a_fresh_process() == store.secrets


@pytest.mark.parametrize("step", range(1, _STEPS + 1))
async def test_a_rotation_killed_at_any_step_loses_nothing_and_is_completed_by_the_next(
    store: _Store, step: int
) -> None:
    killed = await asyncio.to_thread(_rotator(store.home, dies_in=step).wait, 60)

    after_the_kill = await store.opened_by_a_fresh_process()
    await store.records.rotate_keys()

    assert killed == -signal.SIGKILL
    assert after_the_kill == store.secrets
    assert await store.opened_by_a_fresh_process() == store.secrets
    assert (len(store.keys_in_use()), store.keys_kept()) == (1, 1)


async def test_a_killed_rotation_is_gone_on_with_under_the_key_it_made(store: _Store) -> None:
    await asyncio.to_thread(_rotator(store.home, dies_in=3).wait, 60)
    newest = (store.home / "master.key").read_text(encoding="utf-8").split()[0]

    count = await store.records.rotate_keys()

    assert 0 < count < _COUNT
    assert (store.home / "master.key").read_text(encoding="utf-8").split() == [newest]


async def test_the_records_stay_in_use_while_another_process_rotates_three_times(store: _Store) -> None:
    added: dict[str, str] = {}
    for turn in range(3):
        rotator = _rotator(store.home)
        while rotator.poll() is None:
            name = f"{turn}-{len(added)}"
            added[await _connect(store.records, name, name)] = name
            for connection_id, secret in list({**store.secrets, **added}.items())[-5:]:
                assert await store.records.reveal_secrets("acme", connection_id) == {"password": secret}
        assert rotator.returncode == 0

    store.secrets.update(added)

    assert added
    assert await store.opened_by_a_fresh_process() == store.secrets
    assert store.keys_kept() == 1
    assert len(store.keys_in_use()) == 1


async def test_keys_of_the_settings_rotate_to_the_first_of_them(tmp_path: Path) -> None:
    old = await _open(tmp_path, _OLD)
    await old.create_tenant("acme")
    connection_id = await _connect(old, "shop", "secret")
    await old.close()

    both = await _open(tmp_path, f"{_NEW},{_OLD}")
    counts = [await both.rotate_keys(), await both.rotate_keys()]
    await both.close()
    new = await _open(tmp_path, _NEW)
    revealed = await new.reveal_secrets("acme", connection_id)
    await new.close()

    assert counts == [1, 0]
    assert revealed == {"password": "secret"}
    assert not (tmp_path / "master.key").exists()


async def test_a_secret_that_does_not_open_stops_no_other_and_keeps_the_old_key(store: _Store) -> None:
    broken = next(iter(store.secrets))
    store.execute(f"UPDATE secrets SET sealed = zeroblob(120) WHERE connection_id = '{broken}'")

    with pytest.raises(PermanentError) as refused:
        await store.records.rotate_keys()

    del store.secrets[broken]
    assert refused.value.code == "secret_unreadable"
    assert broken in str(refused.value)
    assert store.keys_kept() == 2
    assert await store.opened_by_a_fresh_process() == store.secrets


@pytest.mark.parametrize(
    "tampering",
    [
        (
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE connection_id = '{b}')"
            " WHERE connection_id = '{a}' AND field = 'password'"
        ),
        (
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE field = 'token' AND connection_id = '{a}')"
            " WHERE connection_id = '{a}' AND field = 'password'"
        ),
        (
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE tenant = 'beta')"
            " WHERE connection_id = '{a}' AND field = 'password'"
        ),
        (
            "UPDATE secrets SET version = kept.version, sealed = kept.sealed FROM kept"
            " WHERE secrets.connection_id = '{a}' AND secrets.field = kept.field"
        ),
        "DELETE FROM secrets WHERE connection_id = '{a}' AND field = 'password'",
        "UPDATE connections SET secrets_version = 7 WHERE id = '{a}'",
    ],
    ids=["connection", "field", "tenant", "older secret", "missing", "version"],
)
async def test_a_secret_swapped_in_the_database_does_not_open(tmp_path: Path, tampering: str) -> None:
    records = await _open(tmp_path)
    ids = []
    for tenant, name in (("acme", "a"), ("acme", "b"), ("beta", "a")):
        await records.create_tenant(tenant)
        ids.append(await _connect(records, name, f"{tenant} {name}", tenant))
    store = _Store(tmp_path, records, {})
    store.execute("CREATE TABLE kept AS SELECT * FROM secrets WHERE connection_id = '" + ids[0] + "'")
    await records.replace_connection(
        "acme", ids[0], settings={}, secrets={"password": "new", "token": "other"}, streams={}
    )

    store.execute(tampering.format(a=ids[0], b=ids[1]))
    with pytest.raises(PermanentError) as refused:
        await records.reveal_secrets("acme", ids[0])
    other = await records.reveal_secrets("acme", ids[1])
    await records.close()

    assert refused.value.code == "secret_unreadable"
    assert other == {"password": "acme b"}


async def test_a_secret_lies_nowhere_in_the_open_in_any_form(tmp_path: Path) -> None:
    records = await _open(tmp_path)
    await records.create_tenant("acme")
    connection_id = await _connect(records, "shop", _CANARY)
    while_open = _scan(tmp_path)
    await records.replace_connection(
        "acme", connection_id, settings={"host": "seen"}, secrets={"password": _CANARY}, streams={}
    )
    await records.rotate_keys()
    await records.close()

    after_closing = _scan(tmp_path)

    assert "records.db" in after_closing
    assert {name: hits for name, hits in {**while_open, **after_closing}.items() if hits} == {}
    assert b"seen" in (tmp_path / "records.db").read_bytes()


def _scan(home: Path) -> dict[str, list[bytes]]:
    raw = _CANARY.encode()
    # A text in base64 looks different at each of three offsets; the middle is the same whatever stands around it.
    in_base64 = [base64.b64encode(b"x" * offset + raw)[4:-4] for offset in range(3)]
    forms = [raw, raw[:10], raw[-10:], raw.hex().encode(), raw.hex().upper().encode(), quote(_CANARY).encode()]
    forms += [*in_base64, raw.decode().encode("utf-16-le"), raw[::-1]]
    return {file.name: [form for form in forms if form in file.read_bytes()] for file in home.iterdir()}
