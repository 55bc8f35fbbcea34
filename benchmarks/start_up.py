"""What it costs to start: CPU seconds of `tsunami --help`, and of `tsunami serve` until `tools/list` is answered.

    uv run --all-packages --all-extras python benchmarks/start_up.py [--rounds 5]

The figure of `serve` holds the whole life of the process, its end included: it is a little more than what the client
waited for. Byte code is written by a first round that is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
_INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
_LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def main() -> None:
    """Print one JSON document with the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    report = {"help_cpu_seconds": _median(_help, rounds), "tools_list_cpu_seconds": _median(_list_tools, rounds)}
    print(json.dumps(report, indent=2))


def _median(work: Callable[[], None], rounds: int) -> float:
    work()
    return round(statistics.median(_cpu_seconds(work) for _ in range(rounds)), 2)


def _cpu_seconds(work: Callable[[], None]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def _help() -> None:
    subprocess.run([_tsunami(), "--help"], env=_environ(), check=True, stdout=subprocess.DEVNULL)


def _list_tools() -> None:
    with tempfile.TemporaryDirectory() as home:
        environ = {**_environ(), "TSUNAMI_HOME": home}
        server = subprocess.Popen([_tsunami(), "serve"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _ask(server, _INITIALIZE)
        _tell(server, _INITIALIZED)
        answer = _ask(server, _LIST)
        if "tools" not in answer.get("result", {}):
            raise RuntimeError("the server did not list its tools")
        server.communicate()


def _tell(server: subprocess.Popen[bytes], message: Mapping[str, object]) -> None:
    if server.stdin is None:
        raise RuntimeError("the server has no standard input")
    server.stdin.write(json.dumps(message).encode() + b"\n")
    server.stdin.flush()


def _ask(server: subprocess.Popen[bytes], message: Mapping[str, object]) -> dict[str, dict[str, object]]:
    _tell(server, message)
    if server.stdout is None:
        raise RuntimeError("the server has no standard output")
    while line := server.stdout.readline():
        answer: dict[str, dict[str, object]] = json.loads(line)
        if answer.get("id") == message["id"]:
            return answer
    raise RuntimeError("the server ended before it answered")


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _tsunami() -> str:
    return str(Path(sys.executable).with_name("tsunami"))


if __name__ == "__main__":
    main()
