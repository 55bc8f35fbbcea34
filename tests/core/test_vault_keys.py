"""Where the master key comes from, and which keys are refused."""

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.core import load_keyring

from servicetsunami.records import Vault, open_vault
from servicetsunami.records.vault import SecretName
from servicetsunami.sdk import ConfigError

_NAME = SecretName("acme", "conn_1", "password", 1)
_OLD = base64.b64encode(bytes(range(32))).decode()
_NEW = bytes(range(100, 140)).hex()


class _MemoryKeyring(KeyringBackend):
    """A keyring that lives as long as the test."""

    priority = 1.0

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


@pytest.fixture
def system_keyring() -> Iterator[_MemoryKeyring]:
    before, mine = keyring.get_keyring(), _MemoryKeyring()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


def _opens(vault: Vault, envelope: bytes) -> bool:
    return vault.open(_NAME, envelope) == "secret"


def _refusal(home: Path, *, master_key: str | None = None, use_keyring: bool = False) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        open_vault(home, master_key=master_key, use_keyring=use_keyring)
    return refused.value


def test_the_key_file_is_made_at_first_use_for_its_owner_only(tmp_path: Path) -> None:
    open_vault(tmp_path / "home", master_key=None)

    file = tmp_path / "home" / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["master.key"]


def test_the_key_file_opens_what_was_sealed_before_a_restart(tmp_path: Path) -> None:
    envelope = open_vault(tmp_path, master_key=None).seal(_NAME, "secret")

    again = open_vault(tmp_path, master_key=None)

    assert _opens(again, envelope)


def test_processes_that_race_for_the_first_key_all_get_the_same(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from servicetsunami.records import open_vault; sys.stdin.read();"
        "print(open_vault(Path(sys.argv[1]), master_key=None).key_id)"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]

    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    answers = {racer.communicate(timeout=60)[0] for racer in racers}

    assert len(answers) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    open_vault(tmp_path, master_key=None)
    (tmp_path / "master.key").chmod(mode)

    refusal = _refusal(tmp_path)

    assert refusal.code == "key_file_permissions"
    assert f"{mode:04o}" in str(refusal)
    assert "chmod 600" in str(refusal.fix)


def test_a_key_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.key").mkdir(mode=0o700)

    refusal = _refusal(tmp_path)

    assert refusal.code == "key_file_unreadable"
    assert refusal.why == "Is a directory"


def test_a_key_file_of_other_bytes_is_refused(tmp_path: Path) -> None:
    _write_key(tmp_path, b"\xff\xfe\x00")

    refusal = _refusal(tmp_path)

    assert refusal.code == "key_file_unreadable"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"not a key!\n", b"c2hvcnQ=\n"])
def test_a_key_file_without_a_whole_key_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = _write_key(tmp_path, content)

    refusal = _refusal(tmp_path)

    assert refusal.code == "key_invalid"
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("", "is empty"),
        (" , ", "is empty"),
        ("00" * 32, "is not random"),
        (base64.b64encode(bytes(64)).decode(), "is not random"),
        ("changeme" * 8, "is not random"),
        (bytes(range(31)).hex(), "has 31 bytes, fewer than 32"),
        (base64.b64encode(bytes(range(16))).decode(), "has 16 bytes, fewer than 32"),
        ("a password, not a key", "is neither hex nor base64"),
        (f"{_OLD},00", "has 1 bytes, fewer than 32"),
    ],
)
def test_a_master_key_that_protects_nothing_is_refused_and_not_repeated(tmp_path: Path, key: str, found: str) -> None:
    refusal = _refusal(tmp_path, master_key=key)

    assert refusal.code == "key_invalid"
    assert found in str(refusal)
    assert not key.strip(" ,") or key not in str(refusal.problem())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", [_OLD, _OLD.rstrip("="), bytes(range(32)).hex(), bytes(range(32)).hex().upper(), f" {_OLD}\n"]
)
def test_one_key_may_be_written_in_several_ways(tmp_path: Path, text: str) -> None:
    envelope = open_vault(tmp_path, master_key=_OLD).seal(_NAME, "secret")

    vault = open_vault(tmp_path, master_key=text)

    assert _opens(vault, envelope)


def test_of_several_keys_the_first_seals_and_all_open(tmp_path: Path) -> None:
    old, both = open_vault(tmp_path, master_key=_OLD), open_vault(tmp_path, master_key=f"{_NEW},{_OLD}")

    sealed_before, sealed_after = old.seal(_NAME, "secret"), both.seal(_NAME, "secret")

    assert _opens(both, sealed_before)
    assert _opens(open_vault(tmp_path, master_key=_NEW), sealed_after)


def test_a_key_from_the_settings_is_never_replaced_by_us(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, master_key=_OLD)

    with pytest.raises(ConfigError) as refused:
        vault.add_key()

    assert refused.value.code == "key_not_ours"


def test_an_added_key_seals_while_the_older_opens(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, master_key=None)
    before = vault.seal(_NAME, "secret")

    added = vault.add_key()

    assert vault.key_id == added
    assert Vault.key_id_of(vault.seal(_NAME, "secret")) == added
    assert _opens(open_vault(tmp_path, master_key=None), before)
    assert vault.is_rotating()


def test_an_open_vault_takes_over_the_key_another_process_added(tmp_path: Path) -> None:
    here, there = open_vault(tmp_path, master_key=None), open_vault(tmp_path, master_key=None)

    added = there.add_key()
    there.drop_old_keys()

    assert here.key_id == added
    assert _opens(here, there.seal(_NAME, "secret"))
    assert not here.is_rotating()


def test_a_key_file_that_is_removed_while_in_use_is_missed_and_not_made_anew(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, master_key=None)
    (tmp_path / "master.key").unlink()

    with pytest.raises(ConfigError) as refused:
        vault.seal(_NAME, "secret")

    assert refused.value.code == "key_file_unreadable"
    assert refused.value.why == "No such file or directory"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_hold_the_key_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file", encoding="utf-8")

    refusal = _refusal(tmp_path / "home")

    assert refusal.code == "key_file_unreadable"


def test_the_keyring_keeps_the_key_and_no_file_does(tmp_path: Path, system_keyring: _MemoryKeyring) -> None:
    envelope = open_vault(tmp_path, master_key=None, use_keyring=True).seal(_NAME, "secret")

    again = open_vault(tmp_path, master_key=None, use_keyring=True)

    assert _opens(again, envelope)
    assert len(system_keyring.entries) == 1
    assert not (tmp_path / "master.key").exists()


def test_keys_of_a_keyring_rotate_too(tmp_path: Path, system_keyring: _MemoryKeyring) -> None:
    vault = open_vault(tmp_path, master_key=None, use_keyring=True)
    first = vault.key_id

    added = vault.add_key()
    vault.drop_old_keys()

    assert added != first
    assert open_vault(tmp_path, master_key=None, use_keyring=True).key_id == added
    assert len(system_keyring.entries) == 1


def test_a_machine_without_a_keyring_is_told_so(tmp_path: Path, system_keyring: _MemoryKeyring) -> None:
    assert system_keyring.entries == {}
    keyring.set_keyring(load_keyring("keyring.backends.fail.Keyring"))

    refusal = _refusal(tmp_path, use_keyring=True)

    assert refusal.code == "keyring_unavailable"


def test_a_missing_keyring_package_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("keyring", "keyring.errors"):
        monkeypatch.setitem(sys.modules, name, None)

    refusal = _refusal(tmp_path, use_keyring=True)

    assert refusal.code == "keyring_missing"
    assert "pip install 'servicetsunami[keyring]'" in str(refusal.fix)


def _write_key(home: Path, content: bytes) -> Path:
    file = home / "master.key"
    file.touch(mode=0o600)
    file.write_bytes(content)
    assert os.access(file, os.R_OK)
    return file
