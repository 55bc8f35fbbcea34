"""Notes: a connector for a file of JSON lines."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from servicetsunami.sdk import Config, ConfigError, Item, Read, Source, Stream, hookimpl


class NotesConfig(Config):
    """Where the notes are."""

    path: str


class Notes(Source[NotesConfig]):
    """Notes in a file of JSON lines."""

    name = "notes"

    def streams(self) -> Iterator[Stream]:
        """Offer the notes as one table."""
        yield Stream("notes", key=("id",), cursor="edited")

    def read(self, read: Read) -> Iterator[Item]:
        """Yield the notes asked for, in pages."""
        if read.stream.name != "notes" or not (path := Path(self.config.path)).is_file():
            raise ConfigError(f"there is no '{read.stream.name}' in {self.config.path}", field="path", fix="check path")
        with path.open(encoding="utf-8") as lines:
            notes = (note for note in map(json.loads, lines) if read.since is None or note["edited"] >= read.since)
            rows = ({name: note.get(name) for name in read.columns or note} for note in islice(notes, read.limit))
            yield from iter(lambda: list(islice(rows, read.batch_rows)), [])


@hookimpl
def connectors() -> list[type[Notes]]:
    """Name what this package provides."""
    return [Notes]
