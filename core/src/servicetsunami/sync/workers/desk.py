"""The host's side of dialling for a worker without a network: it resolves, judges, connects and relays.

The worker gets no socket of the host's network, for a connected one can be connected anew to somewhere else. It makes a
listening socket in its own network, which reaches nothing but itself, and hands that over; the host accepts there.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from servicetsunami.runtime.addresses import AddressPolicy
from servicetsunami.runtime.dialling import dial
from servicetsunami.sdk import Json, PermanentError, TsunamiError
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.relay import Relay

log = logging.getLogger(__name__)
LONGEST_MESSAGE = 64 << 10
_MOST_CONNECTIONS = 16
_MOST_ADDRESSES = 64
_LONGEST_SECONDS = 60.0


class Desk:
    """Answers one worker in a thread of its own, so that a dial waits for no read and a read for no dial."""

    def __init__(self, requests: socket.socket) -> None:
        """Take over the host's end of the socket that the worker asks through."""
        self._requests = requests
        self._policy: AddressPolicy | None = None
        self._lock = threading.Lock()
        self._relays: set[Relay] = set()
        self._listeners: OrderedDict[socket.socket, tuple[str, int]] = OrderedDict()
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        threading.Thread(target=self._run, name="dialling for a worker", daemon=True).start()

    def begin(self, policy: AddressPolicy) -> None:
        """Serve another source: its policy counts, and connections that the last one left open are cut."""
        self._policy = policy
        self._cut()

    def close(self) -> None:
        """End the thread and cut every connection; may be called again."""
        with suppress(OSError):
            self._requests.shutdown(socket.SHUT_RDWR)
        with self._lock:
            listeners = [*self._listeners]
        for listener in listeners:
            with suppress(OSError):  # wakes the thread, should the worker have made it wait there
                listener.shutdown(socket.SHUT_RDWR)
        self._cut()

    def _run(self) -> None:
        try:
            while self._serve():
                pass
        except OSError:
            log.debug("a worker asks for no more connections", exc_info=True)
        finally:
            self._selector.close()
            self._requests.close()
            for listener in self._listeners:
                listener.close()
            self._cut()

    def _serve(self) -> bool:
        """Do what is due; return False when the worker is gone."""
        for key, _ in self._selector.select():
            if not isinstance(key.fileobj, socket.socket):
                continue
            if key.fileobj is not self._requests:
                self._accept(key.fileobj)
            elif not self._answer():
                return False
        return True

    def _answer(self) -> bool:
        flags = socket.MSG_CMSG_CLOEXEC
        request, descriptors, _, _ = socket.recv_fds(self._requests, LONGEST_MESSAGE, 1, flags)
        if not request:
            return False
        try:
            answer = self._dial(json.loads(request), descriptors)
        except TsunamiError as error:
            answer = {"error": wire.encode_error(error)}
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            answer = {"error": wire.encode_error(_not_understood())}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._requests.send(json.dumps(answer).encode())
        return True

    def _dial(self, request: Json, descriptors: Sequence[int]) -> Json:
        if self._policy is None:
            raise _not_understood()
        seconds = min(max(float(request["timeout_seconds"]), 0.001), _LONGEST_SECONDS)
        address = dial(str(request["host"]), int(request["port"]), self._policy, timeout_seconds=seconds)
        listener = _socket(descriptors)
        with self._lock:
            self._listeners[listener] = (address.ip, address.port)
        self._selector.register(listener, selectors.EVENT_READ)
        if len(self._listeners) > _MOST_ADDRESSES:
            self._drop(next(iter(self._listeners)))
        return {}

    def _drop(self, listener: socket.socket) -> None:
        with self._lock:
            del self._listeners[listener]
        self._selector.unregister(listener)
        listener.close()

    def _accept(self, listener: socket.socket) -> None:
        if listener not in self._listeners:
            return
        try:
            inner, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            self._drop(listener)
            return
        relay = Relay(inner, self._listeners[listener])
        with self._lock:
            full = len(self._relays) >= _MOST_CONNECTIONS
            if not full:
                self._relays.add(relay)
        if full:
            log.debug("a worker has %d connections, so another one is refused", _MOST_CONNECTIONS)
            relay.refuse()
        else:
            threading.Thread(target=self._relay, args=(relay,), name="relay of a worker", daemon=True).start()

    def _relay(self, relay: Relay) -> None:
        try:
            relay.run()
        finally:
            with self._lock:
                self._relays.discard(relay)

    def _cut(self) -> None:
        with self._lock:
            relays = [*self._relays]
        for relay in relays:
            relay.cut()


def _socket(descriptors: Sequence[int]) -> socket.socket:
    if not descriptors or not stat.S_ISSOCK(os.fstat(descriptors[0]).st_mode):
        raise _not_understood()
    listener = socket.socket(fileno=os.dup(descriptors[0]))
    listener.setblocking(False)
    return listener


def _not_understood() -> TsunamiError:
    return PermanentError("the connector's process asked for a connection as it may not", code="worker_misused")
