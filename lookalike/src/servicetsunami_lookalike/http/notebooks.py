"""The workspace API, for notebooks."""

from __future__ import annotations

import base64

from servicetsunami_lookalike.http.messages import ApiError, Request, Response, as_json
from servicetsunami_lookalike.workspace import Workspace

_LANGUAGES = ("PYTHON", "SQL", "SCALA", "R")


def import_notebook(workspace: Workspace, request: Request) -> Response:
    """Keep a notebook."""
    wanted = request.json()
    path, language = str(wanted["path"]), str(wanted.get("language", ""))
    if wanted.get("format") != "SOURCE" or language not in _LANGUAGES:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", "a notebook comes as SOURCE, with its language")
    if path in workspace.notebooks and not wanted.get("overwrite"):
        raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"{path} already exists")
    folder = path.rpartition("/")[0]
    if folder not in workspace.notebooks:
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"The parent folder ({folder}) does not exist")
    workspace.notebooks[path] = (language, base64.b64decode(str(wanted["content"])))
    return as_json()


def make_folder(workspace: Workspace, request: Request) -> Response:
    """Make a folder for notebooks, and those above it."""
    path = str(request.json()["path"]).rstrip("/")
    while path:
        workspace.notebooks.setdefault(path, ("", b""))
        path = path.rpartition("/")[0]
    return as_json()


def get_status(workspace: Workspace, request: Request) -> Response:
    """Tell what lies at a path."""
    path = request.query["path"]
    if path not in workspace.notebooks:
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")
    language, _ = workspace.notebooks[path]
    kind = {"object_type": "NOTEBOOK", "language": language} if language else {"object_type": "DIRECTORY"}
    return as_json({"path": path, "object_id": abs(hash(path)) % 10**9, **kind})


def export(workspace: Workspace, request: Request) -> Response:
    """Give a notebook's source."""
    path = request.query["path"]
    if not workspace.notebooks.get(path, ("",))[0]:
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")
    return as_json({"content": base64.b64encode(workspace.notebooks[path][1]).decode(), "file_type": "source"})
