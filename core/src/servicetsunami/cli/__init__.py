"""The command line front, `tsunami`: it parses, calls one operation and shows what came of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    from servicetsunami.cli.running import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
