"""A source whose instance lives in a worker: the same methods, and nothing it does can hurt the host."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from typing import Any, cast

import pyarrow as pa

from servicetsunami.runtime.context import HostContext
from servicetsunami.sdk import (
    ChangeFeed,
    Changes,
    Checkpoint,
    Config,
    Item,
    Json,
    Queryable,
    QueryLimits,
    Read,
    Source,
    Split,
    Splittable,
    Stream,
    Watermark,
)
from servicetsunami.sync.workers import wire
from servicetsunami.sync.workers.frames import Frame, Kind
from servicetsunami.sync.workers.opening import Spec
from servicetsunami.sync.workers.pool import WorkerPool

_MIXINS: tuple[type, ...] = (Splittable, ChangeFeed, Queryable)
_ITEMS = frozenset({Kind.BATCH, Kind.CHANGES, Kind.CHECKPOINT, Kind.WATERMARK})


def open_in_worker(pool: WorkerPool, spec: Spec, config: Config, cancel: threading.Event) -> WorkerSource:
    """Open a source in a worker; it is an instance of the same mixins as the plugin's class."""
    return _class_for(spec.plugin)(pool, spec, config, cancel)


class WorkerSource(Source[Any]):
    """Passes every call on to the instance in the worker. Like any source, used by one thread at a time."""

    plugin_class: type[Source[Any]]
    name = "worker"

    def __init__(self, pool: WorkerPool, spec: Spec, config: Config, cancel: threading.Event) -> None:
        context = HostContext(
            spec.tenant, spec.plugin.name, spec.data_dir, spec.policy, cancel, pool.redactor, spec.connection
        )
        super().__init__(config, context)
        self._pool = pool
        self._spec = spec
        self._worker = pool.open(spec, cancel)

    def check(self) -> None:
        """Raise the error that explains why this cannot work."""
        self._worker.ask("check", {})

    def streams(self) -> Iterable[Stream]:
        """Yield every stream."""
        with closing(self._worker.items("streams", {}, frozenset({Kind.STREAM}))) as frames:
            for frame in frames:
                yield wire.decode_stream(frame.meta)

    def read(self, read: Read) -> Iterator[Item]:
        """Yield what the plugin's read yields, its rows as batches."""
        return self._items("read", {"read": wire.encode_read(read)})

    def splits(self, read: Read, target: int) -> Sequence[Split]:
        """Plan the parts; the instance that planned stays open in its worker until this source is closed."""
        args = {"read": wire.encode_read(read), "target": target}
        return tuple(wire.decode_split(fields) for fields in self._worker.ask("splits", args))

    def replan(self, read: Read, splits: Sequence[Split]) -> Sequence[Split]:
        """Make parts that an earlier instance planned readable again; this one then stays open for them."""
        args = {"read": wire.encode_read(read), "splits": [wire.encode_split(split) for split in splits]}
        return tuple(wire.decode_split(fields) for fields in self._worker.ask("replan", args))

    def query(self, sql: str, limits: QueryLimits) -> pa.RecordBatchReader:
        """Run one SELECT and stream its rows."""
        args = {"sql": sql, "limits": wire.encode_limits(limits)}
        frames = self._worker.items("query", args, frozenset({Kind.SCHEMA, Kind.BATCH}))
        schema = wire.decode_schema(next(frames).body)
        return pa.RecordBatchReader.from_batches(schema, (frame.body for frame in frames))

    def position(self, streams: Sequence[Stream]) -> Json:
        """Return the log's present position."""
        return cast("Json", self._worker.ask("position", _streams(streams)))

    def changes(self, streams: Sequence[Stream], state: Json) -> Iterator[Item]:
        """Yield the changes after `state`."""
        return self._items("changes", {**_streams(streams), "state": state})

    def ack(self, state: Json) -> None:
        """Tell the source that everything up to `state` is durable."""
        self._worker.ask("ack", {"state": state})

    def release(self, streams: Sequence[Stream]) -> None:
        """Remove what `position` made."""
        self._worker.ask("release", _streams(streams))

    def lag_bytes(self, streams: Sequence[Stream]) -> int | None:
        """Return how much of its log the source keeps."""
        return cast("int | None", self._worker.ask("lag_bytes", _streams(streams)))

    def close(self) -> None:
        """Close the instance and give its worker back."""
        self._worker.close_source()
        self._pool.give_back(self._spec, self._worker)

    def abandon(self) -> None:
        """End the process, from any thread: a call that waits for it fails."""
        self._worker.abandon()

    def _items(self, call: str, args: Json) -> Iterator[Item]:
        with closing(self._worker.items(call, args, _ITEMS)) as frames:
            for frame in frames:
                yield _item(frame)


@cache
def _class_for(plugin: type[Source[Any]]) -> type[WorkerSource]:
    mixins = tuple(mixin for mixin in _MIXINS if issubclass(plugin, mixin))
    told = {"plugin_class": plugin, "name": plugin.name, "title": plugin.title, "config_type": plugin.config_type}
    if issubclass(plugin, Queryable):
        told["dialect"] = plugin.dialect
    return cast("type[WorkerSource]", type("WorkerSource", (WorkerSource, *mixins), told))


def _item(frame: Frame) -> Item:
    if frame.kind is Kind.CHECKPOINT:
        return Checkpoint(frame.meta["state"])
    if frame.kind is Kind.WATERMARK:
        return Watermark(wire.decode_value(frame.meta["value"]))
    if frame.kind is Kind.CHANGES:
        return Changes(frame.meta["stream"], frame.body, frame.meta["op"], frame.meta["seq"], frame.meta["unchanged"])
    return cast("Item", frame.body)


def _streams(streams: Sequence[Stream]) -> Json:
    return {"streams": [wire.encode_stream(stream) for stream in streams]}
