"""What went wrong at the server, as an error that says what to do."""

from __future__ import annotations

import asyncpg

from servicetsunami.sdk import PermanentError, TransientError, TsunamiError


def explained(error: BaseException, *, reading: bool = False) -> TsunamiError:
    """Translate."""
    if isinstance(error, TsunamiError):
        return error
    if reading and isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)):
        return TransientError("the connection broke", code="source_interrupted")
    return PermanentError(str(error))


def stalled(seconds: float) -> TsunamiError:
    """Say that the server fell silent."""
    return TransientError(f"silent for {seconds}", code="source_interrupted")
