"""Opening files under a folder, and nowhere else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from servicetsunami.sdk.errors import ConfigError, NotFound, PermissionDenied, TsunamiError

_LINK_ON_THE_WAY = frozenset({errno.ELOOP, errno.ENOTDIR})


def open_in_root(root: Path, relative: str) -> BinaryIO:
    """Open the regular file `relative`, written with `/`, for reading; the caller closes it.

    Every component is opened from the one before it and none may be a link, so no exchange of a folder for a link
    between check and use leads out of `root`. A file with a second name is refused: that name may lie elsewhere.
    Raises `ConfigError` with code `file_not_allowed`, `NotFound` or `PermissionDenied`.
    """
    *parents, name = _parts(relative)
    try:
        descriptor = _descend(root, parents, name)
    except OSError as error:
        raise _failure(error) from None
    try:
        _check_regular(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def open_folder_in_root(root: Path, relative: str) -> int | None:
    """Open the folder `relative` and return its descriptor, None if a file is there; `.` is the root itself.

    Links are refused as for files. Raises `ConfigError`, `NotFound` or `PermissionDenied`.
    """
    try:
        if relative == ".":
            return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        *parents, name = _parts(relative)
        descriptor = _descend(root, parents, name)
    except OSError as error:
        raise _failure(error) from None
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _parts(relative: str) -> list[str]:
    parts = [part for part in relative.split("/") if part != "."]
    plain = bool(parts) and all(part and part != ".." and "\0" not in part and "\\" not in part for part in parts)
    if not plain or parts[0].startswith("~"):
        raise _not_allowed("the path is not a plain path below the folder: it is absolute, climbs or is malformed")
    return parts


def _descend(root: Path, parents: Sequence[str], name: str) -> int:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parents:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _check_regular(descriptor: int) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise _not_allowed("it is a folder, a device or a pipe, not a file")
    if found.st_nlink != 1:
        raise _not_allowed("the file has a second name, which may lie outside the folder")


def _failure(error: OSError) -> TsunamiError:
    if error.errno in _LINK_ON_THE_WAY:
        return _not_allowed("the path goes through a link or through something that is no folder")
    if error.errno == errno.EACCES:
        return PermissionDenied(
            "the file may not be read by the user this program runs as",
            code="file_not_readable",
            fix="let that user read the file and enter its folders",
        )
    if isinstance(error, FileNotFoundError):
        return NotFound("there is no such file", code="file_not_found", fix="check the path and the file's name")
    return _not_allowed("the system cannot open it")


def _not_allowed(found: str) -> ConfigError:
    return ConfigError(
        f"the file is not opened: {found}",
        code="file_not_allowed",
        field="path",
        fix="name a regular file by its path below a folder that may be read",
    )
