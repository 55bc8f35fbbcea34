"""The one way the command line shows an error: code, what, why, what to do, what may have been meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

    from servicetsunami.sdk import Problem


def problem_lines(problem: Problem) -> list[tuple[str, str]]:
    """Return an error as labelled lines, the first one labelled `error`."""
    lines = [
        ("error", f"{problem.code}: {problem.message}"),
        ("step", problem.step or ""),
        ("why", problem.why or ""),
        ("fix", problem.fix or ""),
        ("did you mean", ", ".join(problem.did_you_mean)),
    ]
    return [(label, text) for label, text in lines if text]


def usage_problem(error: typer.TyperException) -> Problem:
    """Return a fault in the command line itself, in our form."""
    from servicetsunami.sdk import Problem

    # Only some of typer's errors carry these; their classes are private to it.
    context: Any = getattr(error, "ctx", None)
    near: Any = getattr(error, "possibilities", None)
    return Problem(
        code="usage",
        message=(error.message if near else error.format_message()).rstrip("."),
        fix=f"{context.command_path if context else 'tsunami'} --help shows what can be said",
        did_you_mean=tuple(near or ()),
    )


def crash_problem(error: Exception) -> Problem:
    """Return a fault of ours by its type only: the text of an unexpected exception may hold rows or secrets."""
    from servicetsunami.sdk import Problem

    return Problem(
        code="internal",
        message=f"the command stopped because of a fault in the program ({type(error).__name__})",
        fix="run it again as `tsunami --debug ...` to see where, and report it",
    )
