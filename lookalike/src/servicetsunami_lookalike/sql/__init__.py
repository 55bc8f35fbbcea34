"""Databricks SQL, run on DuckDB: what is not known is refused, never taken for done."""
