"""The process that workers are forked from: it has imported what is slow to import, and nothing else happens in it.

It has one thread, holds no secret and no connection, and ends when the host closes its socket, however the host ends;
its workers end with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import struct
from contextlib import suppress

from servicetsunami.sync.workers import child, limits

REQUEST = struct.Struct("<cq")
ANSWER = struct.Struct("<q")
FORK, END, READY = b"F", b"E", 0
NOT_FORKED = -1
_workers: set[int] = set()
_PRELOADED = ("pyarrow.compute", "pyarrow.csv")


def main() -> None:
    """Fork a worker for every socket that is sent, and end those that are no longer needed."""
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _preload()
    control.send(ANSWER.pack(READY))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if len(message) != REQUEST.size:
            return
        operation, number = REQUEST.unpack(message)
        answer = _fork(control, descriptors[0]) if operation == FORK else _end(number)
        control.send(ANSWER.pack(answer))


def _preload() -> None:
    for module in _PRELOADED:
        importlib.import_module(module)
    # What is frozen is not looked at again by the collector, so that its pages stay shared.
    gc.collect()
    gc.freeze()


def _fork(control: socket.socket, descriptor: int) -> int:
    host = os.getpid()
    try:
        worker = os.fork()
    except OSError:  # no memory or no processes left; the workers that run go on
        worker = NOT_FORKED
    if worker:
        os.close(descriptor)
        _workers.add(worker)
        return worker
    try:
        os.setsid()
        limits.end_with(host)
        control.close()
        child.run(socket.socket(fileno=descriptor))
    finally:
        os._exit(70)


def _end(worker: int) -> int:
    """Kill a worker and all it started; return its wait status, which is its own if it had already ended.

    Its id is not given to another process before it is waited for, which happens here alone, and once.
    """
    if worker not in _workers:  # it was forked by a process before this one, and ended with it
        return signal.SIGKILL
    _workers.remove(worker)
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(worker, signal.SIGKILL)
    return os.waitpid(worker, 0)[1]
