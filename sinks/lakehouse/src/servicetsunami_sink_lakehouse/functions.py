"""The functions and the syntax that the local engine answers with exactly Databricks' meaning.

Whatever is not here is refused by name. `SAME` are classes of sqlglot's tree whose translation was compared, value by
value, in this distribution's parity tests; `MACROS` maps functions to one of `macros`; the rest is in `rewriting`.
"""

from __future__ import annotations

_SYNTAX = """
    Select SetOperation Union Except Intersect Subquery With CTE From Join Where Group Having Qualify Order Ordered
    Limit Offset Distinct Star Alias TableAlias Table Column Identifier Tuple Values Cube Rollup GroupingSets
    Window WindowSpec WithinGroup Filter Lambda PropertyEQ Dot Var Literal Null Boolean Paren Add Sub Mul Div IntDiv Mod
    Neg DPipe And Or Not EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Is In Between Like ILike Case If
    Interval DataType DataTypeParam Cast TryCast Bracket JSONPath JSONPathRoot JSONPathKey JSONPathSubscript Exists
    Lateral
"""
_SAME_FUNCTIONS = """
    Abs ArgMax ArgMin AnyValue Coalesce Nvl2 Nullif Greatest Least Count Max Min Sqrt Exp Pow Radians Degrees Pi
    LogicalAnd LogicalOr Stddev StddevSamp StddevPop Variance VariancePop Corr CovarPop CovarSamp Mode
    PercentRank CumeDist Grouping Lag Lead FirstValue LastValue NthValue
    Upper Lower Trim Replace StartsWith EndsWith Contains Reverse MD5 CurrentTimestamp
    ArrayMax ArrayMin Transform ArrayFilter Array Struct
"""
_REWRITTEN_FUNCTIONS = """
    Sum Avg CountIf Median ApproxDistinct ArrayAgg ArrayUniqueAgg GroupConcat Quantile PercentileCont
    RowNumber Rank DenseRank Ntile Round Ceil Floor SafeDivide
    Substring Concat ConcatWs Length Ascii StrPosition Left Right Repeat Pad SplitPart SHA2 RegexpSplit RegexpLike
    RegexpExtract RegexpReplace JSONExtract JSONExtractScalar
    Year Month Day DayOfMonth DayOfYear DayOfWeek Quarter WeekOfYear Hour Minute Extract LastDay CurrentDate
    TsOrDsToDate TsOrDsAdd TimestampAdd DateDiff TimestampDiff AddMonths MonthsBetween DateTrunc TimestampTrunc
    TimeToStr TimeStrToTime
    ArraySize ArrayContains ArrayToString GenerateSeries Explode
"""

ANSWERED = frozenset(" ".join((_SYNTAX, _SAME_FUNCTIONS, _REWRITTEN_FUNCTIONS)).split())
NAMED = {
    "isnull": "ts_isnull",
    "isnotnull": "ts_isnotnull",
    "zeroifnull": "ts_zeroifnull",
    "nullifzero": "ts_nullifzero",
    "weekday": "ts_weekday",
    "every": "bool_and",
    "some": "bool_or",
    "bround": "ts_bround",
    "pmod": "ts_pmod",
    "btrim": "trim",
    "make_date": "make_date",
    "array_repeat": "ts_array_repeat",
}
