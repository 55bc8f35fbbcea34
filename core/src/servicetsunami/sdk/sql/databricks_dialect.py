"""Databricks SQL as sqlglot reads it, written without changing its meaning."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.generators.databricks import DatabricksGenerator


class GuardedDatabricks(Databricks):
    """sqlglot's dialect, but for what its writer would turn into something else."""

    class Generator(DatabricksGenerator):
        """Keeps WITHIN GROUP, where sqlglot 30 writes the approximate percentile for an exact one."""

        TRANSFORMS = {  # noqa: RUF012
            kind: write for kind, write in DatabricksGenerator.TRANSFORMS.items() if kind is not exp.WithinGroup
        }
