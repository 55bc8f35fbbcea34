"""What is installed at this moment, as the folders that Python imports from tell it."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

Metadata = frozenset[tuple[str, int]]
"""The folders of metadata of all that is installed, and when each changed."""


def installed_metadata() -> Metadata:
    """Return what tells whether anything was installed or uninstalled; it reads folders, and no file."""
    return frozenset(one for folder in dict.fromkeys(sys.path) for one in _metadata_in(folder or "."))


def add_editable_folders() -> None:
    """Let Python import what was installed as editable since it started: Python itself looks for that only then.

    Code in .pth files is left alone: an install that needs it is there after the next start.
    """
    for folder in site.getsitepackages():
        for file in sorted(Path(folder).glob("*.pth")):
            sys.path += [path for path in _folders_named_in(file) if path not in sys.path]


def _metadata_in(folder: str) -> Iterator[tuple[str, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info")):
                yield entry.path, entry.stat().st_mtime_ns


def _folders_named_in(file: Path) -> Iterator[str]:
    with suppress(OSError):
        for line in map(str.strip, file.read_text(encoding="utf-8", errors="replace").splitlines()):
            folder = (file.parent / line).absolute()
            if line and not line.startswith(("#", "import ", "import\t")) and folder.is_dir():
                yield str(folder)
