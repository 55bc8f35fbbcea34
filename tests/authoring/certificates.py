"""Write the report cards of all connectors of the workspace into reports/certificates.md.

uv run --all-packages --all-extras python tests/authoring/certificates.py
"""

from __future__ import annotations

from pathlib import Path

from servicetsunami.operations.certifying import Certificate, certify
from servicetsunami.plugins import discover

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Certify each connector with its own tests."""
    plugins = discover()
    folders = {
        path.name: path / "tests" for place in ("connectors", "connectors_contrib") for path in (ROOT / place).iterdir()
    }
    cards = [certify(plugins, name, folders[name]) for name in sorted(plugins.connectors)]
    (ROOT / "reports" / "certificates.md").write_text(_report(cards), encoding="utf-8")


def _report(cards: list[Certificate]) -> str:
    points = [(point.id, point.title) for point in cards[0].points]
    names = " | ".join(card.connector for card in cards)
    rows = [f"| {id_} {title} | " + " | ".join(_of(card, id_) for card in cards) + " |" for id_, title in points]
    tests = " | ".join(_tests(card) for card in cards)
    certified = " | ".join("yes" if card.certified else "**no**" for card in cards)
    return "\n".join(
        [
            "# Report cards",
            "",
            "By `python tests/authoring/certificates.py`: the points of the connector standard, and the tests of each,",
            "its contract suite among them (passed, failed, skipped).",
            "",
            f"| point | {names} |",
            f"|---|{'---|' * len(cards)}",
            *rows,
            f"| tests | {tests} |",
            f"| certified | {certified} |",
            "",
        ]
    )


def _of(card: Certificate, id_: str) -> str:
    found = next(point for point in card.points if point.id == id_)
    return "passed" if found.status == "passed" else f"**failed**: {found.found}"


def _tests(card: Certificate) -> str:
    told = card.tests
    return f"{told.passed}, {told.failed}, {told.skipped}" if told else "none"


if __name__ == "__main__":
    main()
