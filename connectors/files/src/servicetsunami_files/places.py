"""Which files belong to which stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import unquote

from servicetsunami.sdk import ConfigError, FileEntry, nearest
from servicetsunami_files.config import FilesConfig, Format
from servicetsunami_files.filesystem import Files

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".zip": "zip"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTITION = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII)
NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Place:
    """One file: where it lies, and what its name says of it."""

    path: str
    """What `Context.open_file` takes."""
    name: str
    """Path below the location: the value of `_source_file`."""
    size_bytes: int
    changed_ns: int
    format: Format | None
    compression: str

    @property
    def changed(self) -> datetime:
        """When it last changed, to the microsecond, never too late."""
        return _EPOCH + timedelta(microseconds=self.changed_ns // 1000)

    @property
    def stem(self) -> str:
        """Name without folders and without the endings that say format and compression."""
        return endings(PurePosixPath(self.name).name)[0]

    @property
    def partitions(self) -> dict[str, str | None]:
        """Values that its folders name: `year=2024/a.csv` has year 2024."""
        found = (_PARTITION.fullmatch(part) for part in PurePosixPath(self.name).parts[:-1])
        values = {hit[1]: unquote(hit[2]) for hit in found if hit}
        return {name: None if value == NO_PARTITION else value for name, value in values.items()}


@dataclass(frozen=True)
class FileSet:
    """The files of one stream; for a workbook the sheet too."""

    name: str
    places: tuple[Place, ...]
    sheet: str | None = None
    kind: str = field(default="file", kw_only=True)


def find_sets(config: FilesConfig, files: Files) -> list[FileSet]:
    """Return the streams of a location in the order of their names; raises `ConfigError` where there are none."""
    places = list(_places(config, files))
    sets = _by_pattern(config, places) if config.streams else _by_likeness(config, places)
    if not sets:
        raise ConfigError(
            "there is no file to read at this location",
            code="no_files",
            field="location",
            why=f"{len(places)} files are there, and the ending of none tells a format" if places else None,
            fix="check the location; files of other endings need the setting format",
        )
    return sorted(sets, key=lambda one: one.name)


def _places(config: FilesConfig, files: Files) -> Iterator[Place]:
    base = config.location.rstrip("/") or "/"
    for entry in files.list_files(config.location):
        yield _place(config, base, entry)


def _place(config: FilesConfig, base: str, entry: FileEntry) -> Place:
    path = f"{base}/{entry.path}" if entry.path else base
    name = entry.path or PurePosixPath(base).name
    _, format_, compression = endings(name)
    return Place(
        path, name, entry.size_bytes, entry.changed_ns, config.format or format_, config.compression or compression
    )


def endings(name: str) -> tuple[str, Format | None, str]:
    """Take apart `orders.csv.gz`: return its stem, its format and its compression."""
    compression, path = "none", PurePosixPath(name)
    if path.suffix.lower() in COMPRESSIONS:
        compression, path = COMPRESSIONS[path.suffix.lower()], PurePosixPath(path.stem)
    format_ = FORMATS.get(path.suffix.lower())
    stem = path.stem if format_ else path.name
    return stem, format_ or ("csv" if compression == "zip" and not path.suffix else None), compression


def _hidden(place: Place) -> bool:
    return any(part.startswith((".", "_", "~$")) for part in PurePosixPath(place.name).parts)


def _by_pattern(config: FilesConfig, places: Sequence[Place]) -> list[FileSet]:
    sets = []
    for name, pattern in config.streams.items():
        shape = re.compile(_regex(pattern))
        found = tuple(place for place in places if shape.fullmatch(place.name) and not _hidden(place))
        if not found:
            raise ConfigError(
                f"no file matches the pattern of the table '{name}'",
                code="no_files",
                field="streams",
                fix="check the pattern: it is compared with paths below the location, case and all",
                did_you_mean=nearest(pattern, (place.name for place in places)),
            )
        unknown = next((place.name for place in found if place.format is None), None)
        if unknown is not None:
            raise ConfigError(
                f"the ending of '{unknown}' tells no format, so the table '{name}' is not read",
                code="unknown_format",
                field="format",
                fix="set format",
            )
        sets.append(FileSet(name, found))
    return sets


def _regex(pattern: str) -> str:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(parts.get(token, re.escape(token)) for token in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern))


def _by_likeness(config: FilesConfig, places: Sequence[Place]) -> list[FileSet]:
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        if place.format is not None and not _hidden(place):
            groups.setdefault((_group(config, place), place.format), []).append(place)
    names = [name for name, _ in groups]
    sets = []
    for (name, format_), found in groups.items():
        told = f"{name}_{format_}" if names.count(name) > 1 else name
        sets.append(FileSet(told, tuple(found)))
    return _distinct(sets)


def _group(config: FilesConfig, place: Place) -> str:
    first, *rest = PurePosixPath(place.name).parts
    if not rest:
        return place.stem
    return PurePosixPath(config.location).name or "files" if _PARTITION.fullmatch(first) else first


def _distinct(sets: Iterable[FileSet]) -> list[FileSet]:
    """Put numbers behind names that come twice, such as a folder and a file called alike."""
    taken: set[str] = set()
    result = []
    for one in sets:
        name, count = one.name, 1
        while name in taken:
            count += 1
            name = f"{one.name}_{count}"
        taken.add(name)
        result.append(replace(one, name=name))
    return result
