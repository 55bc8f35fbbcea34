"""Which function answers which request; all else is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

from servicetsunami_lookalike.http import files, notebooks, signing_in, statements, unity
from servicetsunami_lookalike.http.messages import ApiError, Request, Response
from servicetsunami_lookalike.workspace import Workspace

Answer = Callable[[Workspace, Request], Response]
_UC = "/api/2.1/unity-catalog"
_FS = "/api/2.0/fs"
_SQL = "/api/2.0/sql/statements"

OPEN: tuple[tuple[str, str, Answer], ...] = (
    ("GET", r"/\.well-known/databricks-config", signing_in.host_metadata),
    ("GET", r"/oidc/\.well-known/(?:oauth-authorization-server|openid-configuration)", signing_in.authorization_server),
    ("POST", "/oidc/v1/token", signing_in.token),
    ("GET|PUT|DELETE", r"/presigned(?P<path>/.+)", files.presigned),
    ("GET", r"/offers/(?P<name>[\w-]+)", lambda w, r: Response(200, w.offered(r.groups["name"]))),
)
"""Answered without a token: what finds the sign-in, and addresses that are a right by themselves."""

GUARDED: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/api/2.0/preview/scim/v2/Me", signing_in.me),
    ("PUT", f"{_FS}/files(?P<path>/.+)", files.put_file),
    ("GET|HEAD", f"{_FS}/files(?P<path>/.+)", files.get_file),
    ("DELETE", f"{_FS}/files(?P<path>/.+)", files.delete_file),
    ("POST", f"{_FS}/files(?P<path>/.+)", files.act_on_file),
    ("PUT", f"{_FS}/directories(?P<path>/.+)", files.make_folder),
    ("GET|HEAD", f"{_FS}/directories(?P<path>/.+)", files.list_folder),
    ("DELETE", f"{_FS}/directories(?P<path>/.+)", files.delete_folder),
    ("POST", f"{_FS}/create-upload-part-urls", files.part_addresses),
    ("POST", f"{_FS}/create-abort-upload-url", files.abort_address),
    ("GET", f"{_UC}/catalogs", unity.list_catalogs),
    ("POST", f"{_UC}/catalogs", unity.create_catalog),
    ("GET", f"{_UC}/catalogs/(?P<name>[^/]+)", unity.get_catalog),
    ("PATCH", f"{_UC}/catalogs/(?P<name>[^/]+)", unity.update_catalog),
    ("GET", f"{_UC}/schemas", unity.list_schemas),
    ("GET", f"{_UC}/schemas/(?P<name>[^/]+)", unity.get_schema),
    ("GET", f"{_UC}/tables", unity.list_tables),
    ("GET", f"{_UC}/tables/(?P<name>[^/]+)", unity.get_table),
    ("GET", f"{_UC}/volumes", unity.list_volumes),
    ("GET", f"{_UC}/volumes/(?P<name>[^/]+)", unity.get_volume),
    ("GET", f"{_UC}/permissions/(?P<kind>[^/]+)/(?P<name>[^/]+)", unity.get_grants),
    ("PATCH", f"{_UC}/permissions/(?P<kind>[^/]+)/(?P<name>[^/]+)", unity.change_grants),
    ("POST", _SQL, statements.execute),
    ("GET", f"{_SQL}/(?P<id>[0-9a-f-]+)", statements.status),
    ("POST", f"{_SQL}/(?P<id>[0-9a-f-]+)/cancel", statements.cancel),
    ("GET", f"{_SQL}/(?P<id>[0-9a-f-]+)/result/chunks/(?P<chunk>\\d+)", statements.chunk),
    ("POST", "/api/2.0/workspace/import", notebooks.import_notebook),
    ("POST", "/api/2.0/workspace/mkdirs", notebooks.make_folder),
    ("GET", "/api/2.0/workspace/get-status", notebooks.get_status),
    ("GET", "/api/2.0/workspace/export", notebooks.export),
)


def answer(workspace: Workspace, request: Request) -> Response:
    """Answer a request, or refuse it."""
    for routes, guarded in ((OPEN, False), (GUARDED, True)):
        for methods, pattern, call in routes:
            found = re.fullmatch(pattern, request.path) if request.method in methods.split("|") else None
            if found is not None:
                request.groups = found.groupdict()
                if guarded:
                    request.principal = workspace.principal(request.headers.get("authorization", ""))
                return call(workspace, request)
    raise ApiError(404, "ENDPOINT_NOT_FOUND", f"The look-alike does not know {request.method} {request.path}.")
