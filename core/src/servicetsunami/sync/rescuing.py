"""The column `_rescued`: what a connector rescued itself, and the cells that did not fit the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from servicetsunami.sdk import RESCUED, Json
from servicetsunami.sdk.infer import text_of
from servicetsunami.sync.choosing import Choice
from servicetsunami.sync.fitting import Misfits
from servicetsunami.sync.masking import Masking


@dataclass(frozen=True)
class Rescue:
    """Writes `_rescued` under the names of the table, hiding there what is hidden in its columns."""

    choice: Choice
    masking: Masking

    def column(self, rows: int, brought: pa.Array | None, misfits: Mapping[str, Misfits]) -> pa.Array:
        """Merge the JSON a batch brought with the cells that did not fit, by column of the table."""
        is_as_it_lands = not self.masking and not self.choice
        if brought is not None and not misfits and (is_as_it_lands or brought.null_count == rows):
            return brought
        texts: list[str | None] = brought.to_pylist() if brought is not None else []
        cells = {row: self._brought(text) for row, text in enumerate(texts) if text is not None}
        for column, found in misfits.items():
            for row, text in found.items():
                cells.setdefault(row, {})[column] = text
        written = {row: json.dumps(found, ensure_ascii=False) for row, found in cells.items() if found}
        return pa.array([written.get(row) for row in range(rows)], pa.string())

    def _brought(self, text: str) -> Json:
        try:
            cells = json.loads(text)
        except ValueError:
            cells = None
        if not isinstance(cells, dict):
            # It cannot be told which columns such a text is about.
            return {} if self.masking or self.choice.hides else {RESCUED: text}
        shown = {name: self._cell(name, value) for name, value in cells.items() if self.choice.takes(name)}
        return {self.choice.target(name): value for name, value in shown.items() if value is not None}

    def _cell(self, name: str, value: Any) -> Any:
        if value is None or not self.masking.covers(name):
            return value
        return self.masking.cell(name, text_of(value))
