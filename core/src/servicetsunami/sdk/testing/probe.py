"""What the contract suites do to a plugin: open it, read it, write to it, listen to what it says."""

from __future__ import annotations

import io
import json
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest

from servicetsunami.sdk import (
    Changes,
    Checkpoint,
    Json,
    Load,
    Read,
    Sink,
    Source,
    Stream,
    TableName,
    Watermark,
    secret_fields,
)
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sdk.testing.context import LocalContext

Row = dict[str, Any]

# The suites import this module first, so that a failed check of theirs shows the values it compared.
for _suite in ("source", "settled", "feed", "feedstates", "sink", "warehouse"):
    pytest.register_assert_rewrite(f"servicetsunami.sdk.testing.{_suite}")


@dataclass
class Reading:
    """What one read yielded: the rows, each checkpoint with the number of rows before it, and the watermarks."""

    rows: list[Row] = field(default_factory=list)
    checkpoints: list[tuple[int, Any]] = field(default_factory=list)
    watermarks: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class SourceProbe:
    """Opens and reads one connector under test."""

    connector: type[Source[Any]]
    settings: Mapping[str, Any]
    data_dir: Path
    bad_configs: Sequence[Mapping[str, Any]] = ()
    max_rows: int = 5_000

    @contextmanager
    def open(self, **changes: Any) -> Iterator[Source[Any]]:
        """Yield an instance of its own, with some settings changed; close it afterwards."""
        config = self.connector.config_type.model_validate({**self.settings, **changes})
        source = self.connector(config, self.context())
        try:
            yield source
        finally:
            source.close()

    def context(self) -> LocalContext:
        """Return what the host gives to an instance."""
        return LocalContext(data_dir=self.data_dir)

    def streams(self) -> list[Stream]:
        """Discover the streams."""
        with self.open() as source:
            return list(source.streams())

    def whole(self) -> Iterator[tuple[Stream, Reading]]:
        """Yield every stream that has at most `max_rows` rows, with all of them."""
        for stream in self.streams():
            reading = self.read(Read(stream))
            if len(reading.rows) <= self.max_rows:
                yield stream, reading

    def read(self, request: Read) -> Reading:
        """Read with an instance of its own; stops beyond `max_rows`."""
        reading = Reading()
        with self.open() as source:
            items = source.read(request)
            try:
                for item in items:
                    self._keep(item, request, reading)
                    if len(reading.rows) > self.max_rows:
                        break
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        return reading

    @staticmethod
    def _keep(item: Any, request: Read, reading: Reading) -> None:
        if isinstance(item, Checkpoint):
            reading.checkpoints.append((len(reading.rows), item.state))
        elif isinstance(item, Watermark):
            reading.watermarks.append(item.value)
        elif not isinstance(item, Changes):
            for batch in to_batches(item, _projected(request)):
                reading.rows += batch.to_pylist()

    def secrets(self, **changes: Any) -> list[str]:
        """Return the values of the secret settings."""
        settings = {**self.settings, **changes}
        return [str(settings[name]) for name in secret_fields(self.connector.config_type) if settings.get(name)]


@dataclass(frozen=True)
class SinkProbe:
    """Opens one sink under test and writes to it."""

    sink: type[Sink[Any]]
    settings: Mapping[str, Any]
    data_dir: Path

    @contextmanager
    def open(self, tenant: str = "default") -> Iterator[Sink[Any]]:
        """Yield an instance of its own for `tenant`; close it afterwards."""
        config = self.sink.config_type.model_validate(dict(self.settings))
        sink = self.sink(config, LocalContext(data_dir=self.data_dir / tenant, tenant=tenant))
        try:
            yield sink
        finally:
            sink.close()

    @staticmethod
    def load(table: TableName | None = None, **parts: Any) -> Load:
        """Describe a load into `table`, else into one of its own, with columns `id` and `name`."""
        table = table or TableName("bronze", f"contract_{uuid.uuid4().hex[:12]}")
        schema = parts.pop("schema", pa.schema([("id", pa.int64()), ("name", pa.string())]))
        return Load(table, schema, **{"app": "contract", **parts})

    @staticmethod
    def batch(load: Load, *rows: tuple[Any, ...]) -> pa.RecordBatch:
        """Make a batch of `load`'s schema."""
        return pa.RecordBatch.from_pylist(
            [dict(zip(load.schema.names, row, strict=True)) for row in rows], schema=load.schema
        )

    def write(
        self, sink: Sink[Any], load: Load, *rows: tuple[Any, ...], seq: int = 1, state: Json | None = None
    ) -> None:
        """Stage and commit rows in a transaction of their own."""
        transaction = sink.begin(load)
        transaction.stage(self.batch(load, *rows))
        transaction.commit(seq, state or {})
        transaction.abort()


class Caught:
    """Keeps the error of a `with` block, whatever it is, so that a check can look at it."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keep the error; an exit or an interrupt goes on."""
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


def failing_checks(suite: object, probe: object) -> set[str]:
    """Run every check of a contract suite on its own and name those that fail; for testing a suite with mutants."""
    return {name for name in dir(suite) if name.startswith("test_") and _fails(suite, name, probe)}


def _fails(suite: object, name: str, probe: object) -> bool:
    with Caught() as caught, suppress(pytest.skip.Exception):
        try:
            getattr(suite, name)(probe)
        except pytest.fail.Exception:  # what pytest.raises says; it is no Exception
            return True
    return caught.error is not None


@contextmanager
def overheard() -> Iterator[io.StringIO]:
    """Collect all that is logged or printed meanwhile."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    with ExitStack() as undo:
        undo.callback(root.setLevel, level)
        undo.callback(root.removeHandler, handler)
        undo.enter_context(redirect_stdout(heard))
        undo.enter_context(redirect_stderr(heard))
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        yield heard


def canonical(rows: Sequence[Row], *, without: Sequence[str] = ()) -> list[str]:
    """Return rows in a form that can be compared as sets: sorted, one text each."""
    kept = ({name: value for name, value in row.items() if name not in without} for row in rows)
    return sorted(json.dumps(row, default=repr, sort_keys=True) for row in kept)


def _projected(request: Read) -> pa.Schema | None:
    schema = request.stream.schema
    if schema is None or request.columns is None:
        return schema
    return pa.schema([field for field in schema if field.name in request.columns])
