"""Profiles a table: one pass over its rows for what can be counted, a second over a sample for what texts look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from servicetsunami.assistant.asking import TableAsker, literal, quoted
from servicetsunami.assistant.models import ColumnEvidence, TopValue
from servicetsunami.assistant.patterns import DATE_FORMATS, NULL_SPELLINGS, SHAPES, suspected
from servicetsunami.operations.models import Cell
from servicetsunami.sdk import ColumnDetails

PROFILED_ROWS = 10_000_000
PROFILED_COLUMNS = 40
SAMPLED_ROWS = 20_000
_LONGEST = 80
_SHARE = 0.75
"""How many of the texts must be of a shape for the column to look like it."""
_FEW = 50
"""A column with at most so many values shows the frequent ones."""
_TOP = 5
_COUNTED = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "date", "timestamp", "timestamp_ntz")
_PLAIN = (*_COUNTED, "boolean", "string")


@dataclass(frozen=True)
class Texts:
    """What was counted of the texts of one column, in the sample."""

    filled: int = 0
    """Texts that are not null and no spelling of it."""
    nulls: int = 0
    """Texts that spell null."""
    spaces: int = 0
    spellings: int = 0
    """How many texts differ."""
    folded: int = 0
    """How many do but for spaces and capitals."""
    shapes: Mapping[str, int] = field(default_factory=dict)

    def looks_like(self) -> tuple[str, ...]:
        """Return the shapes of most of the texts; all formats of dates if together they are most."""
        most = self.filled * _SHARE
        found = [shape for shape in SHAPES if self.filled and self.shapes.get(shape, 0) >= most]
        if {"whole number", "number"} & set(found):  # each of them is one with commas, too
            found = [shape for shape in found if shape not in ("number with commas", "phone number")]
        formats = [one for one in DATE_FORMATS if self.shapes.get(one)]
        if self.filled and sum(self.shapes[one] for one in formats) >= most:
            return tuple(f"date {one}" for one in formats)  # digits with dashes would pass for other things, too
        numbers = ("whole number", "number", "number with commas")
        if not found and self.filled and sum(self.shapes.get(one, 0) for one in numbers[:2]) >= most:
            found.append("number")
        return tuple(found)

    def faults(self) -> tuple[str, ...]:
        """Return what should be cleaned."""
        told = {
            "spaces around": self.spaces,
            "spellings of null": self.nulls,
            "values that differ in capitals": self.spellings - self.folded,
        }
        return tuple(f"{what} ({count})" for what, count in told.items() if count)


@dataclass(frozen=True)
class Profile:
    """What was measured of some columns."""

    rows: int
    columns: tuple[ColumnEvidence, ...]
    texts: Mapping[str, Texts]
    """Of columns of texts, by name."""


def profile(asker: TableAsker, columns: Sequence[ColumnDetails]) -> Profile:
    """Measure columns that can be named in a statement."""
    rows, counted = _count(asker, columns)
    texts = _read_texts(asker, [one.name for one in columns if _kind(one) == "string"])
    shaped = {name: found.looks_like() for name, found in texts.items()}
    personal = {one.name: suspected(one.name, shaped.get(one.name, ())) for one in columns}
    few = [one.name for one in columns if _has_few(one, counted[one.name], personal[one.name])]
    top = _frequent(asker, few)
    evidence = tuple(
        ColumnEvidence(
            name=one.name,
            type=one.type,
            comment=one.comment[:200],
            looks_like=shaped.get(one.name, ()),
            faults=texts[one.name].faults() if one.name in texts else (),
            personal=personal[one.name],
            top=top.get(one.name, ()),
            **_shown(counted[one.name], rows, hidden=bool(personal[one.name]) and _kind(one) == "string"),
        )
        for one in columns
    )
    return Profile(rows, evidence, texts)


Counted = tuple[int, int | None, Cell, Cell]
"""Values that are not null, about how many differ, the least and the greatest."""


def _count(asker: TableAsker, columns: Sequence[ColumnDetails]) -> tuple[int, dict[str, Counted]]:
    outputs = ["count(*)"]
    for one in columns:
        name = quoted(one.name)
        outputs.append(f"count({name})")
        if _kind(one) in _PLAIN:
            least, most = f"min({name})", f"max({name})"
            cut = _kind(one) == "string"
            shown = [f"left({value}, {_LONGEST})" if cut else value for value in (least, most)]
            outputs += [f"approx_count_distinct({name})", *shown]
    source = asker.some([one.name for one in columns], PROFILED_ROWS)
    ((rows, *values),) = asker.rows(" ".join(("SELECT", ", ".join(outputs), "FROM", source)), 1)
    left = iter(values)
    return _whole(rows), {one.name: _counted(one, left) for one in columns}


def _counted(column: ColumnDetails, left: Iterator[Cell]) -> Counted:
    filled = _whole(next(left))
    if _kind(column) not in _PLAIN:
        return filled, None, None, None
    return filled, _whole(next(left)), next(left), next(left)


def _read_texts(asker: TableAsker, names: Sequence[str]) -> dict[str, Texts]:
    if not names:
        return {}
    patterns = {**SHAPES, **DATE_FORMATS}
    spelled = ", ".join(map(literal, NULL_SPELLINGS))
    outputs = []
    for name in map(quoted, names):
        text = f"trim({name})"
        is_null = f"lower({text}) IN ({spelled})"
        outputs += [
            f"count_if({name} IS NOT NULL AND NOT {is_null})",
            f"count_if({is_null})",
            f"count_if({text} <> {name})",
            f"count(DISTINCT {text})",
            f"count(DISTINCT lower({text}))",
            *(f"count_if({text} RLIKE {literal(pattern)})" for pattern in patterns.values()),
        ]
    source = asker.some(names, SAMPLED_ROWS)
    ((*values,),) = asker.rows(" ".join(("SELECT", ", ".join(outputs), "FROM", source)), 1)
    width = 5 + len(patterns)
    found = {}
    for at, name in enumerate(names):
        filled, nulls, spaces, spellings, folded, *shapes = map(_whole, values[at * width : (at + 1) * width])
        found[name] = Texts(filled, nulls, spaces, spellings, folded, dict(zip(patterns, shapes, strict=True)))
    return found


def _frequent(asker: TableAsker, names: Sequence[str]) -> dict[str, tuple[TopValue, ...]]:
    """Return the frequent values of columns that have few."""
    found: dict[str, tuple[TopValue, ...]] = {}
    for name in names:
        column, source = quoted(name), asker.some([name], SAMPLED_ROWS)
        select = f"SELECT {column} AS value, count(*) AS n FROM"
        tail = f"WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY n DESC, value LIMIT {_TOP}"
        rows = asker.rows(" ".join((select, source, tail)), _TOP)
        found[name] = tuple(TopValue(value=_short(value), count=_whole(count)) for value, count in rows)
    return found


def _has_few(column: ColumnDetails, counted: Counted, personal: str) -> bool:
    filled, distinct, _, _ = counted
    return (
        not personal
        and distinct is not None
        and 0 < distinct <= _FEW
        and filled > distinct
        and _kind(column)
        in (
            "string",
            "boolean",
            "int",
            "bigint",
            "smallint",
            "tinyint",
        )
    )


def _shown(counted: Counted, rows: int, *, hidden: bool) -> dict[str, Cell]:
    filled, distinct, least, most = counted
    extremes = {} if hidden else {"minimum": _short(least), "maximum": _short(most)}
    return {"nulls": rows - filled, "distinct": distinct, **extremes}


def _kind(column: ColumnDetails) -> str:
    return column.type.partition("(")[0].partition("<")[0].strip().casefold()


def _short(value: Cell) -> Cell:
    return value[:_LONGEST] if isinstance(value, str) else value


def _whole(value: Cell) -> int:
    return int(value or 0)
