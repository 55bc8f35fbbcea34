"""The vocabulary in which people and models say how bronze rows become silver rows.

Each step names what it does and to which columns; steps are carried out in the order in which they are given. Checks
look at the rows that come out. Nothing here is SQL but `filter` and `compute`, whose expressions the guard reads.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MOST_STEPS = 100
Failure = Literal["null", "quarantine", "stop"]
"""What becomes of a row whose value cannot be read: the cell is null, the row is set aside, or nothing is written."""
Action = Literal["warn", "quarantine", "stop"]
_TYPE = re.compile(r"string|int|bigint|double|boolean|date|timestamp|decimal\(\d{1,2}(, ?\d{1,2})?\)")
_MOST_DIGITS = 38


def _checked_type(text: str) -> str:
    kind = text.strip().casefold()
    if not _TYPE.fullmatch(kind):
        raise ValueError("use string, int, bigint, double, boolean, date, timestamp or decimal(precision,scale)")
    digits = [int(number) for number in re.findall(r"\d+", kind)]
    if digits and not (1 <= digits[0] <= _MOST_DIGITS and sum(digits[1:]) <= digits[0]):
        raise ValueError("a decimal has 1 to 38 digits, of which no more than all stand behind the point")
    return kind


ColumnName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=255)]
NewName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Columns: TypeAlias = Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=500)]
TypeName: TypeAlias = Annotated[str, AfterValidator(_checked_type)]
Expression: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=5_000)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=1_000)]


class Declared(BaseModel):
    """Base of steps and checks."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rename(Declared):
    """Give a column another name."""

    op: Literal["rename"]
    column: ColumnName
    to: NewName


class Drop(Declared):
    """Leave columns out."""

    op: Literal["drop"]
    columns: Columns


class Trim(Declared):
    """Take the spaces off both ends of texts."""

    op: Literal["trim"]
    columns: Columns


class ChangeCase(Declared):
    """Write texts in upper case, lower case, or each word with a capital."""

    op: Literal["case"]
    columns: Columns
    to: Literal["lower", "upper", "title"]


class Nullify(Declared):
    """Make null of the spellings of null, such as `N/A` or the empty text; case and outer spaces do not matter."""

    op: Literal["nullify"]
    columns: Columns
    values: tuple[Text, ...] = ("", "null", "none", "nil", "n/a", "na", "-", "unknown")


class Fill(Declared):
    """Put a value in the place of nulls."""

    op: Literal["fill"]
    column: ColumnName
    value: bool | int | float | Text


class Cast(Declared):
    """Change a column's type. Texts are read strictly; see `parse_number` and `parse_date` for other spellings."""

    op: Literal["cast"]
    column: ColumnName
    type: TypeName
    on_failure: Failure = "null"


class ParseDate(Declared):
    """Read texts as dates or timestamps, by the first of the formats that fits."""

    op: Literal["parse_date"]
    column: ColumnName
    formats: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)] = Field(
        description="Such as yyyy-MM-dd, dd/MM/yyyy, d MMM yyyy, yyyy-MM-dd HH:mm:ss."
    )
    type: Literal["date", "timestamp"] = "date"
    on_failure: Failure = "null"


class ParseNumber(Declared):
    """Read texts such as `1.234,50 €` as numbers."""

    op: Literal["parse_number"]
    column: ColumnName
    type: TypeName = "decimal(18,2)"
    decimal_mark: Literal[".", ","] = "."
    on_failure: Failure = "null"


class Deduplicate(Declared):
    """Keep one row of those with the same key: the first by `order_by`, by default the one synced last."""

    op: Literal["deduplicate"]
    key: Columns
    order_by: tuple[ColumnName, ...] = ()
    descending: bool = Field(True, description="Whether the greatest values of order_by come first.")


class Filter(Declared):
    """Keep the rows for which a condition holds."""

    op: Literal["filter"]
    where: Expression = Field(description="Condition in Databricks SQL, such as amount > 0.")


class Split(Declared):
    """Take a text apart at a separator, into columns of its own."""

    op: Literal["split"]
    column: ColumnName
    separator: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    into: Annotated[tuple[NewName, ...], Field(min_length=1, max_length=20)]
    keep: bool = Field(True, description="Whether the column itself stays.")


class Mask(Declared):
    """Show nothing of texts but their last characters."""

    op: Literal["mask"]
    columns: Columns
    show_last: Annotated[int, Field(ge=0, le=8)] = 0


class Hash(Declared):
    """Put the SHA-256 of a text in its place. Equal values stay equal, and values that can be guessed can be found."""

    op: Literal["hash"]
    columns: Columns


class ExtractJson(Declared):
    """Take a value out of a text of JSON, into a column of its own."""

    op: Literal["extract_json"]
    column: ColumnName
    path: Annotated[str, StringConstraints(pattern=r"^\$([.][A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,4}\])+$")]
    to: NewName
    type: TypeName = "string"
    on_failure: Failure = "null"


class Flatten(Declared):
    """Make a column of each field of a struct."""

    op: Literal["flatten"]
    column: ColumnName
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{0,60}$")] | None = Field(
        None, description="Before the fields' names; the column's name and _ by default."
    )


class Compute(Declared):
    """Add a column, or replace one, by an expression."""

    op: Literal["compute"]
    column: NewName
    expression: Expression = Field(description="In Databricks SQL, such as quantity * price.")
    type: TypeName


Step: TypeAlias = Annotated[
    Rename
    | Drop
    | Trim
    | ChangeCase
    | Nullify
    | Fill
    | Cast
    | ParseDate
    | ParseNumber
    | Deduplicate
    | Filter
    | Split
    | Mask
    | Hash
    | ExtractJson
    | Flatten
    | Compute,
    Field(discriminator="op"),
]


class NotNull(Declared):
    """These columns hold a value in every row."""

    check: Literal["not_null"]
    columns: Columns
    action: Action = "warn"


class Unique(Declared):
    """No two rows have the same values in these columns."""

    check: Literal["unique"]
    columns: Columns
    action: Action = "warn"


class Range(Declared):
    """Values lie between two bounds, which count as inside; null passes."""

    check: Literal["range"]
    column: ColumnName
    minimum: float | int | Text | None = None
    maximum: float | int | Text | None = None
    action: Action = "warn"


class Pattern(Declared):
    """Texts match a regular expression as a whole; null passes."""

    check: Literal["pattern"]
    column: ColumnName
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    action: Action = "warn"


class OneOf(Declared):
    """Values are among those listed; null passes."""

    check: Literal["one_of"]
    column: ColumnName
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=500)]
    action: Action = "warn"


class Reference(Declared):
    """Values are there in a column of another table; null passes."""

    check: Literal["reference"]
    column: ColumnName
    table: Annotated[str, StringConstraints(pattern=r"^(bronze|silver|gold)\.[a-z0-9_]{1,128}$")]
    to: ColumnName
    action: Action = "warn"


class RowCount(Declared):
    """The table has about as many rows as before."""

    check: Literal["row_count"]
    max_change: Annotated[float, Field(gt=0, le=100)] = Field(
        0.5, description="Greatest change, as a share of the rows before: 0.5 is half."
    )
    action: Literal["warn", "stop"] = "stop"


Check: TypeAlias = Annotated[
    NotNull | Unique | Range | Pattern | OneOf | Reference | RowCount, Field(discriminator="check")
]
