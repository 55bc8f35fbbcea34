"""What statements do: loads, changes, descriptions, rights."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from databricks import sql
from databricks.sdk import WorkspaceClient

from servicetsunami_lookalike import Lookalike

Run = Callable[..., list[dict[str, Any]]]
Refused = sql.exc.ServerOperationError


@pytest.fixture
def put(workspace: WorkspaceClient, catalog: str) -> Callable[..., str]:
    """Put rows into a Parquet file of the volume; return the folder."""

    def put_file(name: str, rows: list[dict[str, Any]]) -> str:
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file)
        workspace.files.upload(f"/Volumes/{catalog}/s/v/load/{name}", io.BytesIO(file.getvalue()), overwrite=True)
        return f"/Volumes/{catalog}/s/v/load"

    return put_file


def test_copy_into_takes_each_file_once(run: Run, catalog: str, put: Callable[..., str]) -> None:
    table = f"{catalog}.s.t"
    run(f"CREATE TABLE {table} (id BIGINT, name STRING)")
    folder = put("1.parquet", [{"id": 1, "name": "a"}])
    put("_hidden.parquet", [{"id": 99, "name": "hidden"}])
    copy = f"COPY INTO {table} FROM '{folder}' FILEFORMAT = PARQUET"
    first = run(copy)[0]["num_inserted_rows"]
    put("1.parquet", [{"id": 5, "name": "changed"}])
    again = run(copy)[0]["num_inserted_rows"]
    put("2.parquet", [{"id": 2, "name": "b"}])
    named = run(
        f"COPY INTO {table} FROM (SELECT id, upper(name) AS name FROM '{folder}') FILEFORMAT = PARQUET "
        "FILES = ('2.parquet') COPY_OPTIONS ('mergeSchema' = 'false')"
    )[0]["num_inserted_rows"]

    assert (first, again, named) == (1, 0, 1)
    assert run(f"SELECT * FROM {table} ORDER BY id") == [{"id": 1, "name": "a"}, {"id": 2, "name": "B"}]


def test_copy_into_refuses_columns_that_are_new_unless_it_may_add_them(
    run: Run, catalog: str, put: Callable[..., str]
) -> None:
    run(f"CREATE TABLE {catalog}.s.t (id BIGINT)")
    folder = put("1.parquet", [{"id": 1, "new": "x"}])
    with pytest.raises(Refused, match="COPY_INTO_SCHEMA_MISMATCH"):
        run(f"COPY INTO {catalog}.s.t FROM '{folder}' FILEFORMAT = PARQUET")
    run(f"COPY INTO {catalog}.s.t FROM '{folder}' FILEFORMAT = PARQUET COPY_OPTIONS ('mergeSchema' = 'true')")

    assert run(f"SELECT * FROM {catalog}.s.t") == [{"id": 1, "new": "x"}]


def test_files_are_read_with_where_they_lay(run: Run, put: Callable[..., str]) -> None:
    folder = put("a.parquet", [{"id": 1}])
    put("b.parquet", [{"id": 2}])

    found = run(f"SELECT id, _metadata.file_path AS f FROM read_files('{folder}', format => 'parquet') ORDER BY id")

    assert found == [{"id": 1, "f": f"{folder}/a.parquet"}, {"id": 2, "f": f"{folder}/b.parquet"}]


def test_merge_matches_inserts_and_deletes(run: Run, catalog: str) -> None:
    table = f"{catalog}.s.t"
    run(f"CREATE TABLE {table} AS SELECT * FROM VALUES (1, 'a'), (2, 'b'), (3, 'c') AS v(id, name)")
    counted = run(
        f"MERGE INTO {table} t USING (SELECT * FROM VALUES (1, 'x', false), (2, 'y', true), (4, 'z', false) "
        "AS v(id, name, gone)) s ON t.id <=> s.id "
        "WHEN MATCHED AND s.gone THEN DELETE WHEN MATCHED THEN UPDATE SET t.name = s.name "
        "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name) "
        "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET t.name = 'left'"
    )

    assert counted == [{"num_affected_rows": 4, "num_updated_rows": 2, "num_deleted_rows": 1, "num_inserted_rows": 1}]
    assert run(f"SELECT * FROM {table} ORDER BY id") == [
        {"id": 1, "name": "x"},
        {"id": 3, "name": "left"},
        {"id": 4, "name": "z"},
    ]


def test_merge_refuses_two_rows_for_one(run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id, 'a' AS name")
    twice = "(SELECT * FROM VALUES (1, 'b'), (1, 'c') AS v(id, name)) s ON t.id = s.id"

    with pytest.raises(Refused, match="MULTIPLE_SOURCE_ROW"):
        run(f"MERGE INTO {catalog}.s.t t USING {twice} WHEN MATCHED THEN UPDATE SET *")

    assert run(f"SELECT name FROM {catalog}.s.t") == [{"name": "a"}]


def test_merge_adds_columns_where_the_schema_may_evolve(run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id")
    source = "(SELECT 2 AS id, 'x' AS extra) s ON t.id = s.id"
    run(f"MERGE WITH SCHEMA EVOLUTION INTO {catalog}.s.t t USING {source} WHEN NOT MATCHED THEN INSERT *")

    assert run(f"SELECT * FROM {catalog}.s.t ORDER BY id") == [{"id": 1, "extra": None}, {"id": 2, "extra": "x"}]


def test_columns_change_as_delta_lets_them(run: Run, catalog: str) -> None:
    table = f"{catalog}.s.t"
    run(f"CREATE TABLE {table} (id INT NOT NULL COMMENT 'the id', name STRING) CLUSTER BY (id)")
    with pytest.raises(Refused, match="CHANGE_COL"):
        run(f"ALTER TABLE {table} ALTER COLUMN id TYPE BIGINT")
    run(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    run(f"ALTER TABLE {table} ALTER COLUMN id TYPE BIGINT")
    with pytest.raises(Refused, match="CHANGE_COL"):
        run(f"ALTER TABLE {table} ALTER COLUMN name TYPE INT")
    run(f"ALTER TABLE {table} ADD COLUMNS (a DATE COMMENT 'x', b ARRAY<STRING>)")
    with pytest.raises(Refused, match="NOT_NULL"):
        run(f"INSERT INTO {table} (name) VALUES ('a')")
    run(f"ALTER TABLE {table} ALTER COLUMN id DROP NOT NULL")
    run(f"INSERT INTO {table} (name) VALUES ('a')")

    told = [(row["col_name"], row["data_type"], row["comment"]) for row in run(f"DESCRIBE {table}")]
    assert told == [
        ("id", "bigint", "the id"),
        ("name", "string", None),
        ("a", "date", "x"),
        ("b", "array<string>", None),
    ]


def test_a_table_tells_its_history_properties_and_tags(run: Run, catalog: str) -> None:
    table = f"{catalog}.s.t"
    run(f"CREATE TABLE {table} (id INT) CLUSTER BY (id) COMMENT 'It\\'s' TBLPROPERTIES ('a' = 'b')")
    run(f"INSERT INTO {table} VALUES (1), (2)")
    run(f"ALTER TABLE {table} SET TAGS ('team' = 'data')")
    run(f"CREATE OR REPLACE TABLE {table} COMMENT 'new' AS SELECT * FROM {table}")

    history = [
        (row["version"], row["operation"], dict(row["operationMetrics"])) for row in run(f"DESCRIBE HISTORY {table}")
    ]
    (detail,) = run(f"DESCRIBE DETAIL {table}")
    (tag,) = run(f"SELECT tag_name, tag_value FROM {catalog}.information_schema.table_tags")
    assert history == [
        (2, "CREATE OR REPLACE TABLE AS SELECT", {"numOutputRows": "2"}),
        (1, "WRITE", {"numOutputRows": "2"}),
        (0, "CREATE TABLE", {}),
    ]
    assert (detail["description"], detail["format"]) == ("new", "delta")
    assert tag == {"tag_name": "team", "tag_value": "data"}


def test_views_show_their_tables_as_they_are(run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id")
    run(f"CREATE OR REPLACE VIEW {catalog}.s.v1 COMMENT 'v' AS SELECT id + 1 AS more FROM {catalog}.s.t")
    run(f"INSERT INTO {catalog}.s.t VALUES (5)")

    assert run(f"SELECT * FROM {catalog}.s.v1 ORDER BY more") == [{"more": 2}, {"more": 6}]
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        run(f"CREATE OR REPLACE VIEW {catalog}.s.t AS SELECT 1 AS x")
    with pytest.raises(Refused, match="RECURSIVE_VIEW"):
        run(f"CREATE OR REPLACE VIEW {catalog}.s.v1 AS SELECT * FROM {catalog}.s.v1")


def test_an_external_table_over_a_volume_is_refused(run: Run, catalog: str) -> None:
    with pytest.raises(Refused, match="LOCATION_OVERLAP"):
        run(f"CREATE TABLE {catalog}.s.t (id INT) LOCATION '/Volumes/{catalog}/s/v/x'")


def test_a_principal_does_what_was_granted_and_no_more(
    lookalike: Lookalike, connect: Callable[..., Any], run: Run, catalog: str
) -> None:
    lookalike.add_user("ann-token", "ann")
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id")
    cursor = connect("ann-token").cursor()
    for granted, still in (
        ("USE CATALOG ON CATALOG {c}", "USE SCHEMA"),
        ("USE SCHEMA ON SCHEMA {c}.s", "SELECT"),
        ("SELECT ON TABLE {c}.s.t", None),
    ):
        run(f"GRANT {granted.replace('{c}', catalog)} TO `ann`")
        if still:
            with pytest.raises(Refused, match=still):
                cursor.execute(f"SELECT * FROM {catalog}.s.t")
    cursor.execute(f"SELECT * FROM {catalog}.s.t")

    assert [row.id for row in cursor.fetchall()] == [1]
    for refused in ("INSERT INTO {t} VALUES (2)", "DROP TABLE {t}", "CREATE TABLE {t}2 (id INT)", "CREATE CATALOG x"):
        with pytest.raises(Refused, match="INSUFFICIENT_PERMISSIONS"):
            cursor.execute(refused.replace("{t}", f"{catalog}.s.t"))
    run(f"REVOKE SELECT ON TABLE {catalog}.s.t FROM `ann`")
    with pytest.raises(Refused, match="INSUFFICIENT_PERMISSIONS"):
        cursor.execute(f"SELECT * FROM {catalog}.s.t")


def test_schemas_and_catalogs_go_only_empty_or_with_all_they_hold(run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id")
    with pytest.raises(Refused, match="SCHEMA_NOT_EMPTY"):
        run(f"DROP SCHEMA {catalog}.s")
    with pytest.raises(Refused, match="CATALOG_NOT_EMPTY"):
        run(f"DROP CATALOG {catalog}")
    run(f"DROP CATALOG {catalog} CASCADE")

    assert catalog not in [row["catalog"] for row in run("SHOW CATALOGS")]
    with pytest.raises(Refused, match="NO_SUCH_CATALOG"):
        run(f"SELECT * FROM {catalog}.s.t")


def test_a_temporary_view_is_a_sessions_own(run: Run, connect: Callable[..., Any], catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id UNION ALL SELECT 2 AS id")
    run(f"CREATE TEMPORARY VIEW some AS SELECT id FROM {catalog}.s.t WHERE id = 2")
    found = run("SELECT v.id FROM some v")
    with pytest.raises(Refused, match="NOT_FOUND"):
        connect().cursor().execute("SELECT * FROM some")
    run(f"DELETE FROM {catalog}.s.t WHERE id IN (SELECT id FROM some)")
    run("DROP VIEW some")
    with pytest.raises(Refused, match="NOT_FOUND"):
        run("SELECT * FROM some")

    assert (found, run(f"SELECT id FROM {catalog}.s.t")) == ([{"id": 2}], [{"id": 1}])


def test_texts_become_times_with_whatever_zone_they_name(run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t (id INT, at TIMESTAMP)")
    values = "('2026-01-01 12:00:00.5 +0000', 1), ('2026-01-01 12:00:00-02:00', 2)"
    run(f"INSERT INTO {catalog}.s.t (at, id) VALUES {values}")

    found = [row["at"].isoformat() for row in run(f"SELECT at FROM {catalog}.s.t ORDER BY id")]
    assert found == ["2026-01-01T12:00:00.500000+00:00", "2026-01-01T14:00:00+00:00"]
