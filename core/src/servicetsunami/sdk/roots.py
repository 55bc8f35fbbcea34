"""Folders whose files may be read, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from servicetsunami.sdk.context import FileEntry
from servicetsunami.sdk.errors import ConfigError
from servicetsunami.sdk.files import open_folder_in_root, open_in_root

MOST_FILES = 100_000


class FileRoots:
    """Opens and lists files below some folders, and nowhere else."""

    def __init__(self, roots: Sequence[Path] = ()) -> None:
        """`roots` are trusted: they may themselves be links of the operator's."""
        self.roots = tuple(roots)

    def open(self, path: str) -> BinaryIO:
        """Open a regular file; its path is absolute, or relative to the first root that has it."""
        root, relative = self._place(path)
        return open_in_root(root, relative)

    def list(self, path: str) -> Iterator[FileEntry]:
        """Yield the file at `path`, or everything below the folder there that is no folder, by path."""
        root, relative = self._place(path)
        folder = open_folder_in_root(root, relative)
        if folder is None:
            with open_in_root(root, relative) as file:
                yield _entry("", os.fstat(file.fileno()))
            return
        try:
            yield from _walk(folder)
        finally:
            os.close(folder)

    def _place(self, path: str) -> tuple[Path, str]:
        if not self.roots:
            raise _outside("no folder of this machine is open to connections")
        given = Path(path)
        if not given.is_absolute():
            held = (root for root in self.roots if (root / path).exists())
            return next(held, self.roots[0]), path or "."
        for root in self.roots:
            if given == root or given.is_relative_to(root):
                return root, path[len(str(root)) :].strip("/") or "."
        raise _outside("it lies in none of the folders that may be read")


def _walk(folder: int) -> Iterator[FileEntry]:
    count = 0
    for below, folders, names, inner in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
        folders.sort()
        links = [name for name in folders if stat.S_ISLNK(_stat(name, inner).st_mode)]
        for name in sorted([*names, *links]):
            count += 1
            if count > MOST_FILES:
                raise ConfigError(
                    f"the folder holds more than {MOST_FILES} files, so it is not listed",
                    code="too_many_files",
                    field="location",
                    fix="name a folder further down",
                )
            path = name if below == "." else f"{below.removeprefix('./')}/{name}"
            yield _entry(path, _stat(name, inner))


def _stat(name: str, folder: int) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _entry(path: str, found: os.stat_result) -> FileEntry:
    return FileEntry(path, found.st_size, max(found.st_ctime_ns, found.st_mtime_ns if os.name == "nt" else 0))


def _outside(found: str) -> ConfigError:
    return ConfigError(
        f"the path is not read: {found}",
        code="file_not_allowed",
        field="location",
        fix="name a file or folder below the working directory, or have the operator add its folder to the setting "
        "`file_roots`",
    )
