"""The whole fault matrix.

    uv run --all-packages --all-extras python tests/faults/full.py [--seed N] [--minutes M] [--kind KIND]...

Writes `reports/faults.json` and `reports/faults.md`, and ends with 1 if one run was not exact. As root, a disk of
limited size is mounted; where that, strace or libfaketime is missing, the report says so.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from fault_lab import Lab
from fault_plan import Matrix
from fault_report import Report


def main() -> int:
    """Run it and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="Stop trying after so long.")
    parser.add_argument("--kind", action="append", default=[], help="Only faults of this kind; may be repeated.")
    parser.add_argument("--mode", action="append", default=[], help="Only these modes; may be repeated.")
    parser.add_argument("--rounds", type=int, default=8, help="Random moments of each kind in each mode.")
    parser.add_argument("--reports", type=Path, default=Path(__file__).parents[2] / "reports")
    wanted = parser.parse_args()
    work = Path(mkdtemp(prefix="faults-"))
    report = Report(wanted.seed, wanted.kind, minutes=wanted.minutes)
    try:
        with Lab(work).opened() as lab:
            Matrix(lab, report, wanted.seed, wanted.mode).run(wanted.rounds)
    finally:
        report.write(wanted.reports)
        shutil.rmtree(work, ignore_errors=True)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
