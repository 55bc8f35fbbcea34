"""A local server that speaks Databricks' protocols: for tests, and for trying things out without a workspace."""

from __future__ import annotations

from servicetsunami_lookalike.faults import Fault, Faults
from servicetsunami_lookalike.lookalike import Lookalike

__all__ = ["Fault", "Faults", "Lookalike"]
