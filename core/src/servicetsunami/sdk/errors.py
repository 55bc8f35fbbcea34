"""What can go wrong, sorted by what to do about it.

    TsunamiError
    ├── ConfigError        somebody must change a setting; `field` names it
    ├── AuthError          the credentials were refused or have expired
    ├── PermissionDenied   the credentials are right, a right is missing
    ├── NotFound           the thing asked for is not there
    ├── DataError          these rows cannot be read or stored
    ├── PermanentError     trying again cannot help
    ├── TransientError     trying again can help, after `retry_after_seconds` if given
    │   └── RateLimited    the other side asked us to slow down
    └── Cancelled          somebody asked for it

`str(error)` and every field are shown to people and to models: never a secret, never a raw row.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """An error as every front shows it."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(description="Stable name of what went wrong; safe to match on.")
    message: str = Field(description="What was found and what it stops.")
    why: str | None = Field(None, description="The cause in the other side's words, without secrets.")
    fix: str | None = Field(None, description="What to do next.")
    field: str | None = Field(None, description="The setting at fault.")
    step: str | None = Field(None, description="The step that failed, where the work goes in steps.")
    did_you_mean: tuple[str, ...] = Field((), description="Names near to one that was not found.")
    retryable: bool = Field(False, description="Whether the same call may succeed later.")
    retry_after_seconds: float | None = Field(None, description="How long to wait before trying again.")


class TsunamiError(Exception):
    """Base of every error with a meaning; raise one of its children."""

    default_code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        field: str | None = None,
        step: str | None = None,
        did_you_mean: Iterable[str] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.why = why
        self.fix = fix
        self.field = field
        self.step = step
        self.did_you_mean = tuple(did_you_mean)
        self.retry_after_seconds = retry_after_seconds

    def problem(self) -> Problem:
        """Return the error as a value that every front can show."""
        return Problem(
            code=self.code,
            message=self.message,
            why=self.why,
            fix=self.fix,
            field=self.field,
            step=self.step,
            did_you_mean=self.did_you_mean,
            retryable=self.retryable,
            retry_after_seconds=self.retry_after_seconds,
        )


class ConfigError(TsunamiError):
    """Somebody must change a setting or an argument; `field` names it. Never retried."""

    default_code = "config"


class AuthError(TsunamiError):
    """The credentials were refused or have expired."""

    default_code = "auth"


class PermissionDenied(TsunamiError):
    """The credentials are right, but a right is missing."""

    default_code = "permission"


class NotFound(TsunamiError):
    """The connection, stream, table or run asked for is not there."""

    default_code = "not_found"


class DataError(TsunamiError):
    """These rows cannot be read or stored as they are."""

    default_code = "data"


class PermanentError(TsunamiError):
    """Trying again cannot help."""

    default_code = "permanent"


class TransientError(TsunamiError):
    """Trying again can help; the host retries from the last checkpoint."""

    default_code = "transient"
    retryable = True


class RateLimited(TransientError):
    """The other side asked us to slow down."""

    default_code = "rate_limited"


class Cancelled(TsunamiError):
    """Somebody asked for the work to stop."""

    default_code = "cancelled"


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """Return up to `most` known names that look like `name`, nearest first."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    return tuple(by_folded[hit] for hit in get_close_matches(name.casefold(), by_folded, n=most, cutoff=0.6))
