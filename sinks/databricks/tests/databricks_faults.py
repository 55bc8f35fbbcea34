"""Commits of every mode, each met by a fault at each of its requests, and what is left afterwards.

    python sinks/databricks/tests/databricks_faults.py [--every N] [--start N]

Without options it tries every request, and prints the table that reports/databricks-faults.md holds.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import Commit, Load, QueryLimits, TableName, TsunamiError
from servicetsunami.sdk.sql import guard_databricks
from servicetsunami.sdk.testing import LocalContext
from servicetsunami_lookalike import Fault, Lookalike
from servicetsunami_sink_databricks import DatabricksConfig, DatabricksSink
from servicetsunami_sink_databricks.stage import Stage
from servicetsunami_sink_databricks.statements import Statements

LAYERS = ("bronze", "silver", "gold")
FAULTS = ("answer lost", "error 500", "process dies before", "process dies after")
MODES = ("append", "merge", "apply", "replace")
_OP = pa.schema([("id", pa.int64()), ("name", pa.string()), ("_op", pa.string())])
_PLAIN = pa.schema([("id", pa.int64()), ("name", pa.string())])
_FIRST = [(1, "one"), (2, "two")]
_SECOND: dict[str, list[tuple[Any, ...]]] = {
    "append": [(3, "three")],
    "merge": [(2, "changed"), (3, "three")],
    "apply": [(1, None, "d"), (2, "changed", "u"), (3, "three", "c")],
    "replace": [(9, "nine")],
}
EXPECTED = {
    "append": [(1, "one"), (2, "two"), (3, "three")],
    "merge": [(1, "one"), (2, "changed"), (3, "three")],
    "apply": [(2, "changed"), (3, "three")],
    "replace": [(9, "nine")],
}


class Died(BaseException):
    """Stands for the end of the process: nothing after it is done."""


@dataclass
class Trial:
    """One table, loaded once, about to be loaded again."""

    server: Lookalike
    folder: Path
    mode: str
    table: TableName

    @contextmanager
    def sink(self) -> Iterator[DatabricksSink]:
        """Open the sink as a process of its own would."""
        config = DatabricksConfig.model_validate(
            {"host": self.server.host, "token": self.server.token, "warehouse_id": "w", "retry_seconds": 5}
        )
        sink = DatabricksSink(config, LocalContext(data_dir=self.folder, tenant="faults"))
        try:
            yield sink
        finally:
            with suppress(Exception):
                sink.close()

    def load(self, **parts: Any) -> Load:
        """Describe the second load."""
        described: dict[str, Any] = {"app": "matrix", "key": ("id",), **parts}
        if self.mode == "replace":
            return Load(self.table, _PLAIN, **{**described, "generation": "g1"})
        kind: Any = self.mode
        return Load(self.table, _OP if self.mode == "apply" else _PLAIN, mode=kind, **described)

    def prepare(self) -> None:
        """Load the first rows."""
        with self.sink() as sink:
            transaction = sink.begin(Load(self.table, _PLAIN, app="matrix"))
            transaction.stage(_batch(_PLAIN, _FIRST))
            transaction.commit(1, {"at": 1})
            transaction.abort()

    def go_on(self) -> None:
        """Do what a host does with a table: believe the sink, and load what it has not."""
        with self.sink() as sink:
            load = self.load()
            done = Load(self.table, load.schema, app="matrix")
            if sink.committed(done).seq >= 2:
                return
            rows = _batch(load.schema, _SECOND[self.mode])
            if self.mode == "replace":
                sink.discard(self.table, "g1")
            transaction = sink.begin(load)
            transaction.stage(rows)
            transaction.commit(1 if self.mode == "replace" else 2, {"at": 2})
            if self.mode == "replace":
                sink.replace(load, 2, {"at": 2})
            transaction.abort()

    def left(self) -> tuple[list[tuple[Any, ...]], Commit, list[str]]:
        """Return the table's rows, its last commit, and what lies in the stage."""
        with self.sink() as sink:
            query = guard_databricks(f"select id, name from {self.table}", catalog=sink.catalog(), layers=LAYERS)
            rows = sink.query(query, QueryLimits(100)).read_all().to_pylist()
            last = sink.committed(Load(self.table, _PLAIN, app="matrix"))
            sink.begin(Load(self.table, _PLAIN, app="matrix")).abort()  # the next load clears what is done away
        stage = self.server.workspace.folder / "volumes" / "tenant_faults" / "bronze" / "_stage" / str(self.table)
        files = sorted(file.name for file in stage.rglob("*") if file.is_file())
        return sorted((row["id"], row["name"]) for row in rows), last, files


def requests_of(trial: Trial) -> list[str]:
    """Go on without a fault; return the labels of the requests it took."""
    trial.prepare()
    trial.server.faults.clear()
    trial.go_on()
    return list(trial.server.faults.seen)


def meet(trial: Trial, fault: str, at: int) -> str:
    """Load again, with a fault at request or call `at`, then once more, as the next run would; tell what came of it."""
    trial.prepare()
    trial.server.faults.clear()
    outcome = "went on"
    try:
        with _fault(trial.server, fault, at):
            trial.go_on()
    except TsunamiError as error:
        outcome = error.code
    except Died:
        outcome = "died"
    trial.server.faults.clear()
    trial.go_on()
    return outcome


@contextmanager
def _fault(server: Lookalike, fault: str, at: int) -> Iterator[None]:
    if fault == "answer lost":
        server.faults.add(Fault("lost_answer", skip=at))
        yield
    elif fault == "error 500":
        server.faults.add(Fault("broken", skip=at))
        yield
    else:
        with _death(at, before=fault.endswith("before")):
            yield


@contextmanager
def _death(at: int, *, before: bool) -> Iterator[None]:
    """Let the process die at the call `at` of all that reach the workspace, before it or after."""
    calls = iter(range(10**6))
    kept: list[tuple[type, str, Callable[..., Any]]] = []

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            number = next(calls)
            if number > at or (before and number == at):
                raise Died
            found = call(*args, **options)
            if number == at:
                raise Died
            return found

        return run

    reaching: tuple[tuple[type, tuple[str, ...]], ...] = (
        (Statements, ("rows", "run")),
        (Stage, ("upload", "names", "remove")),
    )
    for owner, names in reaching:
        for name in names:
            kept.append((owner, name, getattr(owner, name)))
            setattr(owner, name, dying(getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, call in kept:
            setattr(owner, name, call)


def _batch(schema: pa.Schema, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def tables() -> Iterator[TableName]:
    """Yield names that no trial has had."""
    number = 0
    while True:
        number += 1
        yield TableName("bronze", f"t{number}")


def matrix(server: Lookalike, folder: Path, *, every: int = 1, start: int = 0) -> Iterator[tuple[str, str, int, str]]:
    """Try every fault at every request of every mode; yield mode, fault, place and what came of it.

    Raises `AssertionError` where rows, state or stage are not what they have to be in the end. Files of a load that
    was given up before its commit stay in the stage until they are swept by their age.
    """
    names = tables()
    for mode in MODES:
        many = len(requests_of(Trial(server, folder, mode, next(names))))
        for fault in FAULTS:
            for at in range(start, many, every):
                trial = Trial(server, folder, mode, next(names))
                outcome = meet(trial, fault, at)
                rows, last, stage = trial.left()
                assert rows == EXPECTED[mode], (mode, fault, at, outcome, rows)
                assert (last.seq, last.state) == (2, {"at": 2}), (mode, fault, at, outcome, last)
                assert outcome != "went on" or not stage, (mode, fault, at, outcome, stage)
                yield mode, fault, at, outcome


def main() -> None:
    """Print what came of the matrix, or of every n-th place of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="try every n-th request")
    parser.add_argument("--start", type=int, default=0, help="request to begin at")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with Lookalike() as server, tempfile.TemporaryDirectory() as folder:
        for mode, fault, _, outcome in matrix(server, Path(folder), every=chosen.every, start=chosen.start):
            counts[mode, fault][outcome] += 1
    sys.stdout.write("| mode | fault | requests | what the run said |\n|---|---|---|---|\n")
    for (mode, fault), found in counts.items():
        told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(found.items()))
        sys.stdout.write(f"| {mode} | {fault} | {found.total()} | {told} |\n")


if __name__ == "__main__":
    main()
