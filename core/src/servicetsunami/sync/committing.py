"""Committing to a sink, and believing nothing but the sink about whether it happened.

An answer can be lost after the work is done, and a commit of a number that another writer took is dropped in silence.
So every commit carries the mark of its writer, and the sink is asked whose commit it has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from servicetsunami.sdk import Commit, Json, Load, Sink, TransientError, TsunamiError
from servicetsunami.sync.failpoints import reach


def commit_surely(
    sink: Sink[Any], load: Load, last: Commit, act: Callable[[int, Json], None], place: str = "commit"
) -> None:
    """Carry out `act(seq, state)`; raises `TransientError` (code `superseded`) if another writer came first."""
    reach(f"before_{place}")
    try:
        act(last.seq, last.state)
        reach(f"after_{place}")
    except Exception:  # a sink may fail in any way after it did the work; its own commits tell
        if not _answer_was_lost(sink, load, last):
            raise
        return
    reach("before_verify")
    if not is_last(sink, load, last):
        raise superseded(load)


def is_last(sink: Sink[Any], load: Load, last: Commit) -> bool:
    """Tell whether the load's last commit is `last`: the state names its writer, who may have tried before."""
    found = sink.committed(load)
    return found.seq == last.seq and found.state == json.loads(json.dumps(last.state))


def superseded(load: Load) -> TransientError:
    """Say that another writer committed to the table first."""
    return TransientError(
        f"another run wrote {load.table} meanwhile, so what this one read was not committed",
        code="superseded",
        fix="let the other run finish, then sync again; nothing is lost or doubled",
    )


def _answer_was_lost(sink: Sink[Any], load: Load, last: Commit) -> bool:
    with suppress(TsunamiError):  # the error of the commit is the one to tell
        return is_last(sink, load, last)
    return False
