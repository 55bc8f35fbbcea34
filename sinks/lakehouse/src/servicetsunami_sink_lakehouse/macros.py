"""Databricks functions that DuckDB has not, or has with another meaning, as macros of a connection."""

from __future__ import annotations

# HUGEINT holds 38 digits; where a quotient needs more on its way, DuckDB says so and the query fails, never rounds.
_QUOTIENT = """
CREATE MACRO ts_quotient(a, b) AS
    CASE WHEN a IS NULL OR b IS NULL THEN NULL
         WHEN b = 0 THEN error('Division by zero')
         ELSE (CASE WHEN (a < 0) <> (b < 0) THEN -1 ELSE 1 END)
              * (abs(a) // abs(b) + CASE WHEN 2 * (abs(a) % abs(b)) >= abs(b) THEN 1 ELSE 0 END) END
"""
_PADDED = """
CREATE MACRO ts_padded(digits, places) AS lpad(digits, CAST(greatest(length(digits), places + 1) AS INTEGER), '0')
"""
_PLACED = """
CREATE MACRO ts_placed(digits, places) AS
    (CASE WHEN digits < 0 THEN '-' ELSE '' END)
    || left(ts_padded(CAST(abs(digits) AS VARCHAR), places), -places)
    || '.' || right(ts_padded(CAST(abs(digits) AS VARCHAR), places), places)
"""
MACROS = (
    "CREATE MACRO ts_digits(x) AS CAST(replace(CAST(x AS VARCHAR), '.', '') AS HUGEINT)",
    _QUOTIENT,
    _PADDED,
    _PLACED,
    """CREATE MACRO ts_field(j, name) AS CASE WHEN json_type(j) = 'OBJECT' THEN
        json_extract(j, '/' || replace(replace(
            list_filter(json_keys(j), lambda k: lower(k) = lower(name))[1], '~', '~0'), '/', '~1')) END""",
    "CREATE MACRO ts_json(j) AS CASE WHEN json_valid(j) THEN CAST(j AS JSON) END",
    """CREATE MACRO ts_substring(s, p, n) AS
        substring(s, greatest(CASE WHEN p > 0 THEN p - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END, 0) + 1,
            greatest(CASE WHEN p > 0 THEN p - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END + greatest(n, 0)
                - greatest(CASE WHEN p > 0 THEN p - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END, 0), 0))""",
    """CREATE MACRO ts_round(x, n) AS
        CASE WHEN isfinite(x) AND abs(x) < 1e15
             THEN CAST(round(CAST(CAST(x AS VARCHAR) AS DECIMAL(38, 20)), n) AS DOUBLE) ELSE x END""",
    """CREATE MACRO ts_add_months(d, n) AS CAST(CAST(d AS DATE) + to_months(CAST(n AS INTEGER)) AS DATE)""",
    """CREATE MACRO ts_whole(s, kind) AS
        CASE WHEN regexp_full_match(trim(s), '[+-]?[0-9]+') THEN trim(s)
             WHEN s IS NULL THEN NULL ELSE error('Conversion Error: ' || kind) END""",
    """CREATE MACRO ts_try_whole(s) AS CASE WHEN regexp_full_match(trim(s), '[+-]?[0-9]+') THEN trim(s) END""",
    """CREATE MACRO ts_number(s, kind) AS
        CASE WHEN regexp_full_match(trim(s), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?') THEN trim(s)
             WHEN s IS NULL THEN NULL ELSE error('Conversion Error: ' || kind) END""",
    """CREATE MACRO ts_try_number(s) AS
        CASE WHEN regexp_full_match(trim(s), '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?') THEN trim(s)
             WHEN regexp_full_match(lower(trim(s)), '[+-]?(nan|inf|infinity|.*[0-9.][fd])')
             THEN error('Unsupported: a text that is a number in Databricks only') END""",
    """CREATE MACRO ts_date(s) AS
        CASE WHEN regexp_full_match(trim(s), '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}') THEN trim(s)
             WHEN s IS NULL THEN NULL
             WHEN regexp_full_match(trim(s), '[+-]?[0-9]{4,7}(-[0-9]{1,2}(-[0-9]{1,2}([ T].*)?)?)?')
             THEN error('Unsupported: a text that is a date in Databricks only')
             ELSE error('Conversion Error: DATE') END""",
    """CREATE MACRO ts_try_date(s) AS
        CASE WHEN regexp_full_match(trim(s), '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}') THEN trim(s)
             WHEN regexp_full_match(trim(s), '[+-]?[0-9]{4,7}(-[0-9]{1,2}(-[0-9]{1,2}([ T].*)?)?)?')
             THEN error('Unsupported: a text that is a date in Databricks only') END""",
    """CREATE MACRO ts_time(s) AS
        CASE WHEN s IS NULL THEN NULL
             WHEN regexp_full_match(trim(s),
                '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?)?')
             THEN trim(s) ELSE error('Unsupported: a text that this engine does not read as a timestamp') END""",
    """CREATE MACRO ts_try_time(s) AS
        CASE WHEN trim(s) IS NULL OR trim(s) = '' THEN NULL
             WHEN regexp_full_match(trim(s),
                '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?)?')
             THEN trim(s) ELSE error('Unsupported: a text that this engine does not read as a timestamp') END""",
    """CREATE MACRO ts_months_between(a, b) AS
        CASE WHEN day(a) = day(b) OR (a = last_day(a) AND b = last_day(b))
             THEN CAST((year(a) - year(b)) * 12 + month(a) - month(b) AS DOUBLE)
             ELSE round((year(a) - year(b)) * 12 + month(a) - month(b) + (day(a) - day(b)) / 31.0, 8) END""",
    "CREATE MACRO ts_isnull(x) AS x IS NULL",
    "CREATE MACRO ts_isnotnull(x) AS x IS NOT NULL",
    "CREATE MACRO ts_zeroifnull(x) AS coalesce(x, 0)",
    "CREATE MACRO ts_nullifzero(x) AS nullif(x, 0)",
    "CREATE MACRO ts_weekday(d) AS CAST(isodow(CAST(d AS DATE)) - 1 AS INTEGER)",
    "CREATE MACRO ts_bround(x) AS round_even(x, 0)",
    "CREATE MACRO ts_pmod(a, b) AS ((a % b) + b) % b",
    "CREATE MACRO ts_array_repeat(x, n) AS list_transform(range(greatest(n, 0)), lambda i: x)",
    """CREATE MACRO ts_at(a, i) AS
        CASE WHEN i < 0 OR i >= len(a) THEN error('Index out of bounds') ELSE a[i + 1] END""",
    """CREATE MACRO ts_contains(a, x) AS
        CASE WHEN a IS NULL OR x IS NULL THEN NULL WHEN list_contains(a, x) THEN true
             WHEN list_count(a) < len(a) THEN NULL ELSE false END""",
    """CREATE MACRO ts_in_month(t) AS epoch_us(t) - epoch_us(date_trunc('month', t))""",
    """CREATE MACRO ts_month_count(a, b) AS (year(b) - year(a)) * 12 + month(b) - month(a)""",
    """CREATE MACRO ts_months(a, b) AS ts_month_count(a, b)
        - CASE WHEN ts_month_count(a, b) > 0 AND ts_in_month(b) < ts_in_month(a) THEN 1
               WHEN ts_month_count(a, b) < 0 AND ts_in_month(b) > ts_in_month(a) THEN -1 ELSE 0 END""",
    """CREATE MACRO ts_sequence(a, b) AS
        CASE WHEN a <= b THEN generate_series(a, b) ELSE generate_series(a, b, -1) END""",
    """CREATE MACRO ts_boolean(s) AS
        CASE WHEN lower(trim(s)) IN ('t', 'true', 'y', 'yes', '1') THEN true
             WHEN lower(trim(s)) IN ('f', 'false', 'n', 'no', '0') THEN false
             WHEN s IS NULL THEN NULL ELSE error('Conversion Error: BOOLEAN') END""",
    """CREATE MACRO ts_try_boolean(s) AS
        CASE WHEN lower(trim(s)) IN ('t', 'true', 'y', 'yes', '1') THEN true
             WHEN lower(trim(s)) IN ('f', 'false', 'n', 'no', '0') THEN false END""",
    "CREATE MACRO ts_ratio(a, b) AS CAST(a AS DOUBLE) / CAST(b AS DOUBLE)",
    "CREATE MACRO ts_div(a, b) AS a // b",
)
