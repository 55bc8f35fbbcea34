"""The official conformance suite, whole, against our host; nothing is expected to fail."""

from __future__ import annotations

import pytest
from protocol_suite import SETS, Outcome, outcomes, required_scenarios

pytestmark = pytest.mark.server
REVISIONS = {"2025-11-25": 30, "2026-07-28": 37}
SCENARIOS = 65


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return outcomes(tmp_path_factory.mktemp("conformance"))


@pytest.mark.parametrize("asked", SETS)
def test_the_suite_ends_without_a_failure_or_a_warning(found: dict[str, Outcome], asked: str) -> None:
    outcome = found[asked]

    assert outcome.bad == ()
    assert outcome.exit_code == 0, outcome.output


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_that_a_revision_requires_passes(found: dict[str, Outcome], revision: str) -> None:
    required = required_scenarios(revision)

    passed = found[revision].passed(required)

    assert passed == required
    assert len(passed) == REVISIONS[revision]


def test_every_scenario_there_is_has_run(found: dict[str, Outcome]) -> None:
    everything = found["all"]

    assert len(everything.checks) == SCENARIOS
    assert everything.total["SUCCESS"] > 230
