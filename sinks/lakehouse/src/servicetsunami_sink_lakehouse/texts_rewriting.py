"""Texts, patterns and JSON as Databricks reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from servicetsunami_sink_lakehouse.building import call, constant_number, constant_text
from servicetsunami_sink_lakehouse.casting import as_text, is_text
from servicetsunami_sink_lakehouse.numbers_rewriting import as_int, int_result
from servicetsunami_sink_lakehouse.refusals import unsupported

_PATTERN_MARKS = frozenset("\\^$.|?*+()[]{}")
_TO_THE_END = 2_147_483_647


def _substring(node: exp.Substring) -> exp.Expression:
    length = node.args.get("length") or _TO_THE_END
    return call("ts_substring", as_text(node.this), node.args["start"], length)


def _concat(node: Any) -> exp.Expression:
    parts = [as_text(part) for part in node.expressions]
    whole = parts[0].copy()
    for part in parts[1:]:
        whole = exp.DPipe(this=whole, expression=part.copy())
    return exp.Paren(this=whole)


def _pipes(node: exp.DPipe) -> exp.Expression:
    return exp.DPipe(this=as_text(node.this).copy(), expression=as_text(node.expression).copy())


def _concat_ws(node: exp.ConcatWs) -> exp.Expression:
    return call("concat_ws", *(as_text(part) for part in node.expressions))


def _like(node: Any) -> exp.Expression | None:
    """Give LIKE the escape character that Databricks has by default."""
    if not isinstance(node.expression, exp.Literal):
        raise unsupported("LIKE with a pattern that is not written out", "use startswith, endswith or contains")
    if "\\" not in str(node.expression.this):
        return None
    kind = type(node)
    plain = kind(this=node.this.copy(), expression=node.expression.copy())
    return exp.Escape(this=plain, expression=exp.Literal.string("\\"))


def _position(node: exp.StrPosition) -> exp.Expression:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("locate that begins at a position")
    return as_int(call("strpos", node.this, node.args["substr"]))


def _count_from_zero(name: str) -> Callable[[Any], exp.Expression]:
    def step(node: Any) -> exp.Expression:
        return call(name, as_text(node.this), call("greatest", node.expression, 0))

    return step


def _repeat(node: exp.Repeat) -> exp.Expression:
    return call("repeat", as_text(node.this), node.args["times"])


def _pad(node: exp.Pad) -> exp.Expression:
    name = "lpad" if node.args.get("is_left") else "rpad"
    fill = node.args.get("fill_pattern") or exp.Literal.string(" ")
    return call(name, as_text(node.this), as_int(node.expression.copy()), fill)


def _split_part(node: exp.SplitPart) -> exp.Expression:
    index = node.args["part_index"]
    if not isinstance(index, exp.Neg) and constant_number(index, "split_part with a number") == 0:
        raise unsupported("split_part with 0")
    return call("split_part", node.this, constant_text(node.args["delimiter"], "a separator"), index)


def _split(node: exp.RegexpSplit) -> exp.Expression:
    separator = constant_text(node.expression, "a separator")
    if node.args.get("limit") or not separator or set(separator) & _PATTERN_MARKS:
        raise unsupported("split by a pattern, or with a limit", "split by a text without marks of patterns")
    return call("string_split", as_text(node.this), separator)


def _sha2(node: exp.SHA2) -> exp.Expression:
    length = node.args.get("length")
    if not is_text(node.this) or (length is not None and constant_number(length, "a length of a hash") not in (0, 256)):
        raise unsupported("sha2 of another length than 256, or of what is not text")
    return call("sha256", node.this)


def _matches(node: exp.RegexpLike) -> exp.Expression:
    return call("regexp_matches", as_text(node.this), _pattern(node))


def _extracted(node: exp.RegexpExtract) -> exp.Expression:
    group = node.args.get("group")
    number = constant_number(group, "a group of a pattern") if group else 1
    return call("regexp_extract", as_text(node.this), _pattern(node), number)


def _replaced(node: exp.RegexpReplace) -> exp.Expression:
    text = constant_text(node.args.get("replacement"), "a replacement")
    if "\\" in text or "$" in text:
        raise unsupported("a replacement that refers to groups")
    return call("regexp_replace", as_text(node.this), _pattern(node), text, "g")


def _pattern(node: Any) -> str:
    """Return a pattern that both engines read alike; look-around and references exist in Java's only."""
    pattern = constant_text(node.expression, "a pattern")
    if any(mark in pattern for mark in ("(?", "\\1", "\\2", "++", "*+", "?+", "&&", "\\p", "\\h", "\\R", "\\G", "\\Z")):
        raise unsupported(f"the pattern {pattern[:40]!r}", "use a simpler pattern")
    return pattern


def _json_path(node: exp.JSONExtract) -> exp.Expression:
    """Follow column:path; names are found in upper or lower case, text comes without its quotes."""
    if not node.args.get("variant_extract") or not is_text(node.this):
        raise unsupported("a path into what is not a text of JSON")
    value = call("ts_json", node.this)
    for step in node.expression.expressions:
        value = _stepped(value, step)
    return _json_text(value)


def _json_text(value: exp.Expression) -> exp.Expression:
    text = call("json_extract_string", value, "$")
    text.type = exp.DataType.build("text")
    return text


def _stepped(value: exp.Expression, step: exp.Expression) -> exp.Expression:
    if isinstance(step, exp.JSONPathRoot):
        return value
    if isinstance(step, exp.JSONPathKey) and isinstance(step.this, str):
        return call("ts_field", value, step.this)
    if isinstance(step, exp.JSONPathSubscript) and isinstance(step.this, int) and step.this >= 0:
        return call("json_extract", value, f"$[{step.this}]")
    raise unsupported("a path with wildcards")


def _json_object(node: exp.JSONExtractScalar) -> exp.Expression:
    path = node.expression
    value = call("ts_json", as_text(node.this))
    if not isinstance(path, exp.JSONPath):
        raise unsupported("get_json_object with a path that is not written out")
    for step in path.expressions:
        value = _exact_step(value, step)
    return _json_text(value)


def _exact_step(value: exp.Expression, step: exp.Expression) -> exp.Expression:
    if isinstance(step, exp.JSONPathKey) and isinstance(step.this, str):
        pointer = step.this.replace("~", "~0").replace("/", "~1")
        return call("json_extract", value, f"/{pointer}")
    return _stepped(value, step)


def _group_concat(node: exp.GroupConcat) -> None:
    value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    if not is_text(value):
        raise unsupported("listagg of what is not text", "cast it to STRING")


STEPS: dict[type, Callable[[Any], exp.Expression | None]] = {
    exp.Substring: _substring,
    exp.Concat: _concat,
    exp.DPipe: _pipes,
    exp.ConcatWs: _concat_ws,
    exp.Like: _like,
    exp.ILike: _like,
    exp.StrPosition: _position,
    exp.Left: _count_from_zero("left"),
    exp.Right: _count_from_zero("right"),
    exp.Repeat: _repeat,
    exp.Pad: _pad,
    exp.SplitPart: _split_part,
    exp.RegexpSplit: _split,
    exp.SHA2: _sha2,
    exp.RegexpLike: _matches,
    exp.RegexpExtract: _extracted,
    exp.RegexpReplace: _replaced,
    exp.JSONExtract: _json_path,
    exp.JSONExtractScalar: _json_object,
    exp.GroupConcat: _group_concat,
    **dict.fromkeys((exp.Length, exp.Ascii), int_result),
}
