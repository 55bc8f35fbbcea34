"""Turns what the disk, delta-rs, Arrow and DuckDB raise into errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from servicetsunami.sdk import ConfigError, DataError, PermanentError, PermissionDenied, TransientError, TsunamiError
from servicetsunami_sink_lakehouse.refusals import unsupported

_FULL = (errno.ENOSPC, errno.EDQUOT)
# The last is what DuckDB says when its temporary files would not leave a tenth of the disk free.
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")


@contextmanager
def on_disk(doing: str) -> Iterator[None]:
    """Raise a typed error for whatever goes wrong inside; `doing` completes the sentence "… failed".

    delta-rs panics as a `BaseException` that is no `Exception`, hence the wide net; what stops the interpreter
    passes through.
    """
    try:
        yield
    except (TsunamiError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise _typed(error, doing) from error


def _typed(error: BaseException, doing: str) -> TsunamiError:
    if getattr(error, "errno", None) in _FULL or any(text in str(error) for text in _FULL_TEXTS):
        return PermanentError(
            f"{doing} failed because the disk is full; nothing of it is visible",
            code="disk_full",
            fix="free space on the disk of the lakehouse folder, or point `path` at a larger one, and run it again",
        )
    if isinstance(error, PermissionError):
        return PermissionDenied(
            f"{doing} failed because the lakehouse folder does not let this user write",
            code="folder_not_writable",
            fix="give the user who runs the server the right to write there, or set `path` to another folder",
        )
    if isinstance(error, FileExistsError | NotADirectoryError):
        return ConfigError(
            f"{doing} failed because a file stands where a folder is needed",
            code="bad_path",
            field="path",
            fix="set `path` to a folder, or to a name that is free",
        )
    if isinstance(error, OSError):
        return TransientError(f"{doing} failed: {error.strerror or type(error).__name__}", code="disk_error")
    return PermanentError(f"{doing} failed inside the storage engine ({type(error).__name__})", code="storage_failed")


def query_failed(error: Exception) -> TsunamiError:
    """Turn what DuckDB says of a query into what Databricks would say, without any value of a row."""
    text = str(error)
    if "Unsupported: " in text:
        return unsupported(text.partition("Unsupported: ")[2].splitlines()[0], "write it in full, or clean it first")
    for mark, found in _QUERY.items():
        if mark in text:
            return DataError(found.message, code=found.code, fix=found.fix)
    if "Out of Memory" in text:
        return PermanentError(
            "the query needs more memory or temporary disk than a query may take",
            code="query_too_large",
            fix="read fewer rows with WHERE, select fewer columns, or aggregate before sorting",
        )
    kind = text.split(":", maxsplit=1)[0]
    return PermanentError(f"the query could not be answered ({kind})", code="query_failed", fix="simplify the query")


@dataclass(frozen=True)
class _Found:
    code: str
    message: str
    fix: str


_QUERY = {
    "Division by zero": _Found(
        "division_by_zero", "the query divides by zero", "use try_divide, which gives NULL, or nullif(divisor, 0)"
    ),
    "Index out of bounds": _Found(
        "index_out_of_bounds", "an index lies outside of its array", "check size(array) first; the first index is 0"
    ),
    "Overflow in": _Found(
        "arithmetic_overflow", "a number in the query outgrew its type", "cast to a wider type before calculating"
    ),
    "Type INT128 with value": _Found(
        "arithmetic_overflow", "a sum of whole numbers does not fit BIGINT", "cast to DECIMAL(38, 0) before adding up"
    ),
    "Conversion Error": _Found(
        "cast_failed",
        "a value in the query cannot be converted to the type asked for",
        "use try_cast, which gives NULL",
    ),
}
