"""Values of the plugin contract as JSON and Arrow, so that they come out on the other side as they went in."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from servicetsunami import sdk
from servicetsunami.sdk import Json, PermanentError, QueryLimits, Read, Split, Stream, TsunamiError
from servicetsunami.sync import cursor
from servicetsunami.sync.workers.frames import BadFrameError

_ERRORS: dict[str, type[TsunamiError]] = {
    cls.__name__: cls
    for cls in (
        sdk.ConfigError,
        sdk.AuthError,
        sdk.PermissionDenied,
        sdk.NotFound,
        sdk.DataError,
        sdk.PermanentError,
        sdk.TransientError,
        sdk.RateLimited,
        sdk.Cancelled,
    )
}


def encode_stream(stream: Stream) -> Json:
    """Write a stream; the schema in Arrow's own form."""
    fields = {name: getattr(stream, name) for name in Stream.__dataclass_fields__}
    schema = stream.schema
    return {**fields, "schema": None if schema is None else _text(schema.serialize())}


def decode_stream(fields: Json) -> Stream:
    """Read a stream back."""
    schema = fields["schema"]
    return Stream(
        **{
            **fields,
            "schema": None if schema is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema))),
            "key": tuple(fields["key"]),
            "cursor_candidates": tuple(fields["cursor_candidates"]),
        }
    )


def encode_split(split: Split) -> Json:
    """Write a split."""
    return asdict(split)


def decode_split(fields: Json) -> Split:
    """Read a split back."""
    return Split(**fields)


def encode_read(read: Read) -> Json:
    """Write a read."""
    fields = {name: getattr(read, name) for name in Read.__dataclass_fields__}
    return {
        **fields,
        "stream": encode_stream(read.stream),
        "since": encode_value(read.since),
        "split": None if read.split is None else encode_split(read.split),
    }


def decode_read(fields: Json) -> Read:
    """Read a read back."""
    split, columns = fields["split"], fields["columns"]
    return Read(
        **{
            **fields,
            "stream": decode_stream(fields["stream"]),
            "since": decode_value(fields["since"]),
            "split": None if split is None else decode_split(split),
            "columns": None if columns is None else tuple(columns),
        }
    )


def encode_limits(limits: QueryLimits) -> Json:
    """Write the limits of a query."""
    return asdict(limits)


def decode_limits(fields: Json) -> QueryLimits:
    """Read the limits of a query back."""
    return QueryLimits(**fields)


def encode_value(value: Any) -> Json | None:
    """Write the value of a cursor with its kind."""
    return None if value is None else cursor.encode("", value)


def decode_value(mark: Json | None) -> Any:
    """Read the value of a cursor back."""
    return None if mark is None else cursor.decode(mark, "")


def encode_error(error: TsunamiError) -> Json:
    """Write an error under the nearest class of the contract."""
    name = next((cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS), "PermanentError")
    return {"class": name, **error.problem().model_dump(mode="json", exclude={"retryable"})}


def decode_error(fields: Json) -> TsunamiError:
    """Read an error back."""
    told = {name: value for name, value in fields.items() if name not in ("class", "message", "crashed")}
    return _ERRORS.get(fields.get("class", ""), PermanentError)(fields["message"], **told)


def encode_batch(batch: pa.RecordBatch) -> Sequence[Any]:
    """Write a batch as a whole IPC stream, as buffers that are not copied: dictionaries and schema travel along."""
    parts: list[Any] = []
    with pa.ipc.new_stream(_Gathering(parts), batch.schema) as writer:
        writer.write_batch(batch)
    return parts


def decode_batch(body: Any) -> pa.RecordBatch:
    """Read a batch back, over the very memory it was received in; raises `BadFrameError`."""
    try:
        batch = pa.ipc.open_stream(pa.py_buffer(body)).read_next_batch()
        batch.validate()
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise BadFrameError("a batch that Arrow cannot read") from error
    return batch


def encode_schema(schema: pa.Schema) -> Sequence[Any]:
    """Write a schema as a body."""
    return [schema.serialize()]


def decode_schema(body: Any) -> pa.Schema:
    """Read a schema back; raises `BadFrameError`."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(body))
    except (pa.ArrowException, OSError) as error:
        raise BadFrameError("a schema that Arrow cannot read") from error


def _text(buffer: pa.Buffer) -> str:
    return base64.b64encode(buffer).decode("ascii")


class _Gathering:
    """A file that keeps what is written to it in pieces."""

    closed = False

    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts

    def write(self, data: Any) -> int:
        """Keep a piece; Arrow hands its own buffers over without a copy."""
        self._parts.append(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: everything is kept."""

    def close(self) -> None:
        """Do nothing: the pieces are sent afterwards."""
