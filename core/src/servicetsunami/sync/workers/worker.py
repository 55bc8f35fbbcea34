"""The host's side of one worker: calls, and what becomes of a worker that hangs, dies or sends what it must not."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import pyarrow as pa

from servicetsunami.runtime.redaction import Redactor
from servicetsunami.sdk import Cancelled, Json, PermanentError, TransientError, TsunamiError
from servicetsunami.sdk.oauth import TokenSource
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.desk import Desk
from servicetsunami.sync.workers.frames import BadFrameError, Channel, ClosedError, Frame, Kind
from servicetsunami.sync.workers.launching import Launched
from servicetsunami.sync.workers.limits import Limits
from servicetsunami.sync.workers.opening import Spec
from servicetsunami.sync.workers.tally import Tally
from servicetsunami.sync.workers.tokens import answer_token

_POLL_SECONDS = 0.1
_START_SECONDS = 60.0
_CANCELLED_SECONDS = 1.0
"""How long it may take to let go of work that somebody cancelled, who waits for it."""
_PLUGIN_LOGGER = "servicetsunami.plugin"


class Worker:
    """A worker process. Used by one thread at a time; after an error that it did not send itself it is ended."""

    def __init__(self, launched: Launched, limits: Limits, redactor: Redactor) -> None:
        launched.connection.settimeout(_POLL_SECONDS)
        self._channel = Channel(launched.connection, pa.allocate_buffer, largest_body=limits.memory_mb << 20)
        self._process = launched.process
        self._desk = None if launched.requests is None else Desk(launched.requests)
        self._limits = limits
        self._redactor = redactor
        self._cancel = threading.Event()
        self._tokens: TokenSource | None = None
        self._unfinished = False
        self._ending = threading.Lock()
        self._status = 0
        self._log = logging.getLogger(_PLUGIN_LOGGER)
        self.usable = True
        """Whether another source may be opened in it."""

    def await_start(self) -> None:
        """Wait until the process has started; that takes no time of the connector's."""
        self._cancel, self._unfinished = threading.Event(), True
        self._answer(max(self._limits.silence_seconds, _START_SECONDS))

    def open(self, spec: Spec, cancel: threading.Event) -> None:
        """Open a source; `cancel` ends its calls."""
        self._cancel, self._tokens = cancel, spec.tokens
        if self._desk is not None:
            self._desk.begin(spec.policy)
        self.ask("open", spec.encode(self._limits.memory_mb, self._log.getEffectiveLevel()))

    def ask(self, call: str, args: Json) -> Any:
        """Call and return the value."""
        self._begin(call, args)
        return self._answer(self._limits.silence_seconds)

    def items(self, call: str, args: Json, kinds: frozenset[Kind]) -> Generator[Frame, None, None]:
        """Call and yield the frames of the answer, which is complete when the iterator ends."""
        self._begin(call, args)
        tally = Tally()
        try:
            while (frame := self._next(self._limits.silence_seconds)).kind is not Kind.TRAILER:
                if frame.kind not in kinds:
                    raise self._bad(f"a frame of kind {frame.kind.name.lower()} in an answer that has none")
                yield self._counted(frame, tally)
            self._unfinished = False
            self._verify(frame.meta, tally)
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop the call that is not finished, if there is one; a worker that does not let go is ended."""
        if not self._unfinished:
            return
        self._unfinished = False
        deadline = time.monotonic() + self._grace_seconds
        try:
            self._channel.send(Kind.STOP, {})
            while (last := self._received(deadline)).kind not in (Kind.TRAILER, Kind.ERROR, Kind.VALUE):
                pass
            if last.meta.get("crashed"):
                self.end()
        except (ClosedError, BadFrameError, TimeoutError):
            self.end()

    def close_source(self) -> None:
        """Close the source; a plugin that fails or hangs at that costs its worker, not the work that is done."""
        if not self.usable:
            return
        self.stop()
        try:
            self._channel.send(Kind.CALL, {"call": "close", "args": {}})
            answer = self._received(time.monotonic() + self._grace_seconds)
        except (ClosedError, BadFrameError, TimeoutError):
            self.end()
        else:
            if answer.kind is not Kind.VALUE:
                self.end()

    def end(self) -> int:
        """Kill the process and close the socket; returns the wait status."""
        status = self.abandon()
        self._channel.close()
        return status

    def abandon(self) -> int:
        """Kill the process, from any thread: whoever waits for it learns that it died."""
        with self._ending:
            if self.usable:
                self.usable = False
                self._status = self._process.end()
                if self._desk is not None:
                    self._desk.close()
            return self._status

    @property
    def _grace_seconds(self) -> float:
        usual = self._limits.grace_seconds
        return min(usual, _CANCELLED_SECONDS) if self._cancel.is_set() else usual

    def _begin(self, call: str, args: Json) -> None:
        if not self.usable:
            raise _ended()
        if self._unfinished:
            raise PermanentError("the last call to this source is not finished", code="worker_misused")
        self._unfinished = True
        try:
            self._channel.send(Kind.CALL, {"call": call, "args": args})
        except (ClosedError, TimeoutError) as error:
            raise self._died() from error

    def _answer(self, seconds: float) -> Any:
        frame = self._next(seconds)
        self._unfinished = False
        if frame.kind is not Kind.VALUE or "value" not in frame.meta:
            raise self._bad("an answer of another kind than was asked for")
        return frame.meta["value"]

    def _next(self, seconds: float) -> Frame:
        """Return the next frame that is not an error; raises what ended the call."""
        try:
            frame = self._received(time.monotonic() + seconds, self._cancel)
        except TimeoutError as error:
            raise self._stalled() from error
        except ClosedError as error:
            raise self._died() from error
        except BadFrameError as error:
            raise self._bad(str(error)) from error
        if frame.kind is Kind.ERROR:
            raise self._told(frame.meta)
        return frame

    def _received(self, deadline: float, cancel: threading.Event | None = None) -> Frame:
        """Return the next frame that is not of the log: a plugin that only logs gives nothing."""

        def wait() -> None:
            if cancel is not None and cancel.is_set():
                self.stop()
                raise Cancelled("the work was cancelled")
            if time.monotonic() > deadline:
                raise TimeoutError("no frame in time")

        wait()
        while (frame := self._channel.receive(wait)).kind in (Kind.LOG, Kind.TOKEN):
            if frame.kind is Kind.LOG:
                self._forward(frame.meta)
            else:
                began = time.monotonic()
                self._channel.send(Kind.TOKEN, answer_token(frame.meta, self._tokens))
                deadline += time.monotonic() - began  # the host's time, not the plugin's
            wait()
        return frame

    def _counted(self, frame: Frame, tally: Tally) -> Frame:
        rows = 0
        if frame.kind in (Kind.BATCH, Kind.CHANGES):
            try:
                batch = wire.decode_batch(frame.body)
            except BadFrameError as error:
                raise self._bad(str(error)) from error
            frame, rows = Frame(frame.kind, frame.meta, batch, frame.checksum), batch.num_rows
        tally.add(rows, frame.checksum)
        return frame

    def _verify(self, trailer: Json, tally: Tally) -> None:
        if self._cancel.is_set() or trailer.get("stopped"):
            raise Cancelled("the work was cancelled")
        if {**trailer, "stopped": False} != {**tally.trailer(), "stopped": False}:
            self.end()
            raise PermanentError(
                "the connector's process gave other rows than it says it gave, so the read is not complete",
                code="worker_bad_trailer",
                fix="report this to the connector's maintainers: it writes where only the host may",
            )

    def _told(self, meta: Json) -> TsunamiError:
        self._unfinished = False
        try:
            error = wire.decode_error(self._redactor.value(meta))
        except (KeyError, TypeError):
            return self._bad("an error that says nothing")
        if meta.get("crashed"):
            self.end()
        return error

    def _forward(self, meta: Json) -> None:
        level = meta.get("level")
        if not isinstance(level, int) or not self._log.isEnabledFor(level):
            return
        name, message = str(meta.get("name", ""))[:200], str(meta.get("message", ""))
        record = logging.LogRecord(name, level, "worker", 0, message, None, None)
        self._redactor.filter(record)
        self._log.handle(record)

    def _stalled(self) -> TsunamiError:
        self._unfinished = False
        self.end()
        return TransientError(
            f"the source gave nothing for {self._limits.silence_seconds:g} seconds, so its read was ended",
            code="source_stalled",
            fix="it is tried again; where a source needs longer, raise the setting worker_silence_seconds",
        )

    def _died(self) -> TsunamiError:
        self._unfinished = False
        code = os.waitstatus_to_exitcode(self.end())
        if code < 0:
            return TransientError(
                f"the connector's process was ended by {_signal_name(-code)}, so the read is not complete",
                code="worker_died",
                fix="it is tried again; if it happens again, check this machine's memory and tell the maintainers",
            )
        return PermanentError(
            f"the connector ended its process with exit code {code} in the middle of its work, "
            "so the read is not complete",
            code="plugin_crashed",
            fix="report this to the connector's maintainers",
        )

    def _bad(self, found: str) -> TsunamiError:
        self._unfinished = False
        self.end()
        return PermanentError(
            f"the connector's process sent {found}, so the read is not complete",
            code="worker_bad_frame",
            fix="report this to the connector's maintainers: it writes where only the host may",
        )


def _ended() -> TsunamiError:
    return PermanentError("the process of this source has ended, so it cannot be asked", code="worker_ended")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
