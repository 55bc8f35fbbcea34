"""The outermost handler: whatever happens becomes an exit code and, if it is a fault, one shown error."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from servicetsunami.cli.application import tsunami
from servicetsunami.cli.exits import Exit
from servicetsunami.cli.options import Spoken

log = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    _accept_every_character()
    spoken = Spoken()
    try:
        return _call(arguments, spoken)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this the interpreter complains when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:  # the outermost handler
        log.debug("the command failed", exc_info=True)
        return _show(error, spoken)


def _call(arguments: Sequence[str], spoken: Spoken) -> int:
    command = typer.main.get_command(tsunami)
    code: Any = command.main(list(arguments), prog_name="tsunami", standalone_mode=False, obj=spoken)
    sys.stdout.flush()
    if code == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    return int(code or Exit.OK)


def _show(error: Exception, spoken: Spoken) -> int:
    from servicetsunami.cli.exits import code_of_error
    from servicetsunami.cli.problems import crash_problem, usage_problem
    from servicetsunami.cli.screen import Screen
    from servicetsunami.sdk import TsunamiError

    if spoken.debug:
        traceback.print_exception(error, file=sys.stderr)
    screen = Screen(sys.stdout, sys.stderr)
    if isinstance(error, TsunamiError):
        screen.problem(error.problem())
        return code_of_error(error)
    if isinstance(error, typer.TyperException):
        screen.problem(usage_problem(error))
        return Exit.USAGE
    screen.problem(crash_problem(error))
    return Exit.FAILED


def _accept_every_character() -> None:
    """Let a terminal of a narrow encoding show escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
