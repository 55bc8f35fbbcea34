"""A SQLite file and a real MariaDB, each with tables of a test's own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
import pytest

from servicetsunami.sdk.testing import LocalContext
from servicetsunami_sqlalchemy import SqlConfig, SqlSource

PASSWORD = "canary-päss#1"
MARIADBD = shutil.which("mariadbd") or "/usr/sbin/mariadbd"


@dataclass
class Sqlite:
    """A SQLite file in a folder that may be read."""

    path: Path
    ctx: LocalContext
    opened: list[SqlSource] = field(default_factory=list)

    def run(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def source(self, **settings: Any) -> SqlSource:
        source = SqlSource(SqlConfig.model_validate({**self.settings, **settings}), self.ctx)
        self.opened.append(source)
        return source

    @property
    def settings(self) -> dict[str, Any]:
        return {"dialect": "sqlite", "database": str(self.path)}


@pytest.fixture
def sqlite(tmp_path: Path) -> Sqlite:
    ctx = LocalContext(data_dir=tmp_path / "data", file_roots=(tmp_path / "files",))
    (tmp_path / "files").mkdir()
    found = Sqlite(tmp_path / "files" / "shop.db", ctx)
    found.run("create table seed (id integer primary key)")
    return found


class Server:
    """A MariaDB of its own, that speaks TLS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        _make(folder)
        self._process = self._start()
        self._await()

    def run(self, *statements: str, database: str | None = None) -> None:
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def connect(self, database: str | None = None) -> Any:
        return pymysql.connect(
            unix_socket=str(self.folder / "s"), user="root", database=database, charset="utf8mb4", connect_timeout=10
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            MARIADBD,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 's'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--ssl-cert={self.folder / 'cert.pem'}",
            f"--ssl-key={self.folder / 'key.pem'}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
            "--skip-log-bin",
            "--skip-name-resolve",
        ]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, user=_account())

    def _await(self) -> None:
        for _ in range(600):
            with suppress(OSError), closing(socket.socket(socket.AF_UNIX)) as probe:
                probe.connect(str(self.folder / "s"))
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text(encoding="utf-8", errors="replace"))


def _account() -> str | None:
    return "mysql" if os.getuid() == 0 else None


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def _make(folder: Path) -> None:
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    keys = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *keys]
    subprocess.run(request, check=True, capture_output=True)
    if _account():
        subprocess.run(["chown", "-R", "mysql", str(folder)], check=True)
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"]
    as_root = [*install, "--auth-root-authentication-method=normal"]
    subprocess.run(as_root, check=True, capture_output=True, user=_account())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="maria-"))  # short: the path of a socket has 107 bytes at most
    folder.chmod(0o755)
    made = Server(folder)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Maria:
    """A database of one test, with a user who may read it."""

    server: Server
    ctx: LocalContext
    name: str
    user: str
    opened: list[SqlSource] = field(default_factory=list)

    def run(self, *statements: str) -> None:
        self.server.run(*statements, database=self.name)

    def source(self, **settings: Any) -> SqlSource:
        source = SqlSource(SqlConfig.model_validate({**self.settings, **settings}), self.ctx)
        self.opened.append(source)
        return source

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "dialect": "mariadb",
            "host": "localhost",
            "port": self.server.port,
            "database": self.name,
            "user": self.user,
            "password": PASSWORD,
        }


@pytest.fixture
def maria(server: Server, tmp_path: Path) -> Iterator[Maria]:
    name = f"t{secrets.token_hex(5)}"
    server.run(
        f"create database {name} character set utf8mb4",
        f"create user {name}@'%' identified by '{PASSWORD}'",
        f"grant select on {name}.* to {name}@'%'",
    )
    yield Maria(server, LocalContext(data_dir=tmp_path / "data"), name, name)
    server.run(f"drop database {name}", f"drop user {name}@'%'")
