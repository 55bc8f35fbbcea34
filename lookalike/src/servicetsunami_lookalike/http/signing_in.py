"""OAuth for machines, and the documents by which clients find it."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs

from servicetsunami_lookalike.http.messages import ApiError, Request, Response, as_json
from servicetsunami_lookalike.workspace import Workspace


def host_metadata(workspace: Workspace, _request: Request) -> Response:
    """Tell clients what kind of host this is."""
    return as_json({"oidc_endpoint": f"{workspace.base_url}/oidc", "workspace_id": "1", "account_id": "lookalike"})


def authorization_server(workspace: Workspace, _request: Request) -> Response:
    """Tell clients where tokens are given."""
    base = f"{workspace.base_url}/oidc"
    return as_json({"authorization_endpoint": f"{base}/v1/authorize", "token_endpoint": f"{base}/v1/token"})


def token(workspace: Workspace, request: Request) -> Response:
    """Give a service principal a token for its id and secret."""
    form = {name: values[0] for name, values in parse_qs(request.body().decode()).items()}
    if form.get("grant_type") != "client_credentials":
        raise ApiError(400, "unsupported_grant_type", "only client_credentials is known")
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.casefold() == "basic":
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    try:
        value, seconds = workspace.issue(client_id, secret)
    except ApiError as error:
        return as_json({"error": error.code, "error_description": str(error)}, error.status)
    return as_json({"access_token": value, "token_type": "Bearer", "expires_in": seconds})


def me(_workspace: Workspace, request: Request) -> Response:
    """Tell whom the token stands for."""
    return as_json({"id": "1", "userName": request.principal.name, "active": True})
