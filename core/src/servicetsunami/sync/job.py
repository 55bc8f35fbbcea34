"""What a sync is to do, as a value that any process can execute, and what came of it."""

from __future__ import annotations

import threading
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from servicetsunami.sdk import Evolve, Json, Stream, TableName

SyncMode = Literal["full", "incremental", "changes"]


@dataclass(frozen=True)
class SyncJob:
    """One sync of one stream into one table."""

    run_id: str
    app: str
    """Identity of the stream in the sink's commits; the same for every run of it."""
    stream: Stream
    table: TableName
    mode: SyncMode
    _: KW_ONLY
    identity: str = ""
    """Which source this is; rows of another one say nothing of how far this one was read."""
    settings: Json = field(default_factory=dict)
    """The connection's settings of the stream: `lag`, `deletes`, and how its rows are shaped."""
    pepper: bytes = field(default=b"", repr=False)
    """The tenant's key for hashed columns."""
    recorded_seq: int | None = None
    """The last commit of the stream that the records know of; None if they know of none."""
    evolve: Evolve = "add"
    parallel: int = 2
    """How many splits are read at once."""
    attempts: int = 3
    """How often a split is tried before the run fails."""
    backoff_seconds: float = 1.0
    """Wait before the second attempt; doubled for each further one."""


@dataclass
class Progress:
    """Counters that the engine raises and anybody may read, from any thread."""

    rows_total: int | None = None
    rows_read: int = 0
    rows_written: int = 0
    rows_rescued: int = 0
    bytes_read: int = 0
    message: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, rows: int, rescued: int, size_bytes: int) -> None:
        """Count a batch that was read."""
        with self._lock:
            self.rows_read += rows
            self.rows_rescued += rescued
            self.bytes_read += size_bytes

    def restart(self) -> None:
        """Count from nothing: what was read so far is thrown away."""
        with self._lock:
            self.rows_read = self.rows_written = self.rows_rescued = self.bytes_read = 0

    def take_back(self, *, rows: int, rescued: int, size_bytes: int) -> None:
        """Forget rows of an attempt that is thrown away."""
        self.add(rows=-rows, rescued=-rescued, size_bytes=-size_bytes)


@dataclass(frozen=True)
class SyncOutcome:
    """What a sync left behind."""

    rows_written: int
    rows_rescued: int
    seq: int
    state: Json
    notes: tuple[str, ...] = ()
    details: Json = field(default_factory=dict)
    """What else is worth keeping with the run: `lag_bytes` of a feed, `drift` of the schema."""
