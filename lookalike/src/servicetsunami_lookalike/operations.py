"""Statements under way: each in a thread of its own, to be waited for, cancelled and read piece by piece."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import duckdb

from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.sql.session import Answer, Parameter, Session
from servicetsunami_lookalike.sql.statements import run

State = Literal["running", "finished", "failed", "cancelled", "timed_out"]


@dataclass
class Operation:
    """One statement of a session."""

    session: Session
    text: str
    parameters: Sequence[Parameter] = ()
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    state: State = "running"
    answer: Answer | None = None
    error: SqlError | None = None
    position: int = 0
    """Rows that were fetched."""
    compressed: bool = False
    by_link: bool = False
    most_rows: int | None = None

    def start(self, delay: float = 0.0) -> None:
        """Begin; `delay` makes it a slow one."""
        self._done = threading.Event()
        self._stop: State | None = None
        self._woken = threading.Event()
        self._cursor: duckdb.DuckDBPyConnection = self.session.catalogs.cursor()
        self._thread = threading.Thread(target=self._run, args=(delay,), name=f"statement {self.id}", daemon=True)
        self._thread.start()
        seconds = float(self.session.settings.get("statement_timeout", 0) or 0)
        if seconds:
            self._timer = threading.Timer(seconds, self.stop, ("timed_out",))
            self._timer.daemon = True
            self._timer.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; tell whether it has come."""
        return self._done.wait(seconds)

    def stop(self, why: State = "cancelled") -> None:
        """End the statement, unless it has ended."""
        self._stop = why
        self._woken.set()
        while not self._done.wait(0.02):
            self._cursor.interrupt()

    def _run(self, delay: float) -> None:
        try:
            if delay:
                self._woken.wait(delay)
            if self._stop is None:
                answer = run(self.session, self.text, self.parameters, self._cursor)
                self.answer = replace(answer, rows=answer.rows.slice(0, self.most_rows))
            self.state = self._stop or "finished"
        except SqlError as error:
            self.error = error
            self.state = self._stop or "failed"
        except Exception as error:  # noqa: BLE001  # a client must hear of it, whatever it is
            self.error = SqlError("INTERNAL_ERROR.LOOKALIKE", f"{type(error).__name__}: {error}"[:300])
            self.state = self._stop or "failed"
        finally:
            self._close()

    def _close(self) -> None:
        if self.state == "timed_out":
            text = "Operation timed out: the statement took longer than STATEMENT_TIMEOUT."
            self.error = SqlError("STATEMENT_TIMEOUT", text, "57KD0")
        timer = getattr(self, "_timer", None)
        if timer is not None:
            timer.cancel()
        self._done.set()
