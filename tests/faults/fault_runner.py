"""The program behind `Launcher`: it has everything imported and forks one process for each command it is asked for.

    python fault_runner.py SOCKET

A request is one line of JSON on a connection of its own; the answer is the process id. Where the request holds the
process back, it starts with the next line. What a command wrote, and its exit code, lie in the folder it was given:
without an exit code it was killed. The file `armed` holds the fail points that it did not reach, and how often it would
have had to come by.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

_SUBREAPER = 36
_SAFE_BEFORE_A_FORK = (
    *("servicetsunami", "pyarrow", "duckdb", "deltalake", "arro3", "sqlalchemy", "alembic", "aiosqlite", "asyncpg"),
    *("pydantic", "typer", "cryptography", "pluggy", "platformdirs", "email", "tomllib", "zoneinfo"),
)
"""Packages whose import starts no thread and no event loop."""


def main() -> None:
    """Serve requests until the socket's other end is gone."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)  # what a killed command leaves behind becomes a child of this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children: the system clears them away
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            request = _request(connection)
            if "imports" in request:
                _import(request["imports"])
                connection.sendall(b"0\n")
            elif os.fork() == 0:
                listener.close()
                _become(request, connection)
            connection.close()


def _request(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("r", encoding="utf-8") as lines:
        request: dict[str, Any] = json.loads(lines.readline())
        return request


def _import(names: list[str]) -> None:
    for name in names:
        if name.partition(".")[0].startswith(_SAFE_BEFORE_A_FORK):
            with suppress(Exception):  # a module that only exists where it was made is not missed here
                importlib.import_module(name)


def _become(request: dict[str, Any], connection: socket.socket) -> None:
    """Be a process like one started from a terminal, execute the command and end."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connection.sendall(f"{os.getpid()}\n".encode())
    if request["held"]:
        connection.recv(1)
    connection.close()
    folder = Path(request["folder"])
    _redirect(folder)
    code = _command(request)
    (folder / "modules").write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")
    (folder / "armed").write_text(_armed(), encoding="utf-8")
    (folder / "code").write_text(str(code), encoding="utf-8")
    sys.exit(code)


def _redirect(folder: Path) -> None:
    for name, descriptor in (("nothing", 0), ("out", 1), ("err", 2)):
        target = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(target, descriptor)
        os.close(target)


def _command(request: dict[str, Any]) -> int:
    from servicetsunami.cli.running import run
    from servicetsunami.sync.failpoints import arm

    os.environ.update(request["environ"])
    for place, value in request["tuned"].items():
        module, _, name = place.partition(":")
        setattr(importlib.import_module(module), name, _value(value))
    arm(request["failpoint"])
    return run(request["arguments"])


def _value(told: Any) -> Any:
    return timedelta(**told) if isinstance(told, dict) else told


def _armed() -> str:
    from servicetsunami.sync import failpoints

    return json.dumps({name: armed.left for name, armed in failpoints._armed.items()})


if __name__ == "__main__":
    main()
