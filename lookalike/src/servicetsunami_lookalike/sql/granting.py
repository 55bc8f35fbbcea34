"""GRANT, REVOKE and SHOW GRANTS; CREATE and DROP of catalogs and volumes."""

from __future__ import annotations

import re
import shutil

from sqlglot import exp

from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.sql.session import Answer, Session, nothing, told

PRIVILEGES = frozenset(
    (
        "ALL PRIVILEGES",
        "CREATE FUNCTION",
        "CREATE SCHEMA",
        "CREATE TABLE",
        "CREATE VOLUME",
        "EXECUTE",
        "MANAGE",
        "MODIFY",
        "READ VOLUME",
        "SELECT",
        "USE CATALOG",
        "USE SCHEMA",
        "WRITE VOLUME",
    )
)


def create_catalog(session: Session, name: str, comment: str | None, *, unless_exists: bool) -> Answer:
    """Make a catalog."""
    plain = name.strip("`").casefold()
    if plain in session.catalogs.names():
        if unless_exists:
            return nothing()
        raise SqlError("CATALOG_ALREADY_EXISTS", f"Catalog '{plain}' already exists.", "42710")
    session.catalogs.grants.require(session.principal, "CREATE CATALOG", "metastore")
    session.catalogs.add_catalog(plain, session.principal.name, text_of(comment))
    return nothing()


def drop_catalog(session: Session, name: str, *, if_exists: bool, cascade: bool) -> Answer:
    """Remove a catalog."""
    plain = name.strip("`").casefold()
    if plain not in session.catalogs.names() and if_exists:
        return nothing()
    catalog = session.catalogs.catalog(plain)
    session.catalogs.grants.require(session.principal, "MANAGE", plain, owners=(catalog.owner,))
    if not cascade and any(schema.tables or schema.volumes for schema in catalog.schemas.values()):
        raise SqlError("CATALOG_NOT_EMPTY", f"Catalog '{plain}' is not empty.", "2BP01")
    session.catalogs.drop_catalog(plain)
    return nothing()


def create_volume(session: Session, text: str, comment: str | None, *, unless_exists: bool) -> Answer:
    """Make a managed volume."""
    catalog, schema, volume = session.name_of(exp.to_table(text, dialect="databricks"))
    volumes = session.catalogs.schema(catalog, schema).volumes
    session.require_schema("CREATE VOLUME", catalog, schema)
    if volume in volumes:
        if unless_exists:
            return nothing()
        raise SqlError("VOLUME_ALREADY_EXISTS", f"Volume '{volume}' already exists.", "42000")
    volumes[volume] = text_of(comment)
    session.catalogs.volume_path(f"/Volumes/{catalog}/{schema}/{volume}").mkdir(parents=True, exist_ok=True)
    return nothing()


def drop_volume(session: Session, text: str, *, if_exists: bool) -> Answer:
    """Remove a volume with its files."""
    catalog, schema, volume = session.name_of(exp.to_table(text, dialect="databricks"))
    volumes = session.catalogs.schema(catalog, schema).volumes
    if volume not in volumes and if_exists:
        return nothing()
    session.require_schema("MANAGE", catalog, schema)
    shutil.rmtree(session.catalogs.volume_path(f"/Volumes/{catalog}/{schema}/{volume}"), ignore_errors=True)
    volumes.pop(volume, None)
    return nothing()


def grant(session: Session, privileges: str, kind: str, name: str, principal: str, *, give: bool) -> Answer:
    """Give privileges to a principal, or take them."""
    securable = securable_of(session, kind, name)
    wanted = {" ".join(one.upper().replace("_", " ").split()) for one in privileges.split(",")}
    if unknown := wanted - PRIVILEGES:
        text = f"Privilege {min(unknown)} is not applicable to this entity."
        raise SqlError("PRIVILEGE_NOT_APPLICABLE", text, "42501")
    owner = session.catalogs.catalog(securable.partition(".")[0]).owner
    session.catalogs.grants.require(session.principal, "MANAGE", *securable.split("."), owners=(owner,))
    change = session.catalogs.grants.give if give else session.catalogs.grants.take
    change(securable, principal.strip("`"), wanted)
    return nothing()


def show_grants(session: Session, kind: str, name: str) -> Answer:
    """List who holds what on a securable."""
    securable = securable_of(session, kind, name)
    rows = [
        (who, privilege, kind.upper(), securable)
        for who, held in sorted(session.catalogs.grants.on(securable).items())
        for privilege in sorted(held)
    ]
    who, held, kinds, names = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Answer(told(Principal=who, ActionType=held, ObjectType=kinds, ObjectKey=names))


def securable_of(session: Session, kind: str, name: str) -> str:
    """Return the full name of something that rights are granted on; raises where it is not there."""
    parts = [part.name.casefold() for part in exp.to_table(name, dialect="databricks").parts]
    wanted = {"CATALOG": 1, "SCHEMA": 2}.get(kind.upper(), 3)
    full = [*(session.catalog, session.schema)[: max(0, wanted - len(parts))], *parts]
    session.catalogs.catalog(full[0])
    if len(full) > 1:
        schema = session.catalogs.schema(full[0], full[1])
        if len(full) > 2 and full[2] not in schema.tables and full[2] not in schema.volumes:
            raise SqlError("TABLE_OR_VIEW_NOT_FOUND", f"'{'.'.join(full)}' does not exist.", "42P01")
    return ".".join(full)


def text_of(literal: str | None) -> str:
    """Read a quoted text of SQL."""
    if not literal:
        return ""
    return re.sub(r"\\(.)|''", lambda found: found[1] or "'", literal.strip()[1:-1])
