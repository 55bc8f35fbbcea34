"""Faults on demand: what a network or a busy workspace does to a client, done to the requests that a test names."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["unavailable", "throttled", "broken", "lost_request", "lost_answer", "slow", "expired"]
"""503, 429, 500; cut before it is carried out, or after; answered late; refused as if the token were over."""


@dataclass
class Fault:
    """One thing that goes wrong: with the requests whose label `match` finds, after `skip` of them, `times` times."""

    kind: Kind
    match: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    """How long a slow one takes, or what Retry-After says."""


@dataclass
class Faults:
    """The faults that wait, and the labels of all requests that came: `PUT /api/…`, `ExecuteStatement MERGE …`."""

    seen: list[str] = field(default_factory=list)
    _waiting: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Let nothing go wrong any more, and forget what was seen."""
        with self._lock:
            self._waiting.clear()
            self.seen.clear()

    def of(self, label: str) -> Fault | None:
        """Note a request; return the fault that hits it."""
        with self._lock:
            self.seen.append(label)
            for fault in self._waiting:
                if not re.search(fault.match, label):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
