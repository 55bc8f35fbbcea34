"""DESCRIBE and SHOW."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
from sqlglot import exp

from servicetsunami.sdk.delta import to_databricks
from servicetsunami_lookalike.sql.catalogs import Table
from servicetsunami_lookalike.sql.duck import Name
from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.sql.information import visible
from servicetsunami_lookalike.sql.session import Answer, Session, told

_BYTES_A_ROW = 64
"""DuckDB does not tell how large a table is; a size that grows with it serves those who show one."""


def describe_table(session: Session, text: str, *, extended: bool = False) -> Answer:
    """List the columns; EXTENDED adds what is known of the table."""
    name, table = _readable(session, text)
    rows = [
        (column.name, to_databricks(column.type).lower(), table.column_comments.get(column.name.casefold()))
        for column in session.catalogs.columns(name)
    ]
    if extended:
        kind = "VIEW" if table.definition else "MANAGED"
        rows += [("", "", None), ("# Detailed Table Information", "", None)]
        rows += [("Catalog", name[0], None), ("Database", name[1], None), ("Table", name[2], None)]
        rows += [("Type", kind, None), ("Comment", table.comment, None), ("Owner", table.owner, None)]
    names, kinds, comments = zip(*rows, strict=True)
    return Answer(told(col_name=names, data_type=kinds, comment=comments))


def describe_detail(session: Session, text: str) -> Answer:
    """Tell format, sizes and properties of a table."""
    name, table = _readable(session, text)
    if table.definition:
        raise SqlError("EXPECT_TABLE_NOT_VIEW", f"'{'.'.join(name)}' expects a table but is a view.", "42809")
    moment = datetime.fromtimestamp(table.history[-1]["timestamp"] / 1e6, UTC)
    stamp = pa.array([moment], pa.timestamp("us", tz="UTC"))
    return Answer(
        pa.table(
            {
                "format": ["delta"],
                "id": [table.id],
                "name": [".".join(name)],
                "description": pa.array([table.comment or None], pa.string()),
                "location": [f"lookalike://{table.id}"],
                "createdAt": stamp,
                "lastModified": stamp,
                "partitionColumns": pa.array([[]], pa.list_(pa.string())),
                "clusteringColumns": pa.array([list(table.clustered_by)], pa.list_(pa.string())),
                "numFiles": pa.array([1], pa.int64()),
                "sizeInBytes": pa.array([session.catalogs.count(name) * _BYTES_A_ROW], pa.int64()),
                "properties": pa.array([list(table.properties.items())], pa.map_(pa.string(), pa.string())),
            }
        )
    )


def describe_history(session: Session, text: str, limit: int | None = None) -> Answer:
    """Tell the versions of a table, the latest first."""
    name, table = _readable(session, text)
    if table.definition:
        raise SqlError("EXPECT_TABLE_NOT_VIEW", f"'{'.'.join(name)}' expects a table but is a view.", "42809")
    latest = table.history[::-1][:limit]
    metrics = [list(one["operationMetrics"].items()) for one in latest]
    return Answer(
        pa.table(
            {
                "version": pa.array([one["version"] for one in latest], pa.int64()),
                "timestamp": pa.array([one["timestamp"] for one in latest], pa.timestamp("us", tz="UTC")),
                "userName": pa.array([table.owner] * len(latest), pa.string()),
                "operation": pa.array([one["operation"] for one in latest], pa.string()),
                "operationMetrics": pa.array(metrics, pa.map_(pa.string(), pa.string())),
            }
        )
    )


def describe_schema(session: Session, text: str) -> Answer:
    """Tell name, comment and owner of a schema."""
    catalog, name = schema_name(session, text)
    schema = session.catalogs.schema(catalog, name)
    session.require_schema("USE SCHEMA", catalog, name)
    rows = {"Catalog Name": catalog, "Namespace Name": name, "Comment": schema.comment, "Owner": schema.owner}
    return Answer(told(database_description_item=list(rows), database_description_value=list(rows.values())))


def describe_catalog(session: Session, text: str) -> Answer:
    """Tell name, comment and owner of a catalog."""
    name = text.strip("`").casefold()
    catalog = session.catalogs.catalog(name)
    session.catalogs.grants.require(session.principal, "USE CATALOG", name, owners=(catalog.owner,))
    rows = {"Catalog Name": name, "Comment": catalog.comment, "Owner": catalog.owner}
    return Answer(told(info_name=list(rows), info_value=list(rows.values())))


def describe_volume(session: Session, text: str) -> Answer:
    """Tell a volume's name and comment."""
    name = session.name_of(exp.to_table(text, dialect="databricks"))
    volumes = session.catalogs.schema(*name[:2]).volumes
    if name[2] not in volumes:
        raise SqlError("VOLUME_NOT_FOUND", f"Volume '{'.'.join(name)}' does not exist.", "42704")
    return Answer(told(name=[name[2]], catalog=[name[0]], database=[name[1]], comment=[volumes[name[2]]]))


def describe_json(session: Session, text: str) -> Answer:
    """Tell the columns of a table as one JSON document."""
    name, table = _readable(session, text)
    columns = [
        {"name": one.name, "type": {"name": to_databricks(one.type).lower()}, "nullable": one.nullable}
        for one in session.catalogs.columns(name)
    ]
    document = {"table_name": name[2], "catalog_name": name[0], "schema_name": name[1], "columns": columns}
    return Answer(told(json_metadata=[json.dumps({**document, "comment": table.comment})]))


def show_catalogs(session: Session) -> Answer:
    """List the catalogs."""
    return Answer(told(catalog=session.catalogs.names()))


def show_schemas(session: Session, catalog: str | None) -> Answer:
    """List the schemas of a catalog."""
    found = session.catalogs.catalog((catalog or session.catalog).strip("`").casefold())
    return Answer(told(databaseName=sorted([*found.schemas, "information_schema"])))


def show_tables(session: Session, text: str | None, *, views: bool = False) -> Answer:
    """List the tables and views of a schema, or its views alone."""
    catalog, schema = schema_name(session, text) if text else (session.catalog, session.schema)
    session.catalogs.schema(catalog, schema)
    found = [
        name[2] for name, table in visible(session, catalog) if name[1] == schema and (table.definition or not views)
    ]
    temporary = pa.array([False] * len(found), pa.bool_())
    columns = {"namespace" if views else "database": [schema] * len(found)}
    return Answer(told(**columns, **{"viewName" if views else "tableName": found}, isTemporary=temporary))


def show_columns(session: Session, text: str) -> Answer:
    """List the names of a table's columns."""
    name, _ = _readable(session, text)
    return Answer(told(col_name=[column.name for column in session.catalogs.columns(name)]))


def show_properties(session: Session, text: str) -> Answer:
    """List the properties of a table."""
    _, table = _readable(session, text)
    return Answer(told(key=list(table.properties), value=list(table.properties.values())))


def show_volumes(session: Session, text: str) -> Answer:
    """List the volumes of a schema."""
    catalog, schema = schema_name(session, text)
    volumes = session.catalogs.schema(catalog, schema).volumes
    return Answer(told(database=[schema] * len(volumes), volume_name=sorted(volumes)))


def schema_name(session: Session, text: str) -> tuple[str, str]:
    """Return catalog and schema that a text names."""
    parts = [part.name.casefold() for part in exp.to_table(text, dialect="databricks").parts]
    catalog, schema = [session.catalog, *parts][-2:]
    return catalog, schema


def _readable(session: Session, text: str) -> tuple[Name, Table]:
    name = session.name_of(exp.to_table(text, dialect="databricks"))
    table = session.catalogs.table(name)
    session.require("SELECT", name)
    return name, table
