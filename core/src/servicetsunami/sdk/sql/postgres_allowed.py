"""What a SELECT at a PostgreSQL source may hold. Whatever is not named here is refused."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES = _words(
    """
    ParseResult RawStmt SelectStmt Node List ResTarget A_Const Integer Float Boolean String BitString ColumnRef A_Star
    A_Expr BoolExpr NullTest BooleanTest SubLink CaseExpr CaseWhen CoalesceExpr MinMaxExpr FuncCall NamedArgExpr
    TypeCast TypeName RangeVar Alias JoinExpr RangeSubselect RangeFunction RangeTableSample ColumnDef SortBy WindowDef
    GroupingSet GroupingFunc WithClause CommonTableExpr CTESearchClause CTECycleClause A_ArrayExpr A_Indirection
    A_Indices RowExpr CollateClause SQLValueFunction
    """
)

NODE_NAMES = {
    "IntoClause": "SELECT INTO, which makes a table",
    "LockingClause": "a locking clause (FOR UPDATE, FOR SHARE)",
    "ParamRef": "a parameter ($1)",
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
}

SAMPLE_METHODS = frozenset({"bernoulli", "system"})

TYPES = _words(
    """
    bool int2 int4 int8 int smallint integer bigint numeric decimal float4 float8 real money
    text varchar bpchar char name citext uuid json jsonb jsonpath bytea bit varbit
    date time timetz timestamp timestamptz interval
    inet cidr macaddr macaddr8 point line lseg box path polygon circle tsvector tsquery
    int4range int8range numrange daterange tsrange tstzrange
    int4multirange int8multirange nummultirange datemultirange tsmultirange tstzmultirange
    """
)

_AGGREGATES = """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or count every json_agg json_object_agg jsonb_agg
    jsonb_object_agg max min range_agg range_intersect_agg string_agg sum
    corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy
    regr_syy stddev stddev_pop stddev_samp variance var_pop var_samp
    mode percentile_cont percentile_disc rank dense_rank percent_rank cume_dist
    row_number ntile lag lead first_value last_value nth_value
"""
_MATHEMATICS = """
    abs cbrt ceil ceiling degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi
    power pow radians round scale sign sqrt trim_scale trunc width_bucket
    acos acosd asin asind atan atand atan2 atan2d cos cosd cot cotd sin sind tan tand sinh cosh tanh asinh acosh atanh
"""
_TEXTS = """
    ascii bit_count bit_length btrim casefold char_length character_length chr concat concat_ws convert_from convert_to
    crc32 crc32c decode encode format get_bit get_byte initcap is_normalized left length like_escape lower lpad ltrim
    md5 normalize notlike octet_length overlay parse_ident position quote_ident quote_literal quote_nullable
    regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim sha224 sha256 sha384 sha512
    similar_to_escape split_part starts_with string_to_array string_to_table strpos substr substring to_ascii to_bin
    to_hex to_oct translate trim unistr upper
"""
_TIMES = """
    age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
    justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps
    statement_timestamp time timeofday timestamp timestamptz timezone to_char to_date to_number to_timestamp
    transaction_timestamp
"""
_ARRAYS_AND_RANGES = """
    array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_string
    array_upper cardinality generate_series generate_subscripts trim_array unnest
    isempty lower_inc lower_inf multirange range_merge upper_inc upper_inf
    int4range int8range numrange daterange tsrange tstzrange
"""
_JSON = """
    array_to_json row_to_json to_json to_jsonb json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text json_object
    json_object_keys json_strip_nulls json_to_record json_to_recordset json_typeof
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
    jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys
    jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query jsonb_path_query_array
    jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_pretty
    jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof
"""
_OTHERS = """
    num_nonnulls num_nulls random pg_typeof gen_random_uuid uuid_extract_timestamp uuid_extract_version
    abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask network
    area center diagonal diameter height isclosed isopen npoints pclose popen radius slope width
    numnode plainto_tsquery phraseto_tsquery querytree setweight strip to_tsquery to_tsvector ts_delete ts_filter
    ts_headline ts_rank ts_rank_cd tsvector_to_array websearch_to_tsquery
"""

FUNCTIONS = _words(f"{_AGGREGATES} {_MATHEMATICS} {_TEXTS} {_TIMES} {_ARRAYS_AND_RANGES} {_JSON} {_OTHERS}")
