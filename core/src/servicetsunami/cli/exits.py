"""Exit codes: stable, so that scripts may rely on them."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servicetsunami.operations.models import RunView
    from servicetsunami.sdk import Problem, TsunamiError


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """A wrong option, argument or setting: nothing was done."""
    PARTIAL = 3
    """Some of what was asked for was done."""
    CONNECTION = 4
    """The source could not be reached or refused the credentials."""
    NOT_FOUND = 5
    INTERRUPTED = 130


def code_of_error(error: TsunamiError) -> Exit:
    """Return the exit code of an error that ended a command."""
    from servicetsunami.sdk import AuthError, Cancelled, ConfigError, NotFound, PermissionDenied

    if error.step or isinstance(error, AuthError | PermissionDenied):
        return Exit.CONNECTION
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    if isinstance(error, Cancelled):
        return Exit.FAILED
    return Exit.USAGE if isinstance(error, ConfigError) else Exit.FAILED


def code_of_problem(problem: Problem | None) -> Exit:
    """Return the exit code of a problem that a run or a test ended with."""
    return Exit.CONNECTION if problem is not None and problem.step else Exit.FAILED


def code_of_runs(runs: Sequence[RunView], *, asked: int) -> Exit:
    """Return the exit code of the runs of one command that was asked for so many."""
    failed = [run for run in runs if run.status not in ("succeeded", "running", "queued")]
    if asked and not runs:
        return Exit.FAILED
    if failed and len(failed) == len(runs):
        return code_of_problem(failed[0].problem)
    return Exit.PARTIAL if failed or len(runs) < asked else Exit.OK
