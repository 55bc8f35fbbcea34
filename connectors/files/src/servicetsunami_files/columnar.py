"""Reading Parquet and Arrow files: their own types, a row group or a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from servicetsunami_files.batches import Parsed
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.failures import refused
from servicetsunami_files.filesystem import Files
from servicetsunami_files.names import distinct_names
from servicetsunami_files.opening import MIB, need_plain, open_raw
from servicetsunami_files.places import Place

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 65_536
_LARGEST_GROUP = 1024 * MIB
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def parquet_schema(files: Files, place: Place, config: FilesConfig) -> pa.Schema:
    """Return the columns of a Parquet file."""
    with _parquet(files, place, config) as file:
        return _plain_schema(file.schema_arrow)


def read_parquet(files: Files, place: Place, config: FilesConfig) -> Iterator[Parsed]:
    """Yield the rows of a Parquet file."""
    with _parquet(files, place, config) as file:
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).total_byte_size
            if size > _LARGEST_GROUP:
                found = f"its row group {group + 1} has {size // MIB} MiB, more than {_LARGEST_GROUP // MIB}"
                raise refused(place.name, found, code="file_too_large", fix="have it written in smaller row groups")
        with _typed_failures(place):
            yield from (Parsed([_plain(batch)]) for batch in file.iter_batches(_BATCH_ROWS))


def arrow_schema(files: Files, place: Place, config: FilesConfig) -> pa.Schema:
    """Return the columns of an Arrow file or stream."""
    with _arrow(files, place, config) as (schema, _):
        return _plain_schema(schema)


def read_arrow(files: Files, place: Place, config: FilesConfig) -> Iterator[Parsed]:
    """Yield the rows of an Arrow file or stream."""
    with _arrow(files, place, config) as (_, batches), _typed_failures(place):
        for batch in batches:
            batch.validate(full=True)
            yield Parsed([_plain(batch)])


@contextmanager
def _parquet(files: Files, place: Place, config: FilesConfig) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    need_plain(place)
    with open_raw(files, place, config) as file:
        with _typed_failures(place):
            opened = parquet.ParquetFile(pa.PythonFile(file, "r"))
        yield opened


@contextmanager
def _arrow(files: Files, place: Place, config: FilesConfig) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    import pyarrow as pa

    need_plain(place)
    with open_raw(files, place, config) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        with _typed_failures(place):
            if is_file:
                opened = pa.ipc.open_file(pa.PythonFile(file, "r"))
                batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
            else:
                _check_end(file, place)
                opened = batches = pa.ipc.open_stream(pa.PythonFile(file, "r"))
        yield opened.schema, iter(batches)


def _check_end(file: BinaryIO, place: Place) -> None:
    """Refuse a stream without its end mark, which Arrow would take for a whole one."""
    file.seek(-min(len(_END_OF_STREAM), place.size_bytes), os.SEEK_END)
    if file.read() != _END_OF_STREAM:
        raise refused(
            place.name, "it is no Arrow file, or its end is missing", code="bad_arrow", fix="have it written again"
        )
    file.seek(0)


@contextmanager
def _typed_failures(place: Place) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        raise refused(
            place.name,
            f"it is no {place.format} file, or a damaged one",
            code=f"bad_{place.format}",
            fix="have it written or sent again, or set format to what it is",
        ) from error


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    names = distinct_names(schema.names)
    return pa.schema([(name, _plain_type(kind)) for name, kind in zip(names, schema.types, strict=True)])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return kind.value_type
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    schema = _plain_schema(batch.schema)
    arrays = [_decoded(array, kind) for array, kind in zip(batch.columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _decoded(array: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):
        return array.storage
    if isinstance(array, pa.RunEndEncodedArray):
        return pc.run_end_decode(array)
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array.cast(kind)
