"""The Files API: files and folders of volumes, whole or in parts, and presigned addresses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from servicetsunami_lookalike.http.messages import ApiError, Request, Response, as_json
from servicetsunami_lookalike.presigned import is_valid, presign
from servicetsunami_lookalike.sql.session import Session
from servicetsunami_lookalike.workspace import Workspace


def put_file(workspace: Workspace, request: Request) -> Response:
    """Write a file in one piece."""
    path = request.groups["path"]
    place = _place(workspace, request, "WRITE VOLUME", path)
    if place.exists() and request.query.get("overwrite") != "true":
        raise ApiError(409, "ALREADY_EXISTS", f"{path} already exists")
    request.save(place)
    return Response(204)


def get_file(workspace: Workspace, request: Request) -> Response:
    """Read a file; of a HEAD request the head alone is sent."""
    path = request.groups["path"]
    place = _file(_place(workspace, request, "READ VOLUME", path), path)
    headers = {"content-type": "application/octet-stream", "last-modified": _date(place)}
    if request.method == "HEAD":
        return Response(200, b"", {**headers, "content-length": str(place.stat().st_size)})
    return Response(200, place.read_bytes(), headers)


def delete_file(workspace: Workspace, request: Request) -> Response:
    """Remove a file."""
    path = request.groups["path"]
    _file(_place(workspace, request, "WRITE VOLUME", path), path).unlink()
    return Response(204)


def make_folder(workspace: Workspace, request: Request) -> Response:
    """Make a folder and those above it."""
    _place(workspace, request, "WRITE VOLUME", request.groups["path"]).mkdir(parents=True, exist_ok=True)
    return Response(204)


def list_folder(workspace: Workspace, request: Request) -> Response:
    """List what lies in a folder; of a HEAD request tell whether it is there."""
    path = request.groups["path"].rstrip("/")
    place = _place(workspace, request, "READ VOLUME", path)
    if not place.is_dir():
        raise ApiError(404, "NOT_FOUND", f"The directory being accessed is not found: {path}")
    contents = [_entry(path, one) for one in sorted(place.iterdir()) if not one.name.endswith(".part")]
    return as_json({"contents": contents})


def delete_folder(workspace: Workspace, request: Request) -> Response:
    """Remove an empty folder."""
    path = request.groups["path"]
    place = _place(workspace, request, "WRITE VOLUME", path)
    if not place.is_dir():
        raise ApiError(404, "NOT_FOUND", f"The directory being accessed is not found: {path}")
    if any(place.iterdir()):
        raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"The directory being deleted is not empty: {path}")
    place.rmdir()
    return Response(204)


def act_on_file(workspace: Workspace, request: Request) -> Response:
    """Begin an upload in parts, or put the parts together."""
    path, action = request.groups["path"], request.query.get("action")
    place = _place(workspace, request, "WRITE VOLUME", path)
    if action == "initiate-upload":
        if place.exists() and request.query.get("overwrite") != "true":
            raise ApiError(409, "ALREADY_EXISTS", f"{path} already exists")
        return as_json({"multipart_upload": {"session_token": workspace.begin_upload(path)}})
    if action == "complete-upload":
        return _complete(workspace, request, path, place)
    raise ApiError(400, "INVALID_PARAMETER_VALUE", f"unknown action '{action}'")


def part_addresses(workspace: Workspace, request: Request) -> Response:
    """Give an address to each of the next parts of an upload."""
    wanted = request.json()
    token = str(wanted["session_token"])
    workspace.upload_folder(token, str(wanted["path"]))
    first, count = int(wanted["start_part_number"]), int(wanted["count"])
    addresses = [
        {"url": presign(workspace.base_url, "PUT", f"/parts/{token}/{number}"), "part_number": number, "headers": []}
        for number in range(first, first + count)
    ]
    return as_json({"upload_part_urls": addresses})


def abort_address(workspace: Workspace, request: Request) -> Response:
    """Give the address that ends an upload in parts."""
    token = str(request.json()["session_token"])
    address = presign(workspace.base_url, "DELETE", f"/parts/{token}/0")
    return as_json({"abort_upload_url": {"url": address, "headers": []}})


def presigned(workspace: Workspace, request: Request) -> Response:
    """Put, get or remove what a presigned address names."""
    path = request.groups["path"]
    until, signature = int(request.query.get("until", 0)), request.query.get("signature", "")
    if not is_valid(request.method, path, until, signature):
        raise ApiError(403, "AccessDenied", "Request has expired or its signature is wrong")
    if path.startswith("/parts/"):
        return _part(workspace, request, path)
    place = workspace.catalogs.volume_path(path)
    if request.method == "PUT":
        request.save(place)
        return Response(200)
    if request.method == "GET":
        return Response(200, _file(place, path).read_bytes())
    _file(place, path).unlink()
    return Response(204)


def _part(workspace: Workspace, request: Request, path: str) -> Response:
    _, _, token, number = path.split("/")
    if request.method == "DELETE":
        workspace.end_upload(token)
        return Response(204)
    request.save(workspace.folder / "uploads" / token / number)
    return Response(200, b"", {"etag": f'"{token[:8]}-{number}"'})


def _complete(workspace: Workspace, request: Request, path: str, place: Path) -> Response:
    token = request.query.get("session_token", "")
    folder = workspace.upload_folder(token, path)
    parts: list[dict[str, Any]] = request.json().get("parts", [])
    place.parent.mkdir(parents=True, exist_ok=True)
    whole = place.with_name(f".{place.name}.part")
    with whole.open("wb") as target:
        for part in sorted(parts, key=lambda one: int(one["part_number"])):
            piece = folder / str(part["part_number"])
            if not piece.is_file():
                raise ApiError(400, "INVALID_PARAMETER_VALUE", f"part {piece.name} was not uploaded")
            target.write(piece.read_bytes())
    whole.replace(place)
    workspace.end_upload(token)
    return Response(200)


def _place(workspace: Workspace, request: Request, privilege: str, path: str) -> Path:
    Session(workspace.catalogs, request.principal).require_volume(privilege, path)
    return workspace.catalogs.volume_path(path)


def _file(place: Path, path: str) -> Path:
    if not place.is_file():
        raise ApiError(404, "NOT_FOUND", f"The file being accessed is not found: {path}")
    return place


def _entry(folder: str, place: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"path": f"{folder}/{place.name}", "name": place.name, "is_directory": place.is_dir()}
    if place.is_file():
        found = place.stat()
        told |= {"file_size": found.st_size, "last_modified": int(found.st_mtime * 1000)}
    return told


def _date(place: Path) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(place.stat().st_mtime))
