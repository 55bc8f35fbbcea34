"""The contract of schemas that change: in every mode, what may change does and what may not leaves the table alone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from servicetsunami.sdk import OP, Load, Sink, TableName, TsunamiError
from servicetsunami.sdk.testing.probe import SinkProbe
from servicetsunami.sdk.testing.sinkaccess import SinkAccess

_WIDER: tuple[tuple[pa.DataType, Any, pa.DataType, Any], ...] = (
    (pa.int32(), -7, pa.int64(), 2**53 + 1),
    (pa.float32(), 0.5, pa.float64(), 0.1),
    (pa.decimal128(5, 2), Decimal("1.25"), pa.decimal128(20, 4), Decimal("1234567890.0001")),
)


class SinkSchemas(SinkAccess):
    """Checks of `Load.evolve`, in each mode that the sink has and in a generation."""

    def test_wider_types_hold_every_value(self, probe: SinkProbe) -> None:
        """With `widen` a wider type is taken and older values stay exact, as do narrower ones that come later."""
        with probe.open() as sink:
            for way in _ways(probe):
                for narrow, small, wide, large in _WIDER:
                    table = probe.load().table
                    _write(probe, sink, _load(table, narrow, way), (1, small), seq=1)
                    _write(probe, sink, _load(table, wide, way, evolve="widen"), (2, large), seq=2)
                    _write(probe, sink, _load(table, narrow, way, evolve="widen"), (3, small), seq=3)
                    got = self._values(sink, _load(table, wide, way))

                    assert got == [(1, small), (2, large), (3, small)], f"{narrow} to {wide}, {way or 'append'}"

    def test_a_wider_type_is_refused_unless_it_may_widen(self, probe: SinkProbe) -> None:
        """With `add` a table keeps its types, and nothing of a load that has others stays."""
        self._refused(probe, pa.int64(), 2**40, evolve="add")

    def test_a_type_that_is_no_wider_one_is_refused(self, probe: SinkProbe) -> None:
        """With `widen` too, a number does not become a text."""
        self._refused(probe, pa.string(), "x", evolve="widen")

    def test_new_columns_are_added_in_every_mode(self, probe: SinkProbe) -> None:
        """A column that comes later is null in older rows, and in rows that come without it."""
        with probe.open() as sink:
            for way in _ways(probe):
                load = _load(probe.load().table, pa.int32(), way)
                wider = _load(load.table, pa.int32(), way, extra=pa.float64())
                _write(probe, sink, load, (1, 1), seq=1)
                _write(probe, sink, wider, (2, 2, 0.5), seq=2)
                _write(probe, sink, load, (3, 3), seq=3)
                self._put_in_place(sink, wider)
                got = [(row["id"], row.get("extra", "no column")) for row in self.rows(sink, load.table)]

                assert got == [(1, None), (2, 0.5), (3, None)], f"{way or 'append'}"

    def test_freeze_refuses_in_every_mode(self, probe: SinkProbe) -> None:
        """A frozen table takes neither a new column nor a wider type; rows that fit it are welcome."""
        with probe.open() as sink:
            for way in _ways(probe):
                load = _load(probe.load().table, pa.int32(), way, evolve="freeze")
                _write(probe, sink, load, (1, 1), seq=1)
                for kind, extra, row in ((pa.int32(), pa.int32(), (2, 2, 2)), (pa.int64(), None, (2, 2**40))):
                    with pytest.raises(TsunamiError):
                        _write(probe, sink, _load(load.table, kind, way, evolve="freeze", extra=extra), row, seq=2)
                _write(probe, sink, load, (3, 3), seq=3)

                assert self._values(sink, load) == [(1, 1), (3, 3)], f"{way or 'append'}"

    def _refused(self, probe: SinkProbe, kind: pa.DataType, value: Any, **evolve: Any) -> None:
        with probe.open() as sink:
            for way in _ways(probe):
                load = _load(probe.load().table, pa.int32(), way)
                _write(probe, sink, load, (1, 1), seq=1)
                with pytest.raises(TsunamiError):
                    _write(probe, sink, _load(load.table, kind, way, **evolve), (2, value), seq=2)

                assert self._values(sink, load) == [(1, 1)], f"{way or 'append'}"

    def _values(self, sink: Sink[Any], load: Load) -> list[tuple[Any, Any]]:
        self._put_in_place(sink, load)
        return [(row["id"], row["value"]) for row in self.rows(sink, load.table)]

    @staticmethod
    def _put_in_place(sink: Sink[Any], load: Load) -> None:
        if load.generation is not None:
            sink.replace(load, 9, {})


def _ways(probe: SinkProbe) -> Iterator[dict[str, Any]]:
    """Yield what tells a load how to write, for each way of the sink."""
    yield {}
    yield {"generation": "g1"}
    for mode in sorted(probe.sink.write_modes - {"append"}):
        yield {"mode": mode, "key": ("id",)}


def _load(
    table: TableName, kind: pa.DataType, way: dict[str, Any], *, extra: pa.DataType | None = None, **more: Any
) -> Load:
    fields = [pa.field("id", pa.int64()), pa.field("value", kind)]
    if extra is not None:
        fields.append(pa.field("extra", extra))
    if way.get("mode") == "apply":
        fields.append(pa.field(OP, pa.string()))
    return Load(table, pa.schema(fields), app="contract", **way, **more)


def _write(probe: SinkProbe, sink: Sink[Any], load: Load, row: tuple[Any, ...], *, seq: int) -> None:
    probe.write(sink, load, (*row, "c") if load.mode == "apply" else row, seq=seq)
