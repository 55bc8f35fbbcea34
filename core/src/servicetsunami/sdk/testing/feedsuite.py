"""How a suite writes to the source whose change feed it tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from servicetsunami.sdk import Source
from servicetsunami.sdk.testing.changelog import FeedProbe, Log

WITHOUT_END = 500
"""A feed with few changes that yields so many items does not end."""

_KEYS = count(1_000)


class FeedSuite:
    """How the suite writes to the source. What is not overridden among the later ones skips its check."""

    connector: ClassVar[type[Source[Any]]]
    """The class under test."""
    followed: ClassVar[str]
    """Id of the stream that the suite writes to."""
    column: ClassVar[str]
    """The text column that `insert` and `update` set."""
    large: ClassVar[int] = 10_000
    """Rows of a transaction that must not come in one batch."""

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """Return settings that work; override this."""
        raise NotImplementedError("define a fixture `config` that returns settings that work")

    @pytest.fixture
    def probe(self, config: Mapping[str, Any], tmp_path: Path) -> FeedProbe:
        """Return what opens and follows the feed."""
        return FeedProbe(self.connector, config, tmp_path / "data", followed=self.followed)

    def insert(self, config: Mapping[str, Any], key: int, value: str) -> None:
        """Insert a row."""
        raise NotImplementedError("define insert(config, key, value)")

    def update(self, config: Mapping[str, Any], key: int, value: str) -> None:
        """Set the text column of a row."""
        raise NotImplementedError("define update(config, key, value)")

    def delete(self, config: Mapping[str, Any], key: int) -> None:
        """Delete a row."""
        raise NotImplementedError("define delete(config, key)")

    def insert_many(self, config: Mapping[str, Any], keys: Sequence[int]) -> None:
        """Insert rows with these keys in one transaction."""
        del config, keys
        pytest.skip("the suite does not override insert_many, which writes one large transaction")

    def open_insert(self, config: Mapping[str, Any], key: int) -> AbstractContextManager[None]:
        """Insert a row in a transaction that begins on entering and commits on leaving."""
        del config, key
        pytest.skip("the suite does not override open_insert, which keeps a transaction open")

    def change_key(self, config: Mapping[str, Any], old: int, new: int) -> None:
        """Give a row another key."""
        del config, old, new
        pytest.skip("the suite does not override change_key")

    def truncate(self, config: Mapping[str, Any]) -> None:
        """Empty the table at once."""
        del config
        pytest.skip("the suite does not override truncate")

    def leave_unchanged(self, config: Mapping[str, Any], key: int) -> None:
        """Insert a row, then update it so that the log does not repeat one of its columns."""
        del config, key
        pytest.skip("the suite does not override leave_unchanged")

    def add_column(self, config: Mapping[str, Any]) -> None:
        """Add a column to the table; rows inserted later have a value in it."""
        del config
        pytest.skip("the suite does not override add_column")

    def write_elsewhere(self, config: Mapping[str, Any]) -> None:
        """Write to a table that is not followed."""
        del config
        pytest.skip("the suite does not override write_elsewhere")

    def left_behind(self, config: Mapping[str, Any]) -> bool:
        """Tell whether the source still holds anything that `position` made."""
        del config
        pytest.skip("the suite does not override left_behind")

    @contextmanager
    def _begun(self, probe: FeedProbe) -> Iterator[Any]:
        """Yield the position of a feed that has since been given one row; a check of its own looks at that one."""
        with probe.started() as start:
            self._insert(probe, "first")
            yield start

    @contextmanager
    def _changed(self, probe: FeedProbe) -> Iterator[Any]:
        """Yield the position of a feed that has since been given changes of every kind."""
        with probe.started() as start:
            self._write_each_way(probe, [self._insert(probe, "new") for _ in range(3)])
            yield start

    @staticmethod
    def fresh_key() -> int:
        """Return a key that no row of the suite has."""
        return next(_KEYS)

    def _insert(self, probe: FeedProbe, value: str) -> int:
        """Insert a row with a key of its own; return the key."""
        key = self.fresh_key()
        self.insert(probe.settings, key, value)
        return key

    def _write_each_way(self, probe: FeedProbe, keys: Sequence[int]) -> None:
        """Insert a row, update one and delete one; the third is left alone."""
        self._insert(probe, "inserted")
        self.update(probe.settings, keys[0], "updated")
        self.delete(probe.settings, keys[1])

    def _large(self, probe: FeedProbe, start: Any) -> tuple[Log, range]:
        """Write one large transaction; return the log and the numbers of changes that lie within it."""
        keys = [self.fresh_key() for _ in range(self.large)]
        self.insert_many(probe.settings, keys)
        log, (name, *_) = probe.sound(start), probe.stream().key
        inside = [number for number, change in enumerate(log.changes) if keys[0] <= (change.row.get(name) or 0)]
        assert len(inside) >= self.large, f"of {self.large} rows written together {len(inside)} came"
        return log, range(inside[0] + 1, inside[-1] + 1)
