"""The REST API of Unity Catalog, as far as clients need it beside SQL."""

from __future__ import annotations

from typing import Any

from servicetsunami.sdk.delta import to_databricks
from servicetsunami_lookalike.http.messages import ApiError, Request, Response, as_json
from servicetsunami_lookalike.sql.catalogs import Table
from servicetsunami_lookalike.sql.duck import Name
from servicetsunami_lookalike.sql.granting import PRIVILEGES, securable_of
from servicetsunami_lookalike.sql.information import visible
from servicetsunami_lookalike.sql.session import Session
from servicetsunami_lookalike.workspace import Workspace


def list_catalogs(workspace: Workspace, _request: Request) -> Response:
    """List the catalogs."""
    return as_json({"catalogs": [_catalog(workspace, name) for name in workspace.catalogs.names()]})


def get_catalog(workspace: Workspace, request: Request) -> Response:
    """Tell of one catalog."""
    return as_json(_catalog(workspace, request.groups["name"].casefold()))


def create_catalog(workspace: Workspace, request: Request) -> Response:
    """Make a catalog."""
    wanted = request.json()
    name = str(wanted["name"]).casefold()
    workspace.catalogs.grants.require(request.principal, "CREATE CATALOG", "metastore")
    with workspace.catalogs.lock:
        if name in workspace.catalogs.names():
            raise ApiError(409, "CATALOG_ALREADY_EXISTS", f"Catalog '{name}' already exists")
        workspace.catalogs.add_catalog(name, request.principal.name, str(wanted.get("comment", "")))
    return as_json(_catalog(workspace, name))


def update_catalog(workspace: Workspace, request: Request) -> Response:
    """Change whether a catalog is seen in this workspace alone; nothing else of it."""
    name, wanted = request.groups["name"].casefold(), request.json()
    catalog = workspace.catalogs.catalog(name)
    workspace.catalogs.grants.require(request.principal, "MANAGE", name, owners=(catalog.owner,))
    if set(wanted) != {"isolation_mode"} or wanted["isolation_mode"] not in ("ISOLATED", "OPEN"):
        raise ApiError(400, "INVALID_PARAMETER_VALUE", "only isolation_mode can be changed here")
    catalog.isolated = wanted["isolation_mode"] == "ISOLATED"
    return as_json(_catalog(workspace, name))


def list_schemas(workspace: Workspace, request: Request) -> Response:
    """List the schemas of a catalog."""
    catalog = request.query["catalog_name"].casefold()
    found = sorted(workspace.catalogs.catalog(catalog).schemas)
    return as_json({"schemas": [_schema(workspace, catalog, name) for name in found]})


def get_schema(workspace: Workspace, request: Request) -> Response:
    """Tell of one schema."""
    catalog, _, schema = request.groups["name"].casefold().partition(".")
    return as_json(_schema(workspace, catalog, schema))


def list_tables(workspace: Workspace, request: Request) -> Response:
    """List the tables of a schema that the caller may read."""
    catalog, schema = request.query["catalog_name"].casefold(), request.query["schema_name"].casefold()
    workspace.catalogs.schema(catalog, schema)
    session = Session(workspace.catalogs, request.principal)
    found = [(name, table) for name, table in visible(session, catalog) if name[1] == schema]
    return as_json({"tables": [_table(workspace, name, table) for name, table in found]})


def get_table(workspace: Workspace, request: Request) -> Response:
    """Tell of one table, with its columns."""
    name = Session.name(request.groups["name"].casefold().split("."))
    table = workspace.catalogs.table(name)
    Session(workspace.catalogs, request.principal).require("SELECT", name)
    return as_json(_table(workspace, name, table))


def list_volumes(workspace: Workspace, request: Request) -> Response:
    """List the volumes of a schema."""
    catalog, schema = request.query["catalog_name"].casefold(), request.query["schema_name"].casefold()
    names = sorted(workspace.catalogs.schema(catalog, schema).volumes)
    return as_json({"volumes": [_volume(workspace, (catalog, schema, name)) for name in names]})


def get_volume(workspace: Workspace, request: Request) -> Response:
    """Tell of one volume."""
    name = Session.name(request.groups["name"].casefold().split("."))
    if name[2] not in workspace.catalogs.schema(*name[:2]).volumes:
        raise ApiError(404, "VOLUME_DOES_NOT_EXIST", f"Volume '{'.'.join(name)}' does not exist")
    return as_json(_volume(workspace, name))


def get_grants(workspace: Workspace, request: Request) -> Response:
    """Tell who holds what on a securable itself."""
    return as_json(_grants(workspace, _securable(workspace, request)))


def change_grants(workspace: Workspace, request: Request) -> Response:
    """Give privileges and take them."""
    securable = _securable(workspace, request)
    owner = workspace.catalogs.catalog(securable.partition(".")[0]).owner
    workspace.catalogs.grants.require(request.principal, "MANAGE", *securable.split("."), owners=(owner,))
    for change in request.json().get("changes", []):
        who = str(change["principal"])
        workspace.catalogs.grants.give(securable, who, _privileges(change.get("add", [])))
        workspace.catalogs.grants.take(securable, who, _privileges(change.get("remove", [])))
    return as_json(_grants(workspace, securable))


def _privileges(names: list[str]) -> set[str]:
    found = {name.replace("_", " ") for name in names}
    if unknown := found - PRIVILEGES:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", f"unknown privilege {min(unknown)}")
    return found


def _securable(workspace: Workspace, request: Request) -> str:
    session = Session(workspace.catalogs, request.principal)
    return securable_of(session, request.groups["kind"], request.groups["name"])


def _grants(workspace: Workspace, securable: str) -> dict[str, Any]:
    held = workspace.catalogs.grants.on(securable)
    return {
        "privilege_assignments": [
            {"principal": who, "privileges": sorted(one.replace(" ", "_") for one in privileges)}
            for who, privileges in sorted(held.items())
        ]
    }


def _catalog(workspace: Workspace, name: str) -> dict[str, Any]:
    found = workspace.catalogs.catalog(name)
    mode = "ISOLATED" if found.isolated else "OPEN"
    told = {"name": name, "owner": found.owner, "comment": found.comment, "isolation_mode": mode}
    return {**told, "catalog_type": "MANAGED_CATALOG"}


def _schema(workspace: Workspace, catalog: str, name: str) -> dict[str, Any]:
    found = workspace.catalogs.schema(catalog, name)
    full = {"full_name": f"{catalog}.{name}", "catalog_name": catalog, "name": name}
    return {**full, "owner": found.owner, "comment": found.comment}


def _table(workspace: Workspace, name: Name, table: Table) -> dict[str, Any]:
    columns = [
        {"name": one.name, "type_text": to_databricks(one.type).lower(), "position": at, "nullable": one.nullable}
        for at, one in enumerate(workspace.catalogs.columns(name))
    ]
    return {
        "full_name": ".".join(name),
        "catalog_name": name[0],
        "schema_name": name[1],
        "name": name[2],
        "table_type": "VIEW" if table.definition else "MANAGED",
        "owner": table.owner,
        "comment": table.comment,
        "columns": columns,
        "properties": table.properties,
    }


def _volume(workspace: Workspace, name: Name) -> dict[str, Any]:
    comment = workspace.catalogs.schema(*name[:2]).volumes[name[2]]
    parts = {"catalog_name": name[0], "schema_name": name[1], "name": name[2], "full_name": ".".join(name)}
    return {**parts, "volume_type": "MANAGED", "comment": comment}
