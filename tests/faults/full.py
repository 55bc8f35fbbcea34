"""The whole fault matrix.

    uv run --all-packages --all-extras python tests/faults/full.py [--seed N] [--minutes M]

Writes `reports/faults.json` and `reports/faults.md`, and ends with 1 if one run was not exact. Each mode runs in a
process of its own, with a server of its own. As root, a disk of limited size is mounted; where that, strace or
libfaketime is missing, the report says so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from fault_lab import Lab
from fault_plan import Matrix
from fault_report import Report
from fault_source import SHAPES


def main() -> int:
    """Run it and write the report."""
    wanted = _arguments().parse_args()
    work = Path(mkdtemp(prefix="faults-"))
    report = Report(wanted.seed, wanted.kind, minutes=wanted.minutes)
    try:
        if wanted.save:
            with Lab(work).opened() as lab:
                Matrix(lab, report, wanted.seed, wanted.mode).run(wanted.rounds)
            return 0
        _each_in_a_process(wanted, work, report)
        for path in wanted.earlier:
            report.remember(path)
        report.write(wanted.reports)
        return 0 if report.is_good else 1
    finally:
        if wanted.save:
            report.save(wanted.save)
        shutil.rmtree(work, ignore_errors=True)


def _each_in_a_process(wanted: argparse.Namespace, work: Path, report: Report) -> None:
    modes = wanted.mode or list(SHAPES)
    saved = {mode: work / f"{mode}.json" for mode in modes}
    options = ["--seed", str(wanted.seed), "--rounds", str(wanted.rounds)]
    options += [part for kind in wanted.kind for part in ("--kind", kind)]
    options += [] if wanted.minutes is None else ["--minutes", str(wanted.minutes)]
    running = [
        subprocess.Popen([sys.executable, __file__, *options, "--mode", mode, "--save", str(path)])
        for mode, path in saved.items()
    ]
    codes = [process.wait() for process in running]
    for path in saved.values():
        report.take_in(path)
    if any(codes):
        raise SystemExit(f"the processes of {', '.join(modes)} ended with {codes}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="Stop trying after so long.")
    parser.add_argument("--kind", action="append", default=[], help="Only faults of this kind; may be repeated.")
    parser.add_argument("--mode", action="append", default=[], help="Only these modes; may be repeated.")
    parser.add_argument("--rounds", type=int, default=8, help="Random moments of each kind in each mode.")
    parser.add_argument("--reports", type=Path, default=Path(__file__).parents[2] / "reports")
    parser.add_argument("--earlier", type=Path, action="append", default=[], help="A faults.json to tell of too.")
    parser.add_argument("--save", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
