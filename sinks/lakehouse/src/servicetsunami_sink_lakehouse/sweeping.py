"""Deletes files that no table holds any more, once nobody can still be reading or loading them.

A file's time of change is when it was staged or, once a commit removes it, when it was removed. Whatever is older than
the retention and not named by the table's newest version goes: parts of loads that died, files that were replaced.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

from servicetsunami_sink_lakehouse.disk import is_doomed, remove_folder
from servicetsunami_sink_lakehouse.snapshot import Snapshot

log = logging.getLogger(__name__)


def sweep_files(snapshot: Snapshot, *, older_than_seconds: float) -> None:
    """Delete the files of a table's folder that are old and not part of the table."""
    if not snapshot.folder.is_dir():
        return
    active = {file.name for file in snapshot.files}
    for file in (*snapshot.folder.glob("*.parquet"), *snapshot.folder.glob("_delta_log/.*.tmp")):
        if file.name not in active and _is_older(file, older_than_seconds):
            log.debug("deleting %s, which belongs to no table", file.name)
            file.unlink(missing_ok=True)


def sweep_folders(generations: Path, *, older_than_seconds: float) -> None:
    """Delete the generations of a table that nobody touched for so long, and what is left of those being deleted."""
    if not generations.is_dir():
        return
    for folder in generations.iterdir():
        contents = (folder, folder / "_delta_log", *folder.glob("*.parquet"))
        if is_doomed(folder) or all(_is_older(entry, older_than_seconds) for entry in contents):
            remove_folder(folder)


def mark_removed(files: Iterable[Path]) -> None:
    """Start the retention of files that a commit is about to remove."""
    for file in files:
        try:
            os.utime(file)
        except FileNotFoundError:
            continue


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:
        return path.suffix != ".parquet"
