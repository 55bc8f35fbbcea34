"""A query grown step by step: layers over a table, each a WITH query over the one before.

Steps change columns of the topmost layer. As soon as a step needs what an earlier one made, the layer is closed and
the next one begins, so that no expression is ever written out twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from servicetsunami.operations.transforms.sqltree import aliased, column, sql
from servicetsunami.sdk import ConfigError, TableName, nearest


@dataclass(frozen=True)
class Tally:
    """Something to be counted over the rows of one layer: `count_if(condition)`, all rows without one."""

    layer: int
    condition: exp.Expr | None


@dataclass
class Column:
    """A column on its way: its type in Databricks SQL, and what makes it of the topmost layer's columns."""

    type: str
    value: exp.Expr

    def is_plain(self, name: str) -> bool:
        """Tell whether it is just the column of that name."""
        return isinstance(self.value, exp.Column) and self.value.name == name


@dataclass
class Pipeline:
    """Layers over `table`; `columns` are those of the topmost, in order, and what was made of them since."""

    table: TableName
    columns: dict[str, Column]
    key: tuple[str, ...] = ()
    """What identifies a row; () as soon as something was done to one of these columns."""
    layers: list[exp.Select] = field(default_factory=list)

    @classmethod
    def over(
        cls, table: TableName, columns: Mapping[str, str], key: tuple[str, ...], where: exp.Expr | None = None
    ) -> Pipeline:
        """Begin with the columns of a table and their types; `where` chooses its rows."""
        begun = cls(table, {name: Column(kind, column(name)) for name, kind in columns.items()}, key)
        source = exp.table_(table.name, db=table.layer, quoted=True)
        begun.layers.append(_select(begun.columns, source, where))
        return begun

    @property
    def top(self) -> int:
        """Number of the topmost closed layer."""
        return len(self.layers) - 1

    def find(self, name: str, *, at: str) -> str:
        """Return a column's name as it is written; raises `ConfigError` (`column_not_found`) with near names."""
        if name in self.columns:
            return name
        alike = [known for known in self.columns if known.casefold() == name.casefold()]
        if alike:
            return alike[0]
        raise ConfigError(
            f"there is no column '{name}' at this step",
            code="column_not_found",
            field=at,
            fix="name a column as it is called after the steps before",
            did_you_mean=nearest(name, self.columns),
        )

    def ref(self, name: str) -> exp.Expr:
        """Return a column to build on."""
        if not self.columns[name].is_plain(name):
            self.close()
        return column(name)

    def put(self, name: str, value: exp.Expr, kind: str) -> None:
        """Set a column, in its place, or as the last one."""
        self.columns[name] = Column(kind, value)
        self._forget_key([name])

    def rename(self, name: str, to: str, *, at: str) -> None:
        """Give a column another name, in its place."""
        if any(other.casefold() == to.casefold() for other in self.columns if other != name):
            raise name_taken(to, at)
        self.columns = {to if known == name else known: one for known, one in self.columns.items()}
        self.key = tuple(to if known == name else known for known in self.key)

    def drop(self, names: Sequence[str]) -> None:
        """Leave columns out."""
        self.columns = {name: one for name, one in self.columns.items() if name not in names}
        self._forget_key(names)

    def close(self) -> None:
        """Begin a new layer, over what was made so far."""
        if all(one.is_plain(name) for name, one in self.columns.items()) and self._is_whole():
            return
        self.layers.append(_select(self.columns, _layer(self.top)))
        self._settle()

    def restrict(self, condition: exp.Expr) -> None:
        """Keep the rows of the topmost layer for which a condition over its columns holds."""
        self.close()
        self.layers.append(_select(self.columns, _layer(self.top), condition))
        self._settle()

    def first_of(self, key: Sequence[str], order: Sequence[exp.Expr]) -> None:
        """Keep the first row of each key."""
        self.close()
        rank = exp.Window(
            this=exp.RowNumber(), partition_by=[column(name) for name in key], order=exp.Order(expressions=list(order))
        )
        layer = _select(self.columns, _layer(self.top))
        layer.set("qualify", exp.Qualify(this=exp.EQ(this=rank, expression=exp.Literal.number(1))))
        self.layers.append(layer)
        self._settle()
        self.key = tuple(key)

    def tally(self, condition: exp.Expr | None = None) -> Tally:
        """Count rows of the topmost layer."""
        return Tally(self.top, condition)

    def with_queries(self, select: exp.Select, prefix: str = "") -> exp.Select:
        """Return a query that stands on the layers."""
        for number, layer in enumerate(self.layers):
            named = _prefixed(layer, prefix)
            select = select.with_(exp.to_identifier(f"{prefix}rows_{number}", quoted=True), named, copy=False)
        return select

    def result(self, prefix: str = "") -> exp.Table:
        """Return the topmost layer, to select from."""
        self.close()
        return exp.table_(f"{prefix}rows_{self.top}", quoted=True)

    def _forget_key(self, changed: Sequence[str]) -> None:
        if set(changed) & set(self.key):
            self.key = ()

    def _is_whole(self) -> bool:
        return [select.alias_or_name for select in self.layers[-1].selects] == list(self.columns)

    def _settle(self) -> None:
        self.columns = {name: Column(one.type, column(name)) for name, one in self.columns.items()}


def name_taken(name: str, at: str) -> ConfigError:
    """Say that a column cannot get a name."""
    return ConfigError(
        f"there is a column '{name}' already",
        code="column_exists",
        field=at,
        fix="drop or rename that one first, or choose another name",
    )


def not_null_safe(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """Tell whether two values differ; null is the same as null."""
    return sql("NOT (:left <=> :right)", left=left, right=right)


def _layer(number: int) -> exp.Table:
    return exp.table_(f"rows_{number}", quoted=True)


def _select(columns: Mapping[str, Column], source: exp.Expr, where: exp.Expr | None = None) -> exp.Select:
    made = exp.select(*(aliased(one.value, name) for name, one in columns.items())).from_(source)
    return made.where(where) if where is not None else made


def _prefixed(layer: exp.Select, prefix: str) -> exp.Select:
    named = layer.copy()
    if prefix:
        for table in named.find_all(exp.Table):
            if table.name.startswith("rows_") and not table.args.get("db"):
                table.set("this", exp.to_identifier(prefix + table.name, quoted=True))
    return named
