"""The worker's side of dialling where it has no network of its own: the host connects, and relays to a local port."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

from servicetsunami.runtime.context import HostContext
from servicetsunami.sdk import Address, Json, TransientError
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.desk import LONGEST_MESSAGE

_LONGEST_HOST = 1000
"""Longer than any name; the host refuses it without repeating it."""


class Asking:
    """Asks the host for connections; threads may share it."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._lock = threading.Lock()

    def dial(self, host: str, port: int, timeout_seconds: float) -> Address:
        """Return an address of this worker's own network from which the host relays; raises what dialling raises."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            request = {"host": host[:_LONGEST_HOST], "port": port, "timeout_seconds": timeout_seconds}
            answer = self._ask(request, listener)
            if "error" in answer:
                raise wire.decode_error(answer["error"])
            return Address(host, "127.0.0.1", listener.getsockname()[1])

    def _ask(self, request: Json, listener: socket.socket) -> Json:
        with self._lock:
            try:
                socket.send_fds(self._requests, [json.dumps(request).encode()], [listener.fileno()])
                answer = self._requests.recv(LONGEST_MESSAGE)
            except OSError as error:
                raise _gone() from error
        if not answer:
            raise _gone()
        found: Json = json.loads(answer)
        return found


class RelayedContext(HostContext):
    """Host services where the host has to connect."""

    def __init__(self, asking: Asking, *given: Any) -> None:
        """`given` is what the context otherwise takes."""
        super().__init__(*given)
        self._asking = asking

    def dial(self, host: str, port: int, *, timeout_seconds: float = 10.0) -> Address:
        """Have the host resolve, judge and connect, and return where it relays from."""
        return self._asking.dial(host, port, timeout_seconds)


def _gone() -> TransientError:
    return TransientError("the host no longer makes connections for this source", code="worker_ended")
