"""What a guarded query in Databricks SQL may be made of; whatever is not named here is refused.

Names in `SYNTAX` are classes of sqlglot's syntax tree; functions it has no class for are in `NAMED_FUNCTIONS`. A
function is here only if it computes: none reads files, the network, secrets, sessions or who is asking.
"""

from __future__ import annotations

_STRUCTURE = """
    Select SetOperation Union Except Intersect Subquery With CTE From Join Where Group Having Qualify Order Ordered Sort
    Limit Offset Distinct Star Alias Aliases TableAlias Table Column Identifier Tuple Values Lateral Unnest Pivot
    PivotAlias UnpivotColumns Cube Rollup GroupingSets Window WindowSpec WithinGroup Filter IgnoreNulls RespectNulls
    Lambda Kwarg PropertyEQ Version Hint JoinHint Dot Var All Any OverflowTruncateBehavior
"""
_EXPRESSIONS = """
    Literal Null Boolean Paren Add Sub Mul Div IntDiv Mod Neg DPipe And Or Not Xor EQ NEQ GT GTE LT LTE NullSafeEQ
    NullSafeNEQ Is In Between Like ILike RegexpLike RegexpILike Escape Case If Interval IntervalSpan DataType
    DataTypeParam ColumnDef Cast TryCast Bracket Slice AtTimeZone FromTimeZone BitwiseAnd BitwiseOr BitwiseXor
    BitwiseNot BitwiseLeftShift BitwiseRightShift HexString RawString JSONPath JSONPathRoot JSONPathKey
    JSONPathSubscript JSONPathWildcard ColumnConstraint NotNullColumnConstraint
"""
_AGGREGATES = """
    AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin ArrayAgg ArrayUniqueAgg Avg BitwiseAndAgg BitwiseOrAgg
    BitwiseXorAgg Corr Count CountIf CovarPop CovarSamp First FirstValue GroupConcat Grouping GroupingId Kurtosis Last
    LastValue LogicalAnd LogicalOr Max Median Min Mode PercentileCont PercentileDisc Quantile RegrAvgx RegrAvgy
    RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy Skewness Stddev StddevPop StddevSamp Sum Variance
    VariancePop CumeDist DenseRank Lag Lead NthValue Ntile PercentRank Rank RowNumber
"""
_MATHS = """
    Abs Acos Acosh Asin Asinh Atan Atan2 Atanh BitwiseCount Cbrt Ceil Cos Cosh Cot Csc Degrees Exp Factorial Floor
    Greatest Hex IsNan Least Ln Log Nanvl Pi Pow Radians Rint Round SafeAdd SafeDivide SafeMultiply SafeSubtract Sec
    Sign Sin Sinh Sqrt Tan Tanh ToNumber Unhex WidthBucket
"""
_TEXTS = """
    Ascii BitLength ByteLength Chr Concat ConcatWs Contains Elt EndsWith Format FromBase64 Initcap Left Length
    Levenshtein Lower MD5 NumberToStr Overlay Pad ParseUrl RegexpCount RegexpExtract RegexpExtractAll RegexpInstr
    RegexpReplace RegexpSplit RegexpSubstr Repeat Replace Reverse Right SHA SHA2 Soundex Space Split SplitPart
    StartsWith StrPosition Substring SubstringIndex ToBase64 ToChar Translate Trim Upper Encode Decode DecodeCase
    Collate
"""
_TIMES = """
    AddMonths CurrentDate CurrentTimestamp Date DateAdd DateDiff DateFromParts DateFromUnixDate DateSub DateTrunc Day
    DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Dayname Extract Hour LastDay Localtimestamp MakeInterval Minute Month
    Monthname MonthsBetween NextDay Quarter Second StrToDate StrToTime StrToUnix TimeToStr TimeToUnix Timestamp
    TimestampAdd TimestampDiff TimestampFromParts TimestampSub TimestampTrunc Trunc TsOrDsAdd TsOrDsDiff TsOrDsToDate
    TimeStrToTime TsOrDsToTimestamp UnixDate UnixMicros UnixMillis UnixSeconds UnixToStr UnixToTime Week WeekOfYear Year
"""
_NESTED = """
    Array ArrayAppend ArrayCompact ArrayConcat ArrayContains ArrayDistinct ArrayExcept ArrayFilter ArrayInsert
    ArrayIntersect ArrayMax ArrayMin ArrayPosition ArrayPrepend ArrayRemove ArraySize ArraySlice ArraySort ArrayOverlaps
    ArrayToString ArraysZip Exists Explode _ExplodeOuter Flatten FromJson GenerateSeries Inline JSONExtract
    JSONExtractScalar JSONFormat JSONKeys Map MapContainsKey MapFromEntries MapKeys ParseJSON Posexplode PosexplodeOuter
    Reduce Shuffle Stack StrToMap Struct StructExtract Transform VarMap
"""
_CHOICES = "Coalesce EqualNull Nullif Nvl2 Typeof Uuid Rand Uniform"

SYNTAX = frozenset(" ".join((_STRUCTURE, _EXPRESSIONS, _AGGREGATES, _MATHS, _TEXTS, _TIMES, _NESTED, _CHOICES)).split())

_NAMED = """
    array_repeat arrays_overlap array_union bigint bin bit_count bit_get bitwise_not bround btrim cardinality conv cot
    count_min_sketch crc32 date_part e every expm1 find_in_set forall format_number get hash histogram_numeric hypot
    isnotnull isnull json_array_length json_tuple log1p luhn_check make_date make_dt_interval make_timestamp
    make_ym_interval map_concat map_entries map_filter map_from_arrays map_values map_zip_with mean negative nullifzero
    pmod positive schema_of_json sentences some timediff timestamp_micros timestamp_millis timestamp_seconds
    transform_keys transform_values try_avg try_parse_json try_sum try_to_date try_to_number try_to_timestamp url_decode
    url_encode variant_get try_variant_get weekday xxhash64 zeroifnull zip_with
"""

_TABLE = """
    range explode explode_outer posexplode posexplode_outer inline inline_outer stack Explode _ExplodeOuter Posexplode
    PosexplodeOuter Inline Stack
"""

NAMED_FUNCTIONS = frozenset(_NAMED.split())
TABLE_FUNCTIONS = frozenset(_TABLE.split())
