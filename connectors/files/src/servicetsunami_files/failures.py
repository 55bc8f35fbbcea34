"""What can be wrong with a file, in words that say what to do."""

from __future__ import annotations

from servicetsunami.sdk import ConfigError, DataError, TransientError


def refused(path: str, found: str, *, code: str, fix: str) -> DataError:
    """Return the error of a file whose rows cannot be read."""
    return DataError(f"'{path}' is not read: {found}", code=code, fix=fix)


def too_large(path: str, found: str, setting: str) -> ConfigError:
    """Return the error of a file that is larger than a limit."""
    return ConfigError(
        f"'{path}' is not read: {found}",
        code="file_too_large",
        field=setting,
        fix=f"check that the file is what it should be; if so, raise {setting}",
    )


def changed(path: str) -> TransientError:
    """Return the error of a file that was written to while it was read."""
    return TransientError(
        f"'{path}' changed while it was read, so what was read of it does not count",
        code="file_changed",
        fix="try again when nobody writes to it; write to another name and rename it at the end",
        retry_after_seconds=5,
    )
