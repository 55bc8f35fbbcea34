"""PUT, GET and REMOVE: the server answers with an address, and the client moves the file itself."""

from __future__ import annotations

import json

import pyarrow as pa

from servicetsunami_lookalike.presigned import presign
from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.sql.session import Answer, Session

_METHODS = {"PUT": "PUT", "GET": "GET", "REMOVE": "DELETE"}


def move(session: Session, operation: str, path: str, local: str | None, *, overwrite: bool = False) -> Answer:
    """Answer with where the client may put, get or remove a file of a volume."""
    kind = operation.upper()
    session.require_volume("READ VOLUME" if kind == "GET" else "WRITE VOLUME", path)
    place = session.catalogs.volume_path(path)
    if kind == "PUT" and place.exists() and not overwrite:
        raise SqlError("STAGING_FILE_ALREADY_EXISTS", f"File '{path}' already exists.", "42000")
    if kind != "PUT" and not place.is_file():
        raise SqlError("PATH_NOT_FOUND", f"Path does not exist: {path}.", "42K03")
    address = presign(session.base_url, _METHODS[kind], path)
    row = {"operation": [kind], "localFile": [local], "presignedUrl": [address], "headers": [json.dumps({})]}
    return Answer(pa.table({name: pa.array(value, pa.string()) for name, value in row.items()}), staging=True)
