"""Connectors that do what connectors must not, for the tests of worker processes; each mode is one way."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from servicetsunami.sdk import (
    AuthError,
    ChangeFeed,
    Changes,
    Checkpoint,
    Config,
    ConfigError,
    Item,
    Json,
    Queryable,
    QueryLimits,
    RateLimited,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    Watermark,
)

SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), ("name", pa.string())], metadata={"by": "odd"})


class OddConfig(Config):
    """What goes wrong, and when."""

    mode: str = "well"
    at: str = "read"
    rows: int = 3
    password: SecretStr = SecretStr("")


class CustomError(ConfigError):
    """An error of the connector's own class."""


class StrangeError(BaseException):
    """An error that `except Exception` does not catch."""


class Odd(Source[OddConfig]):
    """Gives rows, then does what `mode` says at the place `at` says."""

    name = "odd"

    def __init__(self, config: OddConfig, ctx: Any) -> None:
        super().__init__(config, ctx)
        self._misbehave("init")

    def check(self) -> None:
        """Do nothing, or misbehave."""
        self._misbehave("check")

    def streams(self) -> Iterable[Stream]:
        """Tell about this process in the stream's comment."""
        self._misbehave("streams")
        yield Stream("t", schema=SCHEMA, key=("id",), cursor="id", rows=self.config.rows, description=str(os.getpid()))

    def read(self, read: Read) -> Iterator[Item]:
        """Yield rows one by one with checkpoints, misbehaving after them."""
        try:
            for number in range(read.limit or self.config.rows):
                yield [{"id": number, "name": "x" * number}]
                yield Checkpoint({"next": number + 1, "big": 2**60, "text": "Zoë"})
            self._misbehave("read")
            yield Watermark(Decimal("12.50"))
        finally:
            (self.ctx.data_dir / "ended").touch()

    def close(self) -> None:
        """Leave a sign that it was called, or misbehave."""
        (self.ctx.data_dir / "closed").touch()
        self._misbehave("close")

    def _misbehave(self, at: str) -> None:
        if self.config.at == at and self.config.mode != "well":
            getattr(self, f"_{self.config.mode}")()

    def _hang(self) -> None:
        while True:
            signal.pause()

    def _spin(self) -> None:
        while True:
            pass

    def _only_log(self) -> None:
        while True:
            self.ctx.log.warning("still here")

    def _exit(self) -> None:
        sys.exit(0)

    def _leave_well(self) -> None:
        os._exit(0)

    def _leave_badly(self) -> None:
        os._exit(1)

    def _crash(self) -> None:
        ctypes.string_at(8)

    def _kill_itself(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _raise_strangely(self) -> None:
        raise StrangeError(self.config.password.get_secret_value())

    def _interrupt(self) -> None:
        raise KeyboardInterrupt

    def _fail(self) -> None:
        raise ValueError(self.config.password.get_secret_value())

    def _refuse(self) -> None:
        secret = self.config.password.get_secret_value()
        raise AuthError(f"no entry with {secret}", why=f"{secret} is old", fix="ask", field="password", step="login")

    def _refuse_in_own_words(self) -> None:
        raise CustomError("no", code="odd_no", did_you_mean=("yes", "maybe"))

    def _slow_down(self) -> None:
        raise RateLimited("slower", retry_after_seconds=1.5)

    def _eat(self) -> None:
        kept = [bytearray(64 << 20) for _ in range(64)]
        self.ctx.log.debug("ate %d", len(kept))

    def _eat_arrow(self) -> None:
        kept = [pa.allocate_buffer(64 << 20) for _ in range(64)]
        self.ctx.log.debug("ate %d", len(kept))

    def _close_files(self) -> None:
        os.closerange(3, 1024)

    def _write_garbage(self) -> None:
        for socket in _sockets():
            os.write(socket, b"hello, host\n" * 10)

    def _write_half_a_frame(self) -> None:
        for socket in _sockets():
            os.write(socket, b"\xf5T\x21\x02\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00{}")
        os._exit(0)

    def _write_no_arrow(self) -> None:
        self._channel().send(33, {}, [b"not arrow at all"])

    def _write_another_kind(self) -> None:
        self._channel().send(32, {})

    def _claim_too_much(self) -> None:
        for socket in _sockets():
            os.write(socket, b"\xf5T\x21\x02\x00\x00\x00\x00\x00\x00\x00\x00\xff\x00\x00{}")

    def _add_a_frame(self) -> None:
        self._channel().send(34 + 1, {"state": {}})

    def _end_too_early(self) -> None:
        self._channel().send(18, {"rows": self.config.rows, "frames": self.config.rows * 2, "digest": 0})

    def _print(self) -> None:
        sys.stdout.write("printed by Python")
        sys.stdout.flush()
        os.write(1, b"written to descriptor 1\n")

    def _channel(self) -> Any:
        return next(found for found in gc.get_objects() if type(found).__name__ == "Channel")


class Planned(Odd, Splittable):
    """Reads in parts, as long as the instance that planned them is open."""

    name = "planned"

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan as many parts as are asked for."""
        (self.ctx.data_dir / "snapshot").touch()
        return [Split(str(number), {"from": number, "stream": read.stream.id}, 1) for number in range(target)]

    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        """Plan each part again, from where it was to the stream's end, and one more."""
        again = [Split(split.id, {**split.params, "to": read.stream.id}, split.rows) for split in splits]
        return [*again, Split("since")]

    def read(self, read: Read) -> Iterator[Item]:
        """Yield one row that tells whether the plan is still held."""
        held = (self.ctx.data_dir / "snapshot").exists()
        yield [{"id": read.split.params["from"] if read.split else -1, "name": str(held)}]

    def close(self) -> None:
        """Let go of the snapshot, if this is the instance that took it."""
        if self.config.mode == "planner":
            (self.ctx.data_dir / "snapshot").unlink()

    def _planner(self) -> None:
        """Misbehave in no way."""


class Feeding(Odd, ChangeFeed, Queryable):
    """Has a log of changes, and answers SQL."""

    name = "feeding"
    dialect = "OddSQL"

    def position(self, streams: Sequence[Stream]) -> Json:
        """Name the streams and the connection."""
        return {"at": [stream.id for stream in streams], "for": self.ctx.connection}

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        """Yield one change of each form that rows have."""
        rows = [{"id": 1, "name": None, "_op": "d", "_seq": 7}]
        yield Changes(streams[0].id, rows)
        yield Changes(streams[0].id, pa.table({"id": [2], "what": ["u"], "_seq": [8], "same": [["name"]]}), "what")
        yield Checkpoint({"after": state, "acked": (self.ctx.data_dir / "acked").exists()})

    def ack(self, state: Json) -> None:
        """Note it down."""
        (self.ctx.data_dir / "acked").write_text(str(state), encoding="utf-8")

    def release(self, streams: Sequence[Stream]) -> None:
        """Note it down."""
        (self.ctx.data_dir / "released").write_text(streams[0].id, encoding="utf-8")

    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        """Count the streams."""
        return len(streams)

    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        """Answer with the question."""
        if "refused" in sql:
            raise ConfigError("no", code="sql_refused")
        batch = pa.record_batch({"sql": [sql], "rows": [limits.rows]})
        return pa.RecordBatchReader.from_batches(batch.schema, iter([batch] * 2))


class Nosy(Odd):
    """Tells what its process looks like from inside."""

    name = "nosy"

    def read(self, read: Read) -> Iterator[Item]:
        """Yield one row about the process."""
        self.ctx.log.warning("%s: the password is %s", read.stream.id, self.config.password.get_secret_value())
        sizes = (resource.RLIMIT_CORE, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE)
        yield [
            {
                "environment": sorted(os.environ),
                "core": resource.getrlimit(sizes[0])[0],
                "data": resource.getrlimit(sizes[1])[0],
                "files": resource.getrlimit(sizes[2])[0],
                "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
                "session": os.getsid(0) == os.getpid(),
                "tenant": self.ctx.tenant,
                "connection": self.ctx.connection,
            }
        ]


class Endless(Odd):
    """Gives rows until it is asked to stop, or in mode `deaf` for ever."""

    name = "endless"

    def read(self, read: Read) -> Iterator[Item]:
        """Yield batches of a megabyte."""
        count = read.limit or 131_072
        batch = pa.record_batch({"id": pa.array([0] * count), "name": pa.nulls(count, pa.string())}, schema=SCHEMA)
        while not self.ctx.cancelled():
            yield batch

    def _deaf(self) -> None:
        """Misbehave in no way here."""


def _sockets() -> list[int]:
    found = []
    for descriptor in range(3, 256):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                found.append(descriptor)
    return found


class LookingConfig(Config):
    """Which files to look for."""

    wanted: tuple[str, ...] = ()


class Looking(Source[LookingConfig]):
    """Tells which files it can see, and writes into its own folder."""

    name = "looking"

    def streams(self) -> Iterable[Stream]:
        """Yield the only stream."""
        yield Stream("t")

    def read(self, read: Read) -> Iterator[Item]:
        """Yield one row."""
        (self.ctx.data_dir / "written").write_text(read.stream.id, encoding="utf-8")
        processes = sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
        yield [{"seen": [path for path in self.config.wanted if Path(path).exists()], "processes": processes}]
