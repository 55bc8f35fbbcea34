"""What a tenant needs before its first load: catalog, schemas, stage, ledger, grants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servicetsunami.sdk.sql import quote_identifier, quote_path
from servicetsunami_sink_databricks.config import DatabricksConfig
from servicetsunami_sink_databricks.failures import on_databricks
from servicetsunami_sink_databricks.ledger import DEFINITION
from servicetsunami_sink_databricks.places import LAYERS, OPS, STAGE, Places
from servicetsunami_sink_databricks.writing_sql import text, words

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_SCHEMAS = {
    "bronze": "Rows as they came from the sources.",
    "silver": "Rows cleaned and typed.",
    "gold": "What people ask about.",
    OPS: "Bookkeeping of loads; not for people.",
}


def statements(places: Places, config: DatabricksConfig) -> list[str]:
    """Write all that sets a tenant up, in order; each statement may be run again."""
    catalog = quote_identifier(places.catalog, "databricks")
    made = [words("CREATE CATALOG IF NOT EXISTS", catalog, "COMMENT", text(f"Tenant {places.tenant}."))]
    for schema, comment in _SCHEMAS.items():
        name = quote_path(places.catalog, schema, dialect="databricks")
        made.append(words("CREATE SCHEMA IF NOT EXISTS", name, "COMMENT", text(comment)))
    made.append(words("CREATE VOLUME IF NOT EXISTS", _stage(places), "COMMENT", text("Files of loads on their way.")))
    made.append(words("CREATE TABLE IF NOT EXISTS", places.ledger, DEFINITION))
    return [*made, *_grants(places, config)]


def bind(client: WorkspaceClient, catalog: str) -> None:
    """Let a catalog be seen in this workspace alone; others can be bound to it by whoever manages it."""
    from databricks.sdk.service.catalog import CatalogIsolationMode

    with on_databricks("binding the tenant's catalog to this workspace"):
        client.catalogs.update(catalog, isolation_mode=CatalogIsolationMode.ISOLATED)


def _grants(places: Places, config: DatabricksConfig) -> Iterator[str]:
    catalog = quote_identifier(places.catalog, "databricks")
    if config.loader_principal:
        who = _principal(config.loader_principal, places)
        yield words("GRANT USE CATALOG ON CATALOG", catalog, "TO", who)
        for schema in _SCHEMAS:
            name = quote_path(places.catalog, schema, dialect="databricks")
            yield words("GRANT USE SCHEMA, CREATE TABLE, SELECT, MODIFY ON SCHEMA", name, "TO", who)
        yield words("GRANT READ VOLUME, WRITE VOLUME ON VOLUME", _stage(places), "TO", who)
    if config.reader_principal:
        who = _principal(config.reader_principal, places)
        yield words("GRANT USE CATALOG ON CATALOG", catalog, "TO", who)
        for schema in LAYERS:
            name = quote_path(places.catalog, schema, dialect="databricks")
            yield words("GRANT USE SCHEMA, SELECT ON SCHEMA", name, "TO", who)


def _stage(places: Places) -> str:
    return quote_path(places.catalog, "bronze", STAGE, dialect="databricks")


def _principal(pattern: str, places: Places) -> str:
    return quote_identifier(pattern.replace("{tenant}", places.tenant), "databricks")
