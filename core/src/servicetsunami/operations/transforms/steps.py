"""What each step of the vocabulary does to the query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from servicetsunami.operations.transforms import reading_texts
from servicetsunami.operations.transforms import vocabulary as words
from servicetsunami.operations.transforms.pipeline import Pipeline, Tally, name_taken, not_null_safe
from servicetsunami.operations.transforms.sqltree import cast, column, expression, sql, try_cast
from servicetsunami.sdk import ConfigError

SYNCED_AT = "_synced_at"
_SCALARS = ("string", "int", "bigint", "smallint", "tinyint", "double", "float", "boolean", "date", "timestamp")


@dataclass
class Counted:
    """What is to be counted of one step."""

    step: int
    op: str
    columns: tuple[str, ...]
    changed: Tally | None = None
    failed: Tally | None = None
    """Values that could not be read."""
    removed: tuple[Tally, Tally] | None = None
    """Rows before and rows after."""


@dataclass(frozen=True)
class Mark:
    """A hidden column that says of a row whether something is wrong with it."""

    name: str
    label: str
    """Such as `cast amount`."""
    action: str
    number: int
    """Which step or check it belongs to."""
    is_check: bool = False


@dataclass
class Work:
    """A pipeline, and what its steps left to count and to mark."""

    pipe: Pipeline
    row_local: bool = False
    """True to leave out what removes rows."""
    counted: list[Counted] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def column(self, name: str, number: int) -> str:
        """Return a column's name as it is written."""
        return self.pipe.find(name, at=f"transformations.{number}")

    def mark(self, condition: exp.Expr, label: str, action: str, number: int, *, is_check: bool = False) -> None:
        """Note for every row whether a condition over the topmost layer's columns holds."""
        name = f"__mark_{len(self.marks)}"
        self.pipe.put(name, sql("coalesce(:condition, false)", condition=exp.Paren(this=condition)), "boolean")
        self.marks.append(Mark(name, label, action, number, is_check))


def apply_steps(work: Work, steps: Sequence[words.Step]) -> None:
    """Carry the steps out on the pipeline; raises `ConfigError` with the number of the step that cannot be done."""
    for number, step in enumerate(steps):
        _APPLY[type(step)](work, number, step)


def _rename(work: Work, number: int, step: words.Rename) -> None:
    work.pipe.rename(work.column(step.column, number), step.to, at=f"transformations.{number}")


def _drop(work: Work, number: int, step: words.Drop) -> None:
    work.pipe.drop([work.column(name, number) for name in step.columns])
    if not any(not name.startswith("__mark_") for name in work.pipe.columns):
        raise ConfigError(
            "no column would be left",
            code="no_columns",
            field=f"transformations.{number}",
            fix="drop fewer columns",
        )


def _texts(work: Work, number: int, step: Any, make: Callable[[exp.Expr], exp.Expr]) -> None:
    """Change texts in place, and count the values that are others afterwards."""
    changed: exp.Expr = exp.false()
    work.pipe.close()
    for asked in step.columns:
        name = work.column(asked, number)
        _need_text(work, name, number, step.op)
        new = make(column(name))
        changed = exp.or_(changed, not_null_safe(column(name), new), copy=False)
        work.pipe.put(name, new, "string")
    work.counted.append(Counted(number, step.op, step.columns, changed=work.pipe.tally(changed)))


def _trim(work: Work, number: int, step: words.Trim) -> None:
    _texts(work, number, step, lambda text: sql("trim(:x)", x=text))


def _case(work: Work, number: int, step: words.ChangeCase) -> None:
    _texts(work, number, step, lambda text: sql(_CASES[step.to], x=text))


_CASES = {
    "lower": "lower(:x)",
    "upper": "upper(:x)",
    "title": "array_join(transform(split(lower(:x), ' '), w -> concat(upper(left(w, 1)), substring(w, 2))), ' ')",
}


def _nullify(work: Work, number: int, step: words.Nullify) -> None:
    spellings = [exp.Literal.string(text) for text in dict.fromkeys(value.strip().lower() for value in step.values)]

    def make(text: exp.Expr) -> exp.Expr:
        found = exp.In(this=sql("lower(trim(:x))", x=text), expressions=spellings)
        return sql("CASE WHEN :found THEN NULL ELSE :x END", found=found, x=text)

    _texts(work, number, step, make)


def _mask(work: Work, number: int, step: words.Mask) -> None:
    shown = "concat('***', right(:x, :last))" if step.show_last else "concat('***', left(:x, 0))"
    parts: dict[str, Any] = {"last": step.show_last} if step.show_last else {}
    _texts(work, number, step, lambda text: sql(shown, x=text, **parts))


def _hash(work: Work, number: int, step: words.Hash) -> None:
    _texts(work, number, step, lambda text: sql("sha2(:x, 256)", x=text))


def _fill(work: Work, number: int, step: words.Fill) -> None:
    name = work.column(step.column, number)
    value, kind = work.pipe.ref(name), work.pipe.columns[name].type
    filling = reading_texts.literal(step.value, kind, at=f"transformations.{number}.value")
    work.counted.append(Counted(number, step.op, (name,), changed=work.pipe.tally(sql(":x IS NULL", x=value))))
    work.pipe.put(name, sql("coalesce(:x, :value)", x=value, value=filling), kind)


def _cast(work: Work, number: int, step: words.Cast) -> None:
    name = work.column(step.column, number)
    value, kind = work.pipe.ref(name), work.pipe.columns[name].type
    read = _converted(value, kind, step.type, number)
    _read(work, number, step, name, value, read)


def _converted(value: exp.Expr, kind: str, wanted: str, number: int) -> exp.Expr:
    if wanted == "string":
        return cast(value, "string")
    if kind == "string":
        return reading_texts.strictly(value, wanted)
    if kind.partition("(")[0] not in (*_SCALARS, "decimal", "timestamp_ntz"):
        raise ConfigError(
            f"a column of type {kind[:60]} cannot be cast to {wanted}",
            code="bad_cast",
            field=f"transformations.{number}.type",
            fix="flatten it, or take values out of it, first",
        )
    return try_cast(value, wanted)


def _parse_date(work: Work, number: int, step: words.ParseDate) -> None:
    name = work.column(step.column, number)
    _need_text(work, name, number, step.op)
    value = work.pipe.ref(name)
    _read(work, number, step, name, value, reading_texts.as_date(value, step.formats, step.type))


def _parse_number(work: Work, number: int, step: words.ParseNumber) -> None:
    name = work.column(step.column, number)
    _need_text(work, name, number, step.op)
    value = work.pipe.ref(name)
    _read(work, number, step, name, value, reading_texts.as_number(value, step.decimal_mark, step.type))


def _read(work: Work, number: int, step: Any, name: str, value: exp.Expr, read: exp.Expr) -> None:
    """Put a value that was read in a column's place; count and mark what could not be."""
    failed = sql(":x IS NOT NULL AND :read IS NULL", x=value, read=read)
    work.counted.append(
        Counted(
            number,
            step.op,
            (name,),
            changed=work.pipe.tally(sql(":read IS NOT NULL", read=read)),
            failed=work.pipe.tally(failed),
        )
    )
    if step.on_failure != "null":
        work.mark(failed, f"{step.op} {name}", step.on_failure, number)
    work.pipe.put(name, read, step.type)


def _deduplicate(work: Work, number: int, step: words.Deduplicate) -> None:
    pipe = work.pipe
    key = [work.column(name, number) for name in step.key]
    if work.row_local:
        return
    pipe.close()
    wanted = [work.column(name, number) for name in step.order_by] or [SYNCED_AT] * (SYNCED_AT in pipe.columns)
    before = pipe.tally()
    order = [_ordered(name, desc=step.descending) for name in wanted]
    # Rows that are equal in these would come in any order, and each run would keep another one.
    order += [_ordered(name, desc=False) for name in pipe.columns if _is_ordered(pipe, name) and name not in wanted]
    pipe.first_of(key, order)
    work.counted.append(Counted(number, step.op, tuple(key), removed=(before, pipe.tally())))


def _ordered(name: str, *, desc: bool) -> exp.Expr:
    return exp.Ordered(this=column(name), desc=desc, nulls_first=False)


def _is_ordered(pipe: Pipeline, name: str) -> bool:
    return pipe.columns[name].type.partition("(")[0] in (*_SCALARS, "decimal", "timestamp_ntz")


def _filter(work: Work, number: int, step: words.Filter) -> None:
    condition = expression(step.where, f"transformations.{number}.where")
    if work.row_local:
        return
    work.pipe.close()
    before = work.pipe.tally()
    work.pipe.restrict(condition)
    work.counted.append(Counted(number, step.op, (), removed=(before, work.pipe.tally())))


def _split(work: Work, number: int, step: words.Split) -> None:
    name = work.column(step.column, number)
    _need_text(work, name, number, step.op)
    value = work.pipe.ref(name)
    if not step.keep:
        work.pipe.drop([name])
    for place, new in enumerate(step.into, start=1):
        _add(
            work, new, sql("nullif(split_part(:x, :by, :n), '')", x=value, by=step.separator, n=place), "string", number
        )
    work.counted.append(Counted(number, step.op, (name,), changed=work.pipe.tally(sql(":x IS NOT NULL", x=value))))


def _extract_json(work: Work, number: int, step: words.ExtractJson) -> None:
    name = work.column(step.column, number)
    _need_text(work, name, number, step.op)
    found = sql("get_json_object(:x, :path)", x=work.pipe.ref(name), path=step.path)
    _add(work, step.to, found, "string", number)
    if step.type == "string":
        work.counted.append(
            Counted(number, step.op, (name,), changed=work.pipe.tally(sql(":found IS NOT NULL", found=found)))
        )
        return
    value = work.pipe.ref(step.to)
    _read(work, number, step, step.to, value, reading_texts.strictly(value, step.type))


def _flatten(work: Work, number: int, step: words.Flatten) -> None:
    name = work.column(step.column, number)
    kind = exp.DataType.build(work.pipe.columns[name].type, dialect="databricks")
    if not kind.is_type(exp.DType.STRUCT):
        raise ConfigError(
            f"column '{name}' is no struct, so it has no fields",
            code="not_a_struct",
            field=f"transformations.{number}.column",
            fix="take values out of a text of JSON with extract_json",
        )
    value = work.pipe.ref(name)
    prefix = f"{name}_" if step.prefix is None else step.prefix
    work.pipe.drop([name])
    for part in kind.expressions:
        inner = exp.Dot(this=value.copy(), expression=exp.to_identifier(part.name, quoted=True))
        _add(work, f"{prefix}{part.name}", inner, part.kind.sql(dialect="databricks").casefold(), number)


def _compute(work: Work, number: int, step: words.Compute) -> None:
    value = expression(step.expression, f"transformations.{number}.expression")
    work.pipe.close()
    known = [name for name in work.pipe.columns if name.casefold() == step.column.casefold()]
    work.pipe.put(known[0] if known else step.column, cast(value, step.type), step.type)


def _add(work: Work, name: str, value: exp.Expr, kind: str, number: int) -> None:
    if any(known.casefold() == name.casefold() for known in work.pipe.columns):
        raise name_taken(name, f"transformations.{number}")
    work.pipe.put(name, value, kind)


def _need_text(work: Work, name: str, number: int, op: str) -> None:
    kind = work.pipe.columns[name].type
    if kind != "string":
        raise ConfigError(
            f"column '{name}' is {kind[:60]}, and {op} is for texts",
            code="not_a_text",
            field=f"transformations.{number}.column",
            fix="leave the step out, or cast the column to string first",
        )


_APPLY: Mapping[type, Callable[[Work, int, Any], None]] = {
    words.Rename: _rename,
    words.Drop: _drop,
    words.Trim: _trim,
    words.ChangeCase: _case,
    words.Nullify: _nullify,
    words.Fill: _fill,
    words.Cast: _cast,
    words.ParseDate: _parse_date,
    words.ParseNumber: _parse_number,
    words.Deduplicate: _deduplicate,
    words.Filter: _filter,
    words.Split: _split,
    words.Mask: _mask,
    words.Hash: _hash,
    words.ExtractJson: _extract_json,
    words.Flatten: _flatten,
    words.Compute: _compute,
}
