"""Where master keys are kept: the environment, the system's keyring, or a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from servicetsunami.records.keys import MasterKey, parse_keys
from servicetsunami.sdk import ConfigError

_SERVICE = "servicetsunami"


class KeyStore(Protocol):
    """Keeps master keys, the one that seals first."""

    writable: bool
    """Whether we make the keys; an operator does otherwise."""

    def prepare(self) -> None:
        """Make a key if there is none and we are who makes them; of processes that race, one makes it."""

    def load(self) -> list[MasterKey]:
        """Return the keys; raises `ConfigError` if they are missing or cannot be trusted."""

    def save(self, keys: Sequence[MasterKey]) -> None:
        """Replace the keys in one step."""

    def state(self) -> object:
        """Return a value that differs once another process may have changed the keys."""


class FixedKeys:
    """Keys that an operator handed over with the settings."""

    writable = False

    def __init__(self, text: str) -> None:
        self._keys = parse_keys(text.split(","), origin="the setting master_key")

    def prepare(self) -> None:
        """Do nothing: the operator made the keys."""

    def load(self) -> list[MasterKey]:
        """Return the keys of the setting."""
        return self._keys

    def save(self, keys: Sequence[MasterKey]) -> None:
        """Refuse: the setting is the operator's."""
        raise ConfigError(
            f"the master key comes from the settings, so {len(keys)} keys cannot be written there",
            code="key_not_ours",
            field="master_key",
            fix="put the new key before the present one, with a comma between, and rotate the keys",
        )

    def state(self) -> object:
        """Return the same value always: the setting does not change while the process lives."""
        return None


class KeyFile:
    """Keys in a file of mode 0600, one a line."""

    writable = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the file with one key in it, if there is none."""
        if not os.path.lexists(self._path):
            with self._readable():
                self._create()

    def load(self) -> list[MasterKey]:
        """Return the keys of the file; raises `ConfigError` if it is gone, is garbled or may be read by others."""
        with self._readable():
            self._check_permissions()
            lines = self._path.read_text(encoding="ascii").splitlines()
        return parse_keys(lines, origin=f"the file {self._path}")

    def save(self, keys: Sequence[MasterKey]) -> None:
        """Replace the file in one step, which survives a power cut."""
        self._write_aside(keys).replace(self._path)
        _sync_folder(self._path.parent)

    def state(self) -> object:
        """Return what changes whenever the file is replaced or removed."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _create(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = self._write_aside([MasterKey.new()])
        try:
            # Linking fails if the file exists by now: of two processes that race, one key wins, whole.
            os.link(written, self._path)
        except FileExistsError:
            return
        finally:
            written.unlink()
        _sync_folder(self._path.parent)

    def _write_aside(self, keys: Sequence[MasterKey]) -> Path:
        path = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{key.text}\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _check_permissions(self) -> None:
        # Windows has no such bits; a user's folder is closed to others there.
        mode = stat.S_IMODE(self._path.stat().st_mode)
        if os.name == "posix" and mode & 0o077:
            raise ConfigError(
                f"the key file {self._path} may be read by others (mode {mode:04o}), so it is not used",
                code="key_file_permissions",
                fix=f"chmod 600 '{self._path}'; if others may have read it, rotate the keys afterwards",
            )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the key file {self._path} cannot be read, so no secret can be sealed or opened",
                code="key_file_unreadable",
                why=error.strerror if isinstance(error, OSError) else "it holds bytes that no key has",
                fix="bring the file back from a backup; without it, move it away and store every secret anew",
            ) from None


class SystemKeyring:
    """Keys in the system's keyring, under the installation's folder as user name."""

    writable = True

    def __init__(self, home: Path) -> None:
        self._home = home
        self._user = str(home.resolve())

    def prepare(self) -> None:
        """Put one key into the keyring, if there is none."""
        with self._alone():
            if not self._get():
                self._set(MasterKey.new().text)

    def load(self) -> list[MasterKey]:
        """Return the keys of the keyring."""
        return parse_keys((self._get() or "").split(","), origin="the system's keyring")

    def save(self, keys: Sequence[MasterKey]) -> None:
        """Replace the keyring's entry."""
        self._set(",".join(key.text for key in keys))

    def state(self) -> object:
        """Return the entry's own value: a keyring tells nothing else about a change."""
        return self._get()

    def _get(self) -> str | None:
        with _keyring_faults():
            import keyring

            return keyring.get_password(_SERVICE, self._user)

    def _set(self, text: str) -> None:
        with _keyring_faults():
            import keyring

            keyring.set_password(_SERVICE, self._user, text)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep two processes from making a key each."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._home / "keyring.lock").open("w", encoding="ascii") as file:
            if os.name == "posix":
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def _keyring_faults() -> Iterator[None]:
    try:
        from keyring.errors import KeyringError
    except ImportError:
        raise ConfigError(
            "the master key shall come from the system's keyring, but the package for it is not installed",
            code="keyring_missing",
            field="use_keyring",
            fix="pip install 'servicetsunami[keyring]', or switch the setting use_keyring off",
        ) from None
    try:
        yield
    except KeyringError as error:
        raise ConfigError(
            "the system's keyring did not answer, so no secret can be sealed or opened",
            code="keyring_unavailable",
            field="use_keyring",
            why=type(error).__name__,
            fix="unlock the keyring, or switch the setting use_keyring off to keep the key in a file",
        ) from None


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is on the disk; Windows cannot open folders.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
