"""Calling the plugin and sending what it gives, whatever that is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import pyarrow as pa

from servicetsunami.sdk import (
    ChangeFeed,
    Changes,
    Checkpoint,
    Json,
    PermanentError,
    Queryable,
    Source,
    Splittable,
    Stream,
    TsunamiError,
    Warehouse,
    Watermark,
)
from servicetsunami.sdk.rows import to_batches
from servicetsunami.sync.crash import plugin_crashed
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.frames import Channel, ClosedError, Kind
from servicetsunami.sync.workers.opening import Means, Opened, open_plugin
from servicetsunami.sync.workers.tally import Tally
from servicetsunami.sync.workers.warehouse import small_batches

log = logging.getLogger(__name__)
Piece = tuple[Kind, Json, Sequence[Any], int]
"""One frame to send, and how many rows it holds."""


class Answering:
    """Answers one call at a time; an answer ends with a value, an error or a trailer."""

    def __init__(self, channel: Channel, stop: threading.Event, means: Means) -> None:
        self._channel = channel
        self._stop = stop
        self._means = means
        self._opened: Opened | None = None
        self._calls: dict[str, Callable[[Json], None]] = {
            "open": self._open,
            "close": self._close,
            "check": self._check,
            "streams": self._streams,
            "splits": self._splits,
            "replan": self._replan,
            "read": self._read,
            "query": self._query,
            "ask": self._ask,
            "position": self._position,
            "changes": self._changes,
            "ack": self._ack,
            "release": self._release,
            "lag_bytes": self._lag_bytes,
        }

    def answer(self, call: Json) -> None:
        """Carry out a call; whatever the plugin does, an answer is sent as long as the process lives."""
        try:
            self._calls[call["call"]](call["args"])
        except ClosedError:
            raise
        except TsunamiError as error:
            self._fail(error, crashed=False)
        except MemoryError:
            self._fail(_out_of_memory(), crashed=True)
        except BaseException as error:  # a plugin may raise anything, exits included, and that too must be told
            log.debug("the connector crashed", exc_info=True)
            self._fail(plugin_crashed(error), crashed=True)

    @property
    def _source(self) -> Source[Any]:
        if self._opened is None:
            raise PermanentError("no source is open in this worker", code="worker_misused")
        return cast("Source[Any]", self._opened.plugin)

    def _open(self, args: Json) -> None:
        self._opened = open_plugin(args, self._channel, self._stop, self._means)
        self._value(None)

    def _close(self, _args: Json) -> None:
        source, self._opened = self._source, None
        source.close()
        self._value(None)

    def _check(self, _args: Json) -> None:
        self._source.check()
        self._value(None)

    def _streams(self, _args: Json) -> None:
        streams = self._source.streams()
        self._send_all(((Kind.STREAM, wire.encode_stream(stream), (), 0) for stream in streams), streams)

    def _splits(self, args: Json) -> None:
        splits = _as(Splittable, self._source).splits(wire.decode_read(args["read"]), args["target"])
        self._value([wire.encode_split(split) for split in splits])

    def _replan(self, args: Json) -> None:
        splits = [wire.decode_split(fields) for fields in args["splits"]]
        replanned = _as(Splittable, self._source).replan(wire.decode_read(args["read"]), splits)
        self._value([wire.encode_split(split) for split in replanned])

    def _read(self, args: Json) -> None:
        read = wire.decode_read(args["read"])
        self._send_items(self._source.read(read), {read.stream.id: read.stream.schema}, read.stream.schema)

    def _query(self, args: Json) -> None:
        reader = _as(Queryable, self._source).query(args["sql"], wire.decode_limits(args["limits"]))
        with reader:
            self._send_all(_queried(reader.schema, reader))

    def _ask(self, args: Json) -> None:
        from servicetsunami.sdk.sql import guard_databricks

        query = guard_databricks(args["sql"], catalog=args["catalog"], layers=args["layers"])
        with _as(Warehouse, self._source).query(query, wire.decode_limits(args["limits"])) as reader:
            self._send_all(_queried(reader.schema, small_batches(reader)))

    def _position(self, args: Json) -> None:
        self._value(_as(ChangeFeed, self._source).position(_streams(args)))

    def _changes(self, args: Json) -> None:
        streams = _streams(args)
        schemas = {name: stream.schema for stream in streams for name in (stream.name, stream.id)}
        self._send_items(_as(ChangeFeed, self._source).changes(streams, args["state"]), schemas, None)

    def _ack(self, args: Json) -> None:
        _as(ChangeFeed, self._source).ack(args["state"])
        self._value(None)

    def _release(self, args: Json) -> None:
        _as(ChangeFeed, self._source).release(_streams(args))
        self._value(None)

    def _lag_bytes(self, args: Json) -> None:
        self._value(_as(ChangeFeed, self._source).lag_bytes(_streams(args)))

    def _send_items(self, items: Iterator[Any], schemas: dict[str, pa.Schema | None], schema: pa.Schema | None) -> None:
        self._send_all((piece for item in items for piece in _pieces(item, schemas, schema)), items)

    def _send_all(self, pieces: Iterator[Piece], plugins_own: object = None) -> None:
        tally = Tally()
        try:
            for kind, meta, body, rows in pieces:
                tally.add(rows, self._channel.send(kind, meta, body))
                if self._stop.is_set():
                    break
        finally:
            _close(plugins_own)
        # Only what the plugin has let go of is complete: its `finally` may fail too.
        self._channel.send(Kind.TRAILER, {**tally.trailer(), "stopped": self._stop.is_set()})

    def _value(self, value: Any) -> None:
        self._channel.send(Kind.VALUE, {"value": value})

    def _fail(self, error: TsunamiError, *, crashed: bool) -> None:
        told = wire.encode_error(error)
        if self._opened is not None:
            told = self._opened.redactor.value(told)
        self._channel.send(Kind.ERROR, {**told, "crashed": crashed})


def _close(items: object) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        close()


def _pieces(item: Any, schemas: dict[str, pa.Schema | None], schema: pa.Schema | None) -> Iterator[Piece]:
    if isinstance(item, Checkpoint):
        yield Kind.CHECKPOINT, {"state": item.state}, (), 0
    elif isinstance(item, Watermark):
        yield Kind.WATERMARK, {"value": wire.encode_value(item.value)}, (), 0
    elif isinstance(item, Changes):
        yield from _changed(item, schemas.get(item.stream))
    else:
        for batch in to_batches(item, schema):
            yield Kind.BATCH, {}, wire.encode_batch(batch), batch.num_rows


def _changed(changes: Changes, schema: pa.Schema | None) -> Iterator[Piece]:
    # Rows that are Arrow have their types; a schema would only add the columns that a deleted row does not bring.
    fit = schema if isinstance(changes.rows, list) else None
    meta = {"stream": changes.stream, "op": changes.op, "seq": changes.seq, "unchanged": changes.unchanged}
    for batch in to_batches(changes.rows, fit):
        yield Kind.CHANGES, meta, wire.encode_batch(batch), batch.num_rows


def _queried(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Piece]:
    yield Kind.SCHEMA, {}, wire.encode_schema(schema), 0
    for batch in batches:
        yield Kind.BATCH, {}, wire.encode_batch(batch), batch.num_rows


def _streams(args: Json) -> list[Stream]:
    return [wire.decode_stream(fields) for fields in args["streams"]]


def _as(mixin: Any, source: Source[Any]) -> Any:
    if isinstance(source, mixin):
        return source
    raise PermanentError(f"the connector '{source.name}' is no {mixin.__name__}", code="worker_misused")


def _out_of_memory() -> TsunamiError:
    return PermanentError(
        "the connector needed more memory than its worker may use, so the read is not complete",
        code="worker_memory",
        fix="raise the setting worker_memory_mb, or read fewer rows at a time",
    )
