"""Durable files: what is published here survives a power cut, or was never there.

delta-rs never calls fsync, so every file and every folder that a commit depends on is synced here.
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from contextlib import suppress
from pathlib import Path

_DOOMED = ".gone"


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb+") as opened:
        os.fsync(opened.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if sys.platform == "win32":  # a folder cannot be opened there, and NTFS journals names itself
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, for the host's user only, each one durable."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)


def publish(path: Path, content: bytes) -> None:
    """Let a whole, synced file appear under a name that nobody has taken; raises `FileExistsError` if one has.

    The name is durable once the folder is synced, which is left to the caller: the file is there already then.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with draft.open("xb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        os.link(draft, path)
    finally:
        with suppress(OSError):  # the draft's name does no harm, and must not hide what happened to the file
            draft.unlink(missing_ok=True)


def link_into(source: Path, folder: Path) -> None:
    """Give a file a second name in another folder of the same disk; done twice, it does no harm."""
    target = folder / source.name
    if not target.exists():
        os.link(source, target)


def remove_folder(path: Path) -> None:
    """Remove a folder with all it holds; a folder that is not there is fine.

    It is renamed first, so that a crash in between leaves nothing that looks like a table.
    """
    doomed = path.with_name(f".{uuid.uuid4().hex}{_DOOMED}")
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)


def is_doomed(path: Path) -> bool:
    """Tell whether somebody began to remove the folder, and perhaps died at it."""
    return path.suffix == _DOOMED
