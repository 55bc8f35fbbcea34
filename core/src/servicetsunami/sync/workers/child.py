"""The worker's side: it opens one plugin instance after another and answers the calls that come over its socket."""

from __future__ import annotations

import argparse
import os
import socket
import threading
from queue import SimpleQueue

from servicetsunami.sync.workers import limits
from servicetsunami.sync.workers.answering import Answering
from servicetsunami.sync.workers.asking import Asking
from servicetsunami.sync.workers.frames import BadFrameError, Channel, ClosedError, Frame, Kind
from servicetsunami.sync.workers.opening import Means
from servicetsunami.sync.workers.tokens import AskedTokens


def run(connection: socket.socket, requests: socket.socket | None = None) -> None:
    """Answer calls until the host closes its end; ends the process. Without a network, `requests` gets connections."""
    limits.seal()
    limits.detach()
    stop, calls = threading.Event(), SimpleQueue[Frame]()
    channel = Channel(connection)
    tokens = AskedTokens(channel, stop)
    threading.Thread(target=_listen, args=(channel, stop, calls, tokens), name="calls", daemon=True).start()
    means = Means(tokens, None if requests is None else Asking(requests))
    answering = Answering(channel, stop, means)
    try:
        channel.send(Kind.VALUE, {"value": "ready"})
        while True:
            answering.answer(calls.get().meta)
    except ClosedError:
        os._exit(0)


def _listen(channel: Channel, stop: threading.Event, calls: SimpleQueue[Frame], tokens: AskedTokens) -> None:
    """Pass calls on, and hear a stop while one is answered. Without a host there is nothing left to do."""
    try:
        while True:
            frame = channel.receive()
            if frame.kind is Kind.STOP:
                stop.set()
            elif frame.kind is Kind.TOKEN:
                tokens.take(frame.meta)
            else:
                stop.clear()  # here, not when the call begins: a stop may follow right behind it
                calls.put(frame)
    except (ClosedError, BadFrameError):
        os._exit(0)


def main() -> None:
    """Be a worker that was started directly: its socket is what it finds as standard input."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--parent", type=int)
    arguments.add_argument("--asks", type=int)
    given = arguments.parse_args()
    if given.parent is not None:
        limits.end_with(given.parent)
    requests = None
    if given.asks is not None:
        requests = socket.socket(fileno=given.asks)
        requests.set_inheritable(False)
    run(socket.socket(fileno=os.dup(0)), requests)
