"""Streams of files: their schema, and their rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING

from servicetsunami.sdk import ConfigError, Context, DataError, Item, NotFound, PermissionDenied, Read, Stream, nearest
from servicetsunami_files.batches import Labeller
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.filesystem import files_of
from servicetsunami_files.formats import expand, records_of, schema_of
from servicetsunami_files.names import SOURCE_FILE, SOURCE_MODIFIED, SOURCE_ROW
from servicetsunami_files.places import FileSet, Place, find_sets
from servicetsunami_files.typed import widest

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLED_FILES = 20
_OF_FILES = (DataError, ConfigError, NotFound, PermissionDenied)


class Reader:
    """Reads the streams of one location."""

    def __init__(self, config: FilesConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._files = files_of(config, ctx)

    def close(self) -> None:
        """Close the connections to an object store."""
        close = getattr(self._files, "close", None)
        if close is not None:
            close()

    def check(self) -> None:
        """Read a row of a stream; raises the error of the first if none can be read."""
        failures = []
        for one in self._sets():
            try:
                next(self.read(Read(self._stream(one), limit=1)), None)
            except _OF_FILES as error:
                failures.append(error)
            else:
                return
        raise failures[0]

    def streams(self) -> Iterator[Stream]:
        """Yield each stream with its schema; one that cannot be read has none, and its description says why."""
        for one in self._sets():
            try:
                yield self._stream(one)
            except _OF_FILES as error:
                yield Stream(one.name, kind="file", description=f"Cannot be read: {error.message}")

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the rows of the files that changed at or after `read.since`."""
        one = self._find(read.stream.id)
        schema = read.stream.schema or self._schema(one)
        left = read.limit
        for place in sorted(one.places, key=lambda place: (place.changed_ns, place.name)):
            if read.since is not None and place.changed < read.since:
                continue
            for batch in self._rows(place, one, schema, read):
                kept = batch if left is None else batch.slice(0, left)
                yield kept
                left = None if left is None else left - kept.num_rows
                if left == 0:
                    return

    def _rows(self, place: Place, one: FileSet, schema: pa.Schema, read: Read) -> Iterator[pa.RecordBatch]:
        labeller = Labeller(place, read)
        for parsed in records_of(self._files, place, self._config, schema, one.sheet):
            yield from labeller.label(parsed)
            if self._ctx.cancelled():
                self._ctx.sleep(0)
        if labeller.bad:
            self._ctx.log.warning(
                "%s: %d records are no rows; they are kept in _rescued, with line and reason", place.name, labeller.bad
            )

    def _sets(self) -> Iterator[FileSet]:
        for one in find_sets(self._config, self._files):
            try:
                sets = list(expand(self._files, one, self._config))
            except _OF_FILES:
                sets = [one]  # whoever reads it is told why; the others are listed all the same
            yield from sets

    def _find(self, name: str) -> FileSet:
        sets = {one.name: one for one in self._sets()}
        if name not in sets:
            raise NotFound(
                f"there is no table '{name}' at this location",
                code="stream_not_found",
                fix="list the tables of the connection",
                did_you_mean=nearest(name, sets),
            )
        return sets[name]

    def _stream(self, one: FileSet) -> Stream:
        return Stream(
            one.name,
            schema=self._schema(one),
            key=(SOURCE_FILE, SOURCE_ROW),
            cursor=SOURCE_MODIFIED,
            size_bytes=sum(place.size_bytes for place in one.places),
            kind="sheet" if one.sheet else "file" if len(one.places) == 1 else "folder",
        )

    def _schema(self, one: FileSet) -> pa.Schema:
        import pyarrow as pa

        if one.sheet is None and one.places[0].format == "excel":
            list(expand(self._files, one, self._config))  # raises why its sheets could not be told
        places = sorted(one.places, key=lambda place: (place.changed_ns, place.name))[-_SAMPLED_FILES:]
        found = [schema_of(self._files, place, self._config, one.sheet) for place in places]
        columns = {field.name: field.type for field in reduce(_together, found)}
        for place in one.places:
            columns.update(dict.fromkeys(place.partitions, pa.string()))
        fields = [(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in columns.items()]
        return pa.schema([*(pa.field(*pair) for pair in fields), *_lineage()])


def _together(left: pa.Schema, right: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    kinds = {field.name: field.type for field in left}
    for field in right:
        kinds[field.name] = widest(kinds[field.name], field.type) if field.name in kinds else field.type
    return pa.schema(list(kinds.items()))


def _lineage() -> list[pa.Field]:
    import pyarrow as pa

    return [
        pa.field(SOURCE_FILE, pa.string(), nullable=False),
        pa.field(SOURCE_ROW, pa.int64(), nullable=False),
        pa.field(SOURCE_MODIFIED, pa.timestamp("us", "UTC"), nullable=False),
    ]
